"""SplitMix64 against its published output and plain integers."""

import numpy as np
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from mtfx.models import splitmix

INT32 = st.integers(-(2**31), 2**31 - 1)


def test_the_mixer_is_splitmix64():
    # The first outputs of the published generator for seed 0: counter times the golden gamma.
    counter = tf.constant([0x9E3779B97F4A7C15, 0x3C6EF372FE94F82A], tf.uint64)
    assert splitmix.mix(counter).numpy().tolist() == [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4]


@settings(max_examples=30)
@given(seed=st.tuples(INT32, INT32))
def test_a_seed_is_its_keys_two_words(seed):
    keys = splitmix.keys_of(tf.constant([seed]))
    assert int(keys[0]) == ((seed[0] & 0xFFFFFFFF) << 32) + (seed[1] & 0xFFFFFFFF)
    assert splitmix.seeds_of(keys).numpy().tolist() == [list(seed)]


def test_a_rows_numbers_do_not_depend_on_the_other_rows_or_columns():
    keys = tf.constant([5, 2**64 - 1, 0], tf.uint64)
    together = splitmix.uniforms(keys, 9).numpy()
    for row, key in enumerate(keys):
        np.testing.assert_array_equal(splitmix.uniforms(key[tf.newaxis], 4)[0], together[row, :4])


def test_normals_are_normal_and_finite_at_the_ends():
    uniform = splitmix.uniforms(tf.cast(tf.range(20_000), tf.uint64), 1)
    assert stats.kstest(splitmix.normals(uniform).numpy()[:, 0], "norm").pvalue > 1e-4
    ends = splitmix.normals(tf.constant([0.0, 1 - 2**-24])).numpy()
    assert np.isfinite(ends).all()
    assert ends[0] < -5
