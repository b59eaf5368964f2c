"""Importance sampling and doubly robust estimates: by hand, and on an MDP whose truth is known."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from scipy import integrate, stats

from mtfx.evaluation.ope.config import (
    BootstrapConfig,
    DoublyRobustConfig,
    FittedQConfig,
    ImportanceSamplingConfig,
)
from mtfx.evaluation.ope.data import OfflineData
from mtfx.evaluation.ope.doubly_robust import DoublyRobust
from mtfx.evaluation.ope.importance_sampling import ImportanceSampling
from mtfx.evaluation.ope.policies import SmoothedPolicy
from mtfx.evaluation.ope.weights import session_weights, weighted_value

GAMMA = 0.9
PLAIN = ImportanceSamplingConfig(gamma=GAMMA, self_normalised=False)
NORMALISED = ImportanceSamplingConfig(gamma=GAMMA)
FEW = BootstrapConfig(resamples=50)
FIT = FittedQConfig(
    gamma=GAMMA, steps=200, batch_size=256, learning_rate=3e-3, hidden_units=(16,), num_actions=4
)


def sessions_of(data):
    """Row numbers of each session in the order of its steps, the slow way."""
    session, step = data.session.numpy(), data.step.numpy()
    return [
        sorted(np.flatnonzero(session == number), key=lambda row: step[row])
        for number in range(data.num_sessions)
    ]


def returns_by_loop(data, target_log_density, q, v, normalised, clip=np.inf):
    """Jiang and Li's recursion V = v(s) + rho (r + gamma V' - q), or WDR as a loop over steps."""
    ratio = np.exp(target_log_density - data.log_density.numpy().astype(float))
    rewards, rows = data.rewards.numpy().astype(float), sessions_of(data)
    if not normalised:
        values = []
        for session in rows:
            value = 0.0
            for row in reversed(session):
                value = v[row] + ratio[row] * (rewards[row] + GAMMA * value - q[row])
            values.append(value)
        return np.mean(values)
    total, weights = 0.0, np.ones(len(rows))
    for t in range(max(map(len, rows))):
        before = np.minimum(weights, clip)
        weights = np.array(
            [w * (ratio[s[t]] if t < len(s) else 1) for w, s in zip(weights, rows, strict=True)]
        )
        now = np.minimum(weights, clip)
        for i, session in enumerate(rows):
            if t < len(session):
                row = session[t]
                step = now[i] / now.sum() * (rewards[row] - q[row])
                total += GAMMA**t * (step + before[i] / before.sum() * v[row])
    return total


@pytest.fixture(scope="module")
def small(log, finite):
    *_, target, data = log
    data = data.take_sessions(np.arange(60))
    policy = finite.TabularPolicy(target)
    return data, policy, policy.log_density(data.states, data.actions).numpy().astype(float)


@pytest.mark.parametrize("config", [PLAIN, NORMALISED])
def test_importance_sampling_is_the_papers_sum(small, config):
    data, policy, density = small
    nothing = np.zeros(data.num_transitions)
    found = ImportanceSampling(config, FEW).estimate(data, policy, seed=0)
    expected = returns_by_loop(data, density, nothing, nothing, config.self_normalised)
    assert found.value == pytest.approx(expected, rel=1e-4)
    assert found.low < found.value < found.high
    assert found.diagnostics["bandwidth"] is None


@pytest.mark.parametrize("normalised", [True, False])
def test_doubly_robust_is_the_papers_recursion(small, normalised):
    data, policy, density = small
    rng = np.random.default_rng(0)
    q, v = rng.normal(size=(2, data.num_transitions))
    weights = session_weights(data, policy, PLAIN)
    rewards = data.rewards.numpy().astype(float)
    found = weighted_value(
        weights,
        np.where(weights.mask, (rewards - q)[weights.rows], 0),
        np.where(weights.mask, v[weights.rows], 0),
        np.ones((1, data.num_sessions)),
        self_normalised=normalised,
    )
    assert found[0] == pytest.approx(returns_by_loop(data, density, q, v, normalised), rel=1e-4)


def test_both_are_unbiased(log, finite):
    # Without normalisation, clipping or a Q fitted on the same sessions: the mean over many logs
    # is the truth, though the Q used here is wrong.
    # Rewards are raised: importance sampling then has the variance that a control variate takes.
    mdp, behaviour, target, _ = log
    mdp = dataclasses.replace(mdp, rewards=mdp.rewards + 2)
    policy, truth = finite.TabularPolicy(target), mdp.value(target)
    wrong = mdp.q(target) + np.array([[0.2, -0.1], [0.1, 0.1], [-0.2, 0.0]])
    found = {"importance sampling": [], "doubly robust": []}
    for seed in range(40):
        data = mdp.log(behaviour, 200, seed=100 + seed)
        weights = session_weights(data, policy, PLAIN)
        state = data.states.numpy().argmax(axis=1)
        action = data.actions.numpy().argmax(axis=1)
        rewards = data.rewards.numpy().astype(float)
        v, q = (target * wrong).sum(axis=1)[state], wrong[state, action]
        for name, residual, baseline in (
            ("importance sampling", rewards, 0 * v),
            ("doubly robust", rewards - q, v),
        ):
            value = weighted_value(
                weights,
                np.where(weights.mask, residual[weights.rows], 0),
                np.where(weights.mask, baseline[weights.rows], 0),
                np.ones((1, data.num_sessions)),
                self_normalised=False,
            )
            found[name].append(value[0])
    for name, values in found.items():
        error = np.std(values, ddof=1) / np.sqrt(len(values))
        assert abs(np.mean(values) - truth) < 3.5 * error, name
        assert error < 0.2
    assert np.std(found["doubly robust"]) < 0.8 * np.std(found["importance sampling"])


@pytest.mark.parametrize("folds", [1, 2])
def test_the_doubly_robust_estimator_finds_the_truth(log, finite, folds):
    mdp, _, target, data = log
    config = DoublyRobustConfig(weighting=PLAIN, fitted_q=FIT, folds=folds)
    estimate = DoublyRobust(config).estimate(data, finite.TabularPolicy(target), seed=0)
    assert estimate.low < mdp.value(target) < estimate.high
    assert estimate.high - estimate.low < 0.5
    assert {"effective_sample_size", "td_loss", "control_variate", "largest_return"} <= set(
        estimate.diagnostics
    )


def test_the_behaviour_policy_itself_has_even_weights(log, finite):
    _, behaviour, _, data = log
    figures = session_weights(data, finite.TabularPolicy(behaviour), PLAIN).diagnostics
    assert figures["effective_sample_size"] == pytest.approx(data.num_sessions, rel=1e-4)
    assert figures["largest_weight"] == pytest.approx(1, rel=1e-3)


def test_clipping_lowers_the_largest_weights_and_is_reported(small):
    data, policy, density = small
    config = ImportanceSamplingConfig(gamma=GAMMA, max_weight=1.5)
    weights = session_weights(data, policy, config)
    raw = np.exp(density - data.log_density.numpy().astype(float))
    cumulative = [np.cumprod(raw[rows]) for rows in sessions_of(data)]
    above = np.concatenate(cumulative) > 1.5
    assert weights.current.max() == pytest.approx(1.5)
    assert 0 < weights.diagnostics["clipped_share"] == pytest.approx(above.mean())
    whole = np.array([part[-1] for part in cumulative])
    size = whole.sum() ** 2 / (whole**2).sum()
    assert weights.diagnostics["effective_sample_size"] == pytest.approx(size, rel=1e-3)
    nothing = np.zeros(data.num_transitions)
    expected = returns_by_loop(data, density, nothing, nothing, True, clip=1.5)
    found = ImportanceSampling(config, FEW).estimate(data, policy, seed=0)
    assert found.value == pytest.approx(expected, rel=1e-4)


def test_the_smoothed_policy_has_the_density_it_draws_from(finite):
    policy = SmoothedPolicy(finite.FunctionPolicy(lambda s: 0.9 * tf.ones_like(s[:, :1])), 0.3)
    grid = np.linspace(-1, 1, 4001, dtype=np.float32)[:, None]
    density = np.exp(policy.log_density(tf.zeros([4001, 2]), tf.constant(grid)).numpy())
    assert integrate.simpson(density, x=grid[:, 0]) == pytest.approx(1, abs=1e-3)
    drawn = policy.actions(tf.zeros([4000, 2]), tf.zeros([4000], tf.int32), tf.constant([1, 2]))
    actions = drawn.action.numpy()[:, 0]
    assert np.abs(actions).max() <= 1
    law = stats.truncnorm((-1 - 0.9) / 0.3, (1 - 0.9) / 0.3, 0.9, 0.3)
    assert stats.kstest(actions, law.cdf).pvalue > 0.01
    np.testing.assert_allclose(drawn.log_density, law.logpdf(actions), atol=1e-3)


def test_a_smoothed_policy_is_valued(finite):
    # One-step sessions, uniform behaviour, reward a: the value is the smoothed policy's mean.
    rng = np.random.default_rng(0)
    action = rng.uniform(-1, 1, (4000, 1))
    ones = np.ones(4000)
    data = OfflineData.from_arrays(
        states=np.zeros((4000, 2)),
        actions=action,
        rewards=action[:, 0],
        next_states=np.zeros((4000, 2)),
        discounts=0 * ones,
        session=np.arange(4000),
        step=0 * ones,
        log_density=np.log(0.5) * ones,
    )
    policy = finite.FunctionPolicy(lambda s: 0.4 + 0 * s[:, :1])
    config = ImportanceSamplingConfig(gamma=GAMMA, bandwidth=0.2)
    estimate = ImportanceSampling(config).estimate(data, policy, seed=0)
    assert estimate.value == pytest.approx(stats.truncnorm(-7, 3, 0.4, 0.2).mean(), abs=0.02)
    assert estimate.diagnostics["bandwidth"] == 0.2
    assert 0.1 < estimate.diagnostics["effective_sample_size"] / 4000 < 0.5


def test_densities_are_needed(small, finite):
    data, policy, _ = small
    estimators = (ImportanceSampling(PLAIN), DoublyRobust(DoublyRobustConfig(PLAIN, FIT)))
    without = OfflineData(**{**vars(data), "log_density": data.log_density * np.nan})
    for estimator in estimators:
        with pytest.raises(
            ValueError, match=r"no log_density.*set a bandwidth.*conservative or fqe"
        ):
            estimator.estimate(data, finite.FunctionPolicy(lambda s: s[:, :2]), seed=0)
        with pytest.raises(ValueError, match="transitions have none: log it with the action"):
            estimator.estimate(without, policy, seed=0)
    with pytest.raises(ValueError, match="bandwidth must be positive"):
        SmoothedPolicy(policy, 0.0)


def test_a_policy_that_never_plays_what_was_logged(small, finite):
    data, *_ = small
    other = np.tile([[0.0, 1.0]], (3, 1))
    data = OfflineData(
        **{**vars(data), "actions": tf.constant(finite.POINTS[np.zeros(data.num_transitions, int)])}
    )
    plain = ImportanceSampling(PLAIN, FEW).estimate(data, finite.TabularPolicy(other), seed=0)
    assert plain.value == pytest.approx(0, abs=1e-6)
    assert plain.diagnostics["mean_weight"] == pytest.approx(0, abs=1e-6)
