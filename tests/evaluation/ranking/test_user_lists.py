"""The lists of users: merged in any order, bounded in memory, whole users."""

import itertools
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtfx.evaluation.ranking.list_metrics import grouped_auc, mean_ndcg
from mtfx.evaluation.ranking.user_lists import UserLists, key_hash


def hashes(ids):
    return np.array([key_hash(one) for one in ids], np.uint64)


def sample(size=4000, people=150, seed=0):
    rng = np.random.default_rng(seed)
    users = rng.integers(0, people, size)
    sessions = users * 10 + rng.integers(0, 5, size)
    labels = rng.integers(0, 2, size)
    scores = rng.random(size).astype(np.float32)
    return hashes(users.tolist()), hashes(sessions.tolist()), labels, scores


def cut(columns, places):
    bounds = [0, *sorted(places), len(columns[0])]
    return [[column[low:high] for column in columns] for low, high in itertools.pairwise(bounds)]


def rows(lists):
    order = np.lexsort((lists.scores, lists.users))
    return [lists.users[order], lists.sessions[order], lists.labels[order], lists.scores[order]]


def test_figures_are_those_of_the_arrays():
    users, sessions, labels, scores = sample()
    found = UserLists.merge(UserLists.of(*part) for part in cut(sample(), [1000, 1700]))
    assert found.share() == 1.0
    assert found.gauc == grouped_auc(users, labels, scores)
    assert found.ndcg() == pytest.approx(mean_ndcg(users, sessions, labels, scores))


@given(st.lists(st.integers(0, 4000), max_size=5), st.integers(100, 5000), st.randoms())
@settings(max_examples=40, deadline=None)
def test_the_sample_does_not_depend_on_the_order_of_merging(places, limit, random):
    columns = sample()
    whole = UserLists.of(*columns, limit=limit)
    parts = [UserLists.of(*part, limit=limit) for part in cut(columns, places)]
    random.shuffle(parts)
    while len(parts) > 1:
        parts = [UserLists.merge(parts[:2]), *parts[2:]]
    np.testing.assert_array_equal(rows(parts[0]), rows(whole))
    assert parts[0].seen == len(columns[0])
    assert len(whole.users) <= limit
    assert parts[0].share() == pytest.approx(len(whole.users) / 4000)


def test_users_are_kept_whole_and_at_least_one():
    users, *others = sample()
    kept = UserLists.of(users, *others, limit=500)
    for user in np.unique(kept.users):
        assert (kept.users == user).sum() == (users == user).sum()
    alone = UserLists.of(users, *others, limit=1)
    assert len(np.unique(alone.users)) == 1
    assert alone.users[0] == users.min()


def test_a_sample_of_users_estimates_the_figure_of_all():
    rng = np.random.default_rng(3)
    users = np.repeat(np.arange(4000), 10)
    scores = rng.random(40_000)
    labels = (rng.random(40_000) < scores).astype(int)
    keyed = hashes(users.tolist())
    part = UserLists.of(keyed, keyed, labels, scores, limit=10_000)
    assert part.share() == pytest.approx(0.25, abs=0.001)
    assert part.gauc.value == pytest.approx(grouped_auc(users, labels, scores).value, abs=0.01)


def test_hashes_are_the_same_in_every_process():
    program = "from mtfx.evaluation.ranking.user_lists import key_hash as k; print(k(b'7'), k(7))"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert found.stdout.split() == [str(key_hash(b"7")), str(key_hash(7))], found.stderr
    assert key_hash(b"7") == key_hash("7") == key_hash(7) != key_hash(8)


def test_nothing():
    nothing = UserLists.merge([])
    assert np.isnan(nothing.share())
    assert np.isnan(nothing.ndcg())
    assert np.isnan(nothing.gauc.value)
