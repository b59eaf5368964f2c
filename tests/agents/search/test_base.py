"""What every search is held to: an objective of finite values, one for each point."""

import numpy as np
import pytest

from mtfx.agents.search.base import CountedObjective, SearchStep, check_bounds, check_dim


def test_history_counts_points_and_keeps_the_best():
    told = []
    objective = CountedObjective(lambda points: points[:, 0], told.append)
    objective(np.array([[1.0], [5.0]]))
    objective(np.array([[2.0]]))
    assert told == objective.history == [SearchStep(2, 3.0, 5.0), SearchStep(3, 2.0, 5.0)]
    assert objective.result(np.array([2.0]), 2.0).history == tuple(told)


def test_an_objective_cannot_change_the_searchs_own_points():
    points = np.ones((2, 1))

    def spoil(given):
        given *= 0
        return np.zeros(len(given))

    CountedObjective(spoil)(points)
    np.testing.assert_array_equal(points, np.ones((2, 1)))


@pytest.mark.parametrize(
    ("values", "message"),
    [([[1.0], [2.0]], r"shape \(2, 1\)"), ([1.0, np.nan], r"nan at \[0.5\]"), ([np.inf, 1], "inf")],
)
def test_values_that_nothing_can_be_learnt_from_are_refused(values, message):
    objective = CountedObjective(lambda points: np.array(values))
    with pytest.raises(ValueError, match=message):
        objective(np.array([[0.25], [0.5]]))
    assert objective.history == []


@pytest.mark.parametrize("bounds", [(1.0, 1.0), (2.0, 1.0), (0.0, np.inf), (np.nan, 1.0)])
def test_bounds_without_room_between_them_are_refused(bounds):
    with pytest.raises(ValueError, match="low < high"):
        check_bounds(*bounds)
    with pytest.raises(ValueError, match="got 0"):
        check_dim(0)
