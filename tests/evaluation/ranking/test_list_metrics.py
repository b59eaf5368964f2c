"""GAUC and NDCG against loops over users and sessions, and against scikit-learn."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import ndcg_score, roc_auc_score

from mtfx.evaluation.ranking.list_metrics import NDCG_K, grouped_auc, mean_ndcg


@st.composite
def impressions(draw):
    """Users, sessions, labels, coarse scores (so that ties occur), in any order."""
    size = draw(st.integers(1, 30))

    def column(low, high):
        return np.array(draw(st.lists(st.integers(low, high), min_size=size, max_size=size)))

    return column(0, 3), column(0, 2), column(0, 1), column(0, 4) / 4


@given(impressions())
@settings(max_examples=150)
def test_gauc_is_the_mean_of_the_users_own(case):
    users, _, labels, scores = case
    weighted, weights = 0.0, 0
    for user in np.unique(users):
        own = users == user
        ups, downs = scores[own & (labels == 1)], scores[own & (labels == 0)]
        if len(ups) and len(downs):
            pairs = [(up > down) + 0.5 * (up == down) for up in ups for down in downs]
            weighted += own.sum() * np.mean(pairs)
            weights += own.sum()
    found = grouped_auc(users, labels, scores)
    assert found.all_users == len(np.unique(users))
    if weights:
        assert found.value == pytest.approx(weighted / weights)
        assert 0 < found.users <= found.all_users
    else:
        assert math.isnan(found.value)
        assert found.users == 0


@given(impressions(), st.integers(1, 12))
@settings(max_examples=150)
def test_ndcg_is_that_of_each_session_as_scikit_learn_has_it(case, k):
    users, sessions, labels, scores = case
    expected = []
    for user, session in itertools.product(range(4), range(3)):
        own = (users == user) & (sessions == session)
        if labels[own].any():
            # It refuses a list of one, which is always in order.
            one = own.sum() == 1
            expected.append(1.0 if one else ndcg_score([labels[own]], [scores[own]], k=k))
    found = mean_ndcg(users, sessions, labels, scores, k)
    assert found == pytest.approx(np.mean(expected)) if expected else math.isnan(found)


def test_ties_count_with_the_mean_over_their_orders():
    labels, scores = np.array([1, 0, 0, 1]), np.array([0.5, 0.5, 0.5, 0.9])
    ideal = 1 + 1 / math.log2(3)
    dcgs = [
        1 + sum(label / math.log2(place + 3) for place, label in enumerate(order) if place + 2 <= 2)
        for order in itertools.permutations(labels[:3])
    ]
    same = np.zeros(4, int)
    assert mean_ndcg(same, same, labels, scores, k=2) == pytest.approx(np.mean(dcgs) / ideal)


def test_many_impressions_against_scikit_learn():
    rng = np.random.default_rng(0)
    users = rng.integers(0, 300, 20_000)
    labels, scores = rng.integers(0, 2, 20_000), rng.random(20_000).astype(np.float32)
    aucs = [roc_auc_score(labels[users == user], scores[users == user]) for user in range(300)]
    found = grouped_auc(users, labels, scores)
    assert found.value == pytest.approx(np.average(aucs, weights=np.bincount(users)))
    ndcgs = [
        ndcg_score([labels[users == user]], [scores[users == user]], k=NDCG_K)
        for user in range(300)
    ]
    assert mean_ndcg(users, users, labels, scores) == pytest.approx(np.mean(ndcgs))


def test_nothing_to_order():
    nothing = np.zeros(0)
    assert math.isnan(grouped_auc(nothing, nothing, nothing).value)
    assert math.isnan(mean_ndcg(nothing, nothing, nothing, nothing))
    assert math.isnan(mean_ndcg(np.ones(2), np.ones(2), np.zeros(2), np.ones(2)))
