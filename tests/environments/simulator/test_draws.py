"""SplitMix64 per session: against plain integers, and as random numbers."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from mtfx.environments.simulator import draws
from mtfx.environments.simulator.draws import Stream

MASK = 2**64 - 1
INT32 = st.integers(-(2**31), 2**31 - 1)


def mix(z):
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def key(seed):
    return ((seed[0] & 0xFFFFFFFF) << 32) + (seed[1] & 0xFFFFFFFF)


@settings(max_examples=30)
@given(seed=st.tuples(INT32, INT32), stream=st.sampled_from(Stream), number=st.integers(0, 10**6))
def test_numbers_are_those_of_plain_integers(seed, stream, number):
    folded = draws.fold_in(tf.constant([seed]), stream, number)
    expected = mix(key(seed))
    expected = mix((expected + (number * 5 + stream + 1) * 0x9E3779B97F4A7C15) & MASK)
    assert key(folded.numpy()[0].tolist()) == expected
    found = draws.uniforms(folded, 3).numpy()[0]
    start = mix(expected)
    for column in range(3):
        bits = mix((start + (column + 1) * 0x9E3779B97F4A7C15) & MASK) >> 40
        assert found[column] == np.float32(bits / 2**24)


def test_uniform_independent_across_sessions_steps_and_streams():
    seeds = draws.session_seeds(tf.constant([3, 4]), 20_000)
    columns = [
        draws.uniforms(draws.fold_in(seeds, stream, step), 2).numpy()
        for stream in (Stream.RESPONSE, Stream.LEAVE)
        for step in (0, 1)
    ]
    values = np.concatenate(columns, axis=1)
    assert values.min() >= 0
    assert values.max() < 1
    for column in values.T:
        assert stats.kstest(column, "uniform").pvalue > 1e-4
    # Between columns, and between neighbouring sessions.
    both = np.concatenate([values[:-1], values[1:]], axis=1)
    correlations = np.corrcoef(both.T) - np.eye(both.shape[1])
    assert np.abs(correlations).max() < 5 / np.sqrt(len(values))


def test_a_sessions_seed_does_not_depend_on_how_many_there_are():
    few, many = (draws.session_seeds(tf.constant([1, 2]), n).numpy() for n in (3, 50))
    np.testing.assert_array_equal(few, many[:3])
    assert len(np.unique(many, axis=0)) == 50
    other = draws.session_seeds(tf.constant([1, 3]), 3).numpy()
    assert not (few == other).all(axis=1).any()


def test_one_seed_or_one_for_each_session():
    one = draws.as_session_seeds(tf.constant([1, 2]), 4)
    np.testing.assert_array_equal(draws.as_session_seeds(one, 4), one)
    with pytest.raises((ValueError, TypeError)):
        draws.as_session_seeds(tf.constant([1.5, 2.5]), 4)
