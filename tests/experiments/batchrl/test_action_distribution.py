import numpy as np
import pytest

from mtfx.experiments.batchrl.action_distribution import BINS, action_figures, action_histograms


def test_distance_is_what_must_be_moved():
    random = np.random.default_rng(0)
    logged = random.uniform(-0.5, 0.5, (400, 3))
    assert action_figures(logged, logged).distance == pytest.approx(0.0)
    moved = logged + np.array([0.1, 0.2, -0.3])
    found = action_figures(moved, logged)
    assert found.distance == pytest.approx(0.2)
    assert found.spread == pytest.approx(logged.std(axis=0).mean())
    assert found.extreme == 0.0


def test_one_dimensional_distance_is_that_of_the_sorted_values():
    random = np.random.default_rng(1)
    own, logged = random.uniform(-1, 1, (50, 2)), random.normal(0, 0.3, (50, 2)).clip(-1, 1)
    by_sorting = np.abs(np.sort(own, axis=0) - np.sort(logged, axis=0)).mean()
    assert action_figures(own, logged).distance == pytest.approx(by_sorting)


def test_actions_at_a_bound_are_counted():
    actions = np.array([[1.0, 0.0], [-1.0, 0.2], [0.96, 0.94], [0.0, -1.0]])
    assert action_figures(actions, actions).extreme == pytest.approx(4 / 8)


def test_histograms_hold_all_actions():
    actions = np.array([[1.0, 0.01], [-1.0, 0.02], [1.0000001, -0.01]])
    found = action_histograms(actions, ("like", "share"))
    assert {name: sum(shares) for name, shares in found.items()} == pytest.approx(
        {"like": 1.0, "share": 1.0}
    )
    assert found["like"][BINS - 1] == pytest.approx(2 / 3)
    assert found["share"][BINS // 2] == pytest.approx(2 / 3)


def test_actions_of_another_size_are_refused():
    with pytest.raises(ValueError, match="cannot be compared"):
        action_figures(np.zeros((3, 2)), np.zeros((3, 4)))
