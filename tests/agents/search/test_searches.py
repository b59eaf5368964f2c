"""The searches on functions whose optimum is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtfx.agents.search.bayesian import BayesianConfig
from mtfx.agents.search.cem import CemConfig
from mtfx.agents.search.evolution import EvolutionConfig, rank_utilities
from mtfx.agents.search.registry import SEARCHES

OPTIMUM = np.array([0.6, -0.3, 0.1, -0.7, 0.2, 0.4])
SMALL = {
    "bo": BayesianConfig(initial_points=8, rounds=8, candidates=300),
    "es": EvolutionConfig(population=16, generations=30, bounds=(-1.0, 1.0)),
    "cem": CemConfig(population=64, generations=15),
}


# Fitting a Gaussian process takes half a second, whatever it is fitted to.
COSTLY = pytest.param("bo", marks=pytest.mark.slow)


def concave(points: np.ndarray) -> np.ndarray:
    """Largest, 3, at OPTIMUM; of different steepness in each direction."""
    dim = points.shape[1]
    return 3.0 - ((points - OPTIMUM[:dim]) ** 2 * np.linspace(1, 4, dim)).sum(axis=1)


@pytest.mark.parametrize(
    ("name", "seed"),
    [("bo", 0)]
    + [pytest.param("bo", seed, marks=pytest.mark.slow) for seed in range(1, 5)]
    + [(name, seed) for name in ("es", "cem") for seed in range(5)],
)
def test_the_optimum_of_a_concave_function_is_found(name, seed):
    dim = 2 if name == "bo" else 3
    result = SEARCHES[name].load()(concave, dim, SMALL[name], seed)
    np.testing.assert_allclose(result.best, OPTIMUM[:dim], atol=0.1)
    assert result.value == pytest.approx(concave(result.best[np.newaxis])[0])
    assert result.value > 2.99


@pytest.mark.parametrize("name", SMALL)
def test_the_same_seed_gives_the_same_search_and_another_another(name):
    one, same, other = (
        SEARCHES[name].load()(concave, 3, tiny(name, -1, 1), seed) for seed in (7, 7, 8)
    )
    np.testing.assert_array_equal(one.best, same.best)
    assert one.history == same.history
    assert one.history != other.history


@pytest.mark.parametrize("name", SMALL)
def test_a_search_keeps_its_budget_and_reports_every_call(name):
    asked, told = [], []

    def objective(points):
        asked.append(len(points))
        return concave(points)

    config = tiny(name, -1, 1, batch=2)
    result = SEARCHES[name].load()(objective, 3, config, 0, told.append)
    assert sum(asked) == config.evaluations == result.history[-1].evaluations
    assert tuple(told) == result.history
    assert [step.evaluations for step in told] == list(np.cumsum(asked))
    best = [step.best_value for step in told]
    assert best == sorted(best)
    assert all(step.mean_value <= step.best_value for step in told)


@pytest.mark.parametrize("name", [COSTLY, "es", "cem"])
def test_a_search_is_better_than_random_points_of_the_same_number(name):
    """Both see the same noise; judged without it, at the point each recommends.

    The Gaussian process gets three coordinates: of six so few points tell it so little that
    another machine's rounding decided on a seed.
    """
    dim = 3 if name == "bo" else 6
    regrets = []
    for seed in range(5):
        noise = np.random.default_rng(seed)

        def noisy(points, noise=noise):
            return concave(points) + 0.1 * noise.standard_normal(len(points))

        config = SEARCHES[name].config.from_dict({"rounds": 24} if name == "bo" else {})
        found = SEARCHES[name].load()(noisy, dim, config, seed).best
        points = np.random.default_rng(seed).uniform(-1, 1, (config.evaluations, dim))
        random = points[np.argmax(noisy(points))]
        regrets.append(3.0 - concave(np.stack([found, random])))
    ours, randoms = np.mean(regrets, axis=0)
    assert ours < randoms / 2


def tiny(name: str, low: float, high: float, batch: int = 1):
    return {
        "bo": lambda: BayesianConfig(
            initial_points=4, rounds=1, batch=batch, candidates=20, low=low, high=high
        ),
        "es": lambda: EvolutionConfig(population=4, generations=3, bounds=(low, high)),
        "cem": lambda: CemConfig(population=6, generations=3, low=low, high=high),
    }[name]()


@pytest.mark.parametrize("name", SMALL)
@settings(max_examples=4)
@given(low=st.floats(-3, 2), width=st.floats(0.1, 4), seed=st.integers(0, 2**31))
def test_no_point_leaves_the_bounds(name, low, width, seed):
    """Although the objective grows towards them and beyond."""
    high = low + width
    seen = []

    def objective(points):
        seen.append(points)
        return points.sum(axis=1)

    result = SEARCHES[name].load()(objective, 2, tiny(name, low, high), seed)
    points = np.concatenate([*seen, result.best[np.newaxis]])
    assert np.all(points >= low - 1e-9)
    assert np.all(points <= high + 1e-9)


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_value_that_is_no_number_is_named(name, bad):
    def objective(points):
        return np.where(points[:, 0] > 0.2, bad, 0.0)

    with pytest.raises(ValueError, match=rf"the objective is {bad} at \[ ?0\..*finite values"):
        SEARCHES[name].load()(objective, 2, SMALL[name], 0)


@pytest.mark.parametrize("name", SMALL)
def test_an_objective_of_another_shape_is_named(name):
    with pytest.raises(ValueError, match=r"one value for each of \d+ points, got shape \(\)"):
        SEARCHES[name].load()(lambda points: 1.0, 2, SMALL[name], 0)
    with pytest.raises(ValueError, match="at least one dimension"):
        SEARCHES[name].load()(concave, 0, SMALL[name], 0)


def test_utilities_are_those_of_the_paper():
    """Wierstra et al. (2014), section 3.1, by hand for four points."""
    raw = np.array([np.log(3), np.log(3) - np.log(2), 0.0, 0.0])
    expected = raw / raw.sum() - 0.25
    np.testing.assert_allclose(
        rank_utilities(np.array([10.0, 3.0, -1.0, 2.0])), expected[[0, 1, 3, 2]]
    )


@settings(max_examples=40)
@given(
    values=st.lists(st.integers(-50, 50).map(float), min_size=4, max_size=12),
    scale=st.sampled_from([0.5, 2.0, 1024.0]),
)
def test_utilities_depend_on_the_order_alone(values, scale):
    values = np.array(values)
    utilities = rank_utilities(values)
    assert utilities.sum() == pytest.approx(0, abs=1e-12)
    np.testing.assert_allclose(rank_utilities(values * scale + 1), utilities)
    order = np.argsort(values)
    assert np.all(np.diff(utilities[order]) >= -1e-12)
    ties = np.diff(values[order]) == 0
    np.testing.assert_allclose(np.diff(utilities[order])[ties], 0, atol=1e-12)


def test_the_evolution_step_is_a_natural_gradient():
    """One generation from mean 0, by loops over points and coordinates."""
    config = EvolutionConfig(
        population=6, generations=1, initial_deviation=0.3, mean_learning_rate=0.8
    )
    seen = []

    def objective(points):
        seen.append(points)
        return concave(points)

    result = SEARCHES["es"].load()(objective, 3, config, 5)
    points = seen[0]
    np.testing.assert_allclose(points[:3], -points[3:])  # mirrored around the mean 0
    utilities = rank_utilities(concave(points))
    expected = np.zeros(3)
    for d in range(3):
        for i in range(6):
            # ∇_m log N(x; m, s) = (x - m) / s², times the inverse Fisher information s².
            expected[d] += 0.8 * utilities[i] * 0.3**2 * points[i, d] / 0.3**2
    np.testing.assert_allclose(result.best, expected, rtol=1e-12)


def test_a_flat_objective_moves_no_evolution():
    config = EvolutionConfig(population=8, generations=5)
    result = SEARCHES["es"].load()(lambda p: np.ones(len(p)), 4, config, 0)
    np.testing.assert_allclose(result.best, np.zeros(4), atol=1e-12)


def test_the_cross_entropy_step_is_the_elites_fit():
    config = CemConfig(population=10, generations=1, elite_share=0.3, smoothing=0.6)
    seen = []

    def objective(points):
        seen.append(points)
        return concave(points)

    result = SEARCHES["cem"].load()(objective, 3, config, 2)
    ranked = sorted(seen[0].tolist(), key=lambda point: -concave(np.array([point]))[0])
    np.testing.assert_allclose(result.best, 0.6 * np.mean(ranked[:3], axis=0), rtol=1e-12)


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("grid", {}, "no search 'grid'; there are: constant, bo, es, cem"),
        ("cem", {"elites": 3}, "CemConfig has no 'elites'"),
        ("cem", {"elite_share": 0.0}, r"elite_share is a share in \(0, 1\]"),
        ("cem", {"low": 1.0}, "low < high"),
        ("cem", {"initial_deviation": -1.0}, "initial_deviation must be positive"),
        ("es", {"population": 7}, "population must be even"),
        ("es", {"bounds": [1, 1]}, "low < high"),
        ("es", {"mean_learning_rate": 0.0}, "mean_learning_rate must be positive"),
        ("bo", {"rounds": 0}, "rounds must be at least 1, got 0"),
        ("bo", {"confidence": float("nan")}, "confidence must be at least 0"),
    ],
)
def test_bad_settings_are_refused(name, values, message):
    with pytest.raises(ValueError, match=message):
        SEARCHES[name].config.from_dict(values)


def test_settings_come_from_json():
    assert EvolutionConfig.from_dict({"bounds": [-1, 1], "population": 8}) == EvolutionConfig(
        population=8, bounds=(-1, 1)
    )
