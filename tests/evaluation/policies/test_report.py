"""Actions against the log, by hand and by scipy; collapse; what the report shows."""

import numpy as np
import pytest
from scipy.stats import truncnorm

from mtfx.evaluation.policies.report import report_actions

RNG = np.random.default_rng(0)
LOGGED = RNG.uniform(-0.6, 0.6, (2000, 2)).astype(np.float32)


def test_the_logged_actions_themselves_are_no_distance_away():
    report = report_actions(LOGGED, LOGGED)
    assert report.wasserstein == (0, 0)
    assert report.outside_share == 0
    assert not report.is_constant
    assert not report.is_saturated
    np.testing.assert_allclose(report.deviation, LOGGED.std(axis=0), rtol=1e-5)


def test_a_shift_is_its_distance():
    # The 1-Wasserstein distance is the area between the distribution functions.
    actions = np.clip(LOGGED[:500] * [1, 0.5] + [0.3, 0], -1, 1)
    report = report_actions(actions, LOGGED)
    grid = np.linspace(-1, 1, 20_001)
    for k in range(2):
        ours, theirs = (
            np.searchsorted(np.sort(values[:, k]), grid, "right") / len(values)
            for values in (actions, LOGGED)
        )
        area = np.abs(ours - theirs).sum() * (grid[1] - grid[0])
        assert report.wasserstein[k] == pytest.approx(area, abs=1e-3)
    assert report.wasserstein[0] == pytest.approx(0.3, abs=0.06)
    assert report.outside[0] == pytest.approx(0.25, abs=0.06)
    assert report.outside[1] == 0


@pytest.mark.parametrize(
    ("centre", "deviation", "outside"),
    [(1.0, 0.1, 0.0), (-1.0, 0.1, 0.0), (0.7, 0.1, 0.0), (0.5, 0.1, 1.0), (0.0, 0.5, 1.0)],
)
def test_what_noise_explored_is_inside_and_the_bounds_of_wide_noise_are_not(
    centre, deviation, outside
):
    """Weights in a log of noise around themselves, and the bound in a log around others."""
    low, high = (np.array([-1.0, 1.0]) - centre) / deviation
    logged = truncnorm(low, high, centre, deviation).rvs((20_000, 1), random_state=1)
    bound = np.full((10, 1), 1.0 if outside else centre)
    assert report_actions(bound, logged).outside_share == outside


@pytest.mark.parametrize(
    ("actions", "constant", "saturated"),
    [
        (np.full((50, 2), 0.2), True, False),
        (np.tile([0.2, 0.1], (50, 1)) + RNG.normal(0, 1e-5, (50, 2)), True, False),
        (np.stack([np.full(50, 0.2), np.linspace(-0.5, 0.5, 50)], 1), False, False),
        (np.where(RNG.random((50, 2)) < 0.5, -1.0, 1.0), False, True),
        (np.ones((50, 2)), True, True),
    ],
)
def test_collapse(actions, constant, saturated):
    report = report_actions(actions, LOGGED)
    assert (report.is_constant, report.is_saturated) == (constant, saturated)


def test_what_cannot_be_compared():
    actions = LOGGED[:10].copy()
    actions[3, 1] = np.nan
    actions[4, 0] = 1.4
    report = report_actions(actions, LOGGED)
    assert report.finite_share == 0.9
    assert report.out_of_bounds_share == pytest.approx(1 / 18)
    nothing = report_actions(np.full((4, 2), np.nan), LOGGED)
    assert nothing.finite_share == 0
    assert nothing.wasserstein == ()
    assert not nothing.is_constant
    with pytest.raises(ValueError, match="have 3 columns, the data's 2"):
        report_actions(np.zeros((4, 3)), LOGGED)
    with pytest.raises(ValueError, match="at least one state"):
        report_actions(np.zeros((0, 2)), LOGGED)
