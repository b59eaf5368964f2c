"""The statistics of a task hold the same impressions in all of their parts."""

import numpy as np
import pytest

from mtfx.datasets.labels import UNKNOWN
from mtfx.evaluation.ranking.task_statistics import TaskStatistics


def batch(size=200, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.choice([0.0, 1.0, UNKNOWN], size)
    keys = rng.integers(0, 2**63, size).astype(np.uint64)
    return labels, rng.random(size), np.full(size, 3.0), keys, keys


@pytest.mark.parametrize("kind", ["binary", "regression"])
def test_every_part_leaves_unknown_labels_out(kind):
    columns = batch()
    parts = [
        TaskStatistics.of(kind, *(column[a:b] for column in columns))
        for a, b in ((0, 50), (50, 51), (51, 200))
    ]
    found = TaskStatistics.merge(kind, [TaskStatistics.empty(kind), *parts])
    known = int((columns[0] != UNKNOWN).sum())
    assert found.values.impressions == known
    assert found.users.impressions.sum() == known
    assert found.lists.seen == (known if kind == "binary" else 0)


def test_losses_are_those_of_the_kind():
    labels, predictions, lengths, users, sessions = batch()
    known = labels != UNKNOWN
    y, p = labels[known], predictions[known]
    binary = TaskStatistics.of("binary", labels, predictions, lengths, users, sessions)
    expected = -(y * np.log(p) + (1 - y) * np.log1p(-p)).sum()
    assert binary.users.losses.sum() == pytest.approx(expected)
    regression = TaskStatistics.of("regression", labels, predictions, lengths, users, sessions)
    assert regression.users.losses.sum() == pytest.approx(np.square(y - p).sum())


def test_wrong_labels_are_refused():
    with pytest.raises(ValueError, match="must be 0 or 1"):
        TaskStatistics.of("binary", np.array([2.0]), *(np.ones(1),) * 4)
