"""Candidate sets: distinct, unwatched, each item as likely as the others, never the same twice."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from mtfx.environments.simulator.candidate_sets import CandidateSets


def uniforms(size, seed=0):
    return tf.random.stateless_uniform([size, 2], [seed, 1])


@settings(max_examples=15)
@given(
    pool=st.integers(1, 30),
    candidates=st.integers(1, 40),
    max_views=st.integers(1, 40),
    seed=st.integers(0, 5),
)
def test_places_are_distinct_and_below_what_is_left(pool, candidates, max_views, seed):
    sets = CandidateSets(pool, candidates, max_views)
    views = np.arange(min(pool, max_views) + 1, dtype=np.int32).repeat(3)
    draw = uniforms(len(views), seed)
    places, mask = (part.numpy() for part in sets.places(tf.constant(views), draw))
    assert places.shape == mask.shape == (len(views), min(candidates, pool))
    single = np.stack(
        [
            sets.place(tf.constant(views), draw, tf.fill([len(views)], column))
            for column in range(sets.size)
        ],
        axis=1,
    )
    for row, seen in enumerate(views):
        left = pool - seen if seen < max_views else 0
        count = min(left, candidates)
        assert mask[row].tolist() == [column < count for column in range(sets.size)]
        real = places[row, :count].tolist()
        assert len(set(real)) == count
        assert all(0 <= place < left for place in real)
        assert (places[row, count:] == 0).all()
        assert single[row, :count].tolist() == real


def test_each_item_is_as_likely_as_another_and_pairs_nearly():
    pool, count, requests = 30, 10, 60_000
    sets = CandidateSets(pool, count, 5)
    places, _ = sets.places(tf.fill([requests], 2), uniforms(requests))
    offered = np.zeros((requests, pool))
    np.put_along_axis(offered, places.numpy(), 1, axis=1)
    left = pool - 2
    chance = count / left
    assert not offered[:, left:].any()
    spread = np.sqrt(chance * (1 - chance) / requests)
    assert np.abs(offered[:, :left].mean(axis=0) - chance).max() < 5 * spread
    # Chance of a pair under sampling without replacement, within what a table of rows can do.
    pair = offered[:, :left].T @ offered[:, :left] / requests
    np.fill_diagonal(pair, np.nan)
    assert np.nanmean(pair) == pytest.approx(chance * (count - 1) / (left - 1), rel=1e-6)
    assert np.nanmax(np.abs(pair / np.nanmean(pair) - 1)) < 0.15


def test_a_request_offers_another_set_than_the_one_before():
    sets = CandidateSets(300, 100, 50)
    places, _ = sets.places(tf.zeros([500], tf.int32), uniforms(500))
    found = {tuple(sorted(row)) for row in places.numpy().tolist()}
    assert len(found) > 490
