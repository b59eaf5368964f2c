"""Equations (9), (10) and Algorithm 2 against NumPy, and on an MDP that is solved exactly."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from mtfx.evaluation.ope.config import ConservativeConfig, FittedQConfig
from mtfx.evaluation.ope.data import OfflineData
from mtfx.evaluation.ope.fitted_q import (
    ConservativeEstimator,
    FittedQEvaluation,
    fit_diagnostics,
    largest_return,
)
from mtfx.evaluation.ope.q_fitting import (
    FitHistory,
    PolicyActions,
    batch_rows,
    bellman_gap,
    draw_policy_actions,
    fit_q,
)
from mtfx.evaluation.ope.q_network import QNetwork, conservative_loss, td_targets
from mtfx.evaluation.ope.registry import build_estimator
from mtfx.models.action_policy import ActionSample

GAMMA = 0.9
LINEAR = ConservativeConfig(
    gamma=GAMMA,
    steps=7,
    batch_size=16,
    learning_rate=0.03,
    hidden_units=(),
    target_update=0.3,
    cosine_decay=False,
    normalise_states=False,
    normalise_returns=False,
    penalty=0.05,
)
MLP = FittedQConfig(
    gamma=GAMMA, steps=400, batch_size=512, learning_rate=3e-3, hidden_units=(32,), num_actions=4
)


def continuous_data(sessions=30, seed=0):
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, 5, sessions)
    count = lengths.sum()
    return OfflineData.from_arrays(
        states=rng.normal(size=(count, 3)),
        actions=rng.uniform(-1, 1, (count, 2)),
        rewards=rng.normal(size=count),
        next_states=rng.normal(size=(count, 3)),
        discounts=np.concatenate([np.r_[np.ones(n - 1), 0] for n in lengths]),
        session=np.repeat(np.arange(sessions), lengths),
        step=np.concatenate([np.arange(n) for n in lengths]),
    )


@pytest.fixture(scope="module")
def fixed_policy(finite):
    return finite.FunctionPolicy(lambda states: tf.tanh(states[:, :2] - 0.3))


def numpy_returns(data, gamma):
    """Each transition's discounted rewards up to its session's end, one by one."""
    rewards, discounts = data.rewards.numpy().astype(float), data.discounts.numpy().astype(float)
    where = {
        key: i for i, key in enumerate(zip(data.session.numpy(), data.step.numpy(), strict=True))
    }
    returns = np.zeros(len(rewards))
    for session, step in sorted(where, key=lambda key: -key[1]):
        ahead = where.get((session, step + 1))
        i = where[session, step]
        returns[i] = rewards[i] + gamma * discounts[i] * (0 if ahead is None else returns[ahead])
    return returns


def numpy_algorithm_2(data, config, penalty, weights, seed):
    """Algorithm 2 for Q(s, a) = [s, a, 1] w, with the misprints of lines 4 and 6 put right."""
    states, actions, following = (
        t.numpy().astype(float) for t in (data.states, data.actions, data.next_states)
    )
    mean, scale = 0.0, 1.0
    if config.normalise_returns:
        returns = numpy_returns(data, config.gamma)
        mean, scale = np.mean(returns), np.std(returns)
    policy = lambda s: np.tanh(s[:, :2] - 0.3)  # noqa: E731
    features = lambda s, a: np.concatenate([s, a, np.ones((len(s), 1))], axis=1)  # noqa: E731
    w = weights.copy()
    slow, first, second = w.copy(), np.zeros_like(w), np.zeros_like(w)
    for k in range(config.steps):
        i = batch_rows(len(states), config.batch_size, seed, tf.constant(k)).numpy()
        logged, played = features(states[i], actions[i]), features(states[i], policy(states[i]))
        q_next = features(following[i], policy(following[i])) @ slow * scale + mean
        y = data.rewards.numpy()[i] + config.gamma * data.discounts.numpy()[i] * q_next
        error = logged @ w * scale + mean - y
        gradient = penalty * scale * (played.mean(axis=0) - logged.mean(axis=0))
        gradient += scale * (error[:, None] * logged).mean(axis=0)
        first = 0.9 * first + 0.1 * gradient
        second = 0.999 * second + 0.001 * gradient**2
        decay = 0.5 * (1 + np.cos(np.pi * k / config.steps)) if config.cosine_decay else 1.0
        rate = config.learning_rate * decay * np.sqrt(1 - 0.999 ** (k + 1)) / (1 - 0.9 ** (k + 1))
        w -= rate * first / (np.sqrt(second) + 1e-7)
        slow += config.target_update * (w - slow)
    return w


@pytest.mark.parametrize("penalty", [0.0, 0.05])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"target_update": 1.0},
        {"cosine_decay": True},
        {"normalise_returns": True},
    ],
    ids=str,
)
def test_the_fit_is_algorithm_2(fixed_policy, penalty, changes):
    data = continuous_data()
    config = dataclasses.replace(LINEAR, **changes)
    kernel, bias = QNetwork(data, config, seed=3).weights
    start = np.append(kernel.numpy()[:, 0], bias.numpy()).astype(float)
    actions = draw_policy_actions(data, fixed_policy, data.initial_rows(), 10, seed=0)
    assert actions.now.shape[1] == 1  # deterministic, so asked once
    q, history = fit_q(data, actions, config, penalty, seed=3)
    found = np.append(q.weights[0].numpy()[:, 0], q.weights[1].numpy())
    expected = numpy_algorithm_2(data, config, penalty, start, seed=3)
    assert np.abs(found - start).max() > 0.1
    np.testing.assert_allclose(found, expected, atol=2e-5)
    assert history.steps[-1] == config.steps


def test_loss_and_targets_by_hand():
    q_data, q_policy = np.array([1.0, -2.0]), np.array([3.0, 0.5])
    y = np.array([0.5, 1.0])
    loss = conservative_loss(*(tf.constant(x, tf.float32) for x in (q_data, q_policy, y)), 0.1)
    assert float(loss) == pytest.approx(0.1 * (1.75 + 0.5) + 0.5 * (0.25 + 9.0) / 2)
    plain = conservative_loss(tf.constant(q_data), None, tf.constant(y), 0.0)
    assert float(plain) == pytest.approx(0.5 * (0.25 + 9.0) / 2)
    targets = td_targets(
        tf.constant([1.0, 2.0]), tf.constant([1.0, 0.0]), tf.constant([4.0, np.nan]), 0.5
    )
    assert targets.numpy().tolist() == [3.0, 2.0]


def test_the_value_is_the_mean_over_initial_states_and_actions(log, finite):
    # (9): each initial state's Q, averaged over the policy's actions.
    *_, data = log
    q = QNetwork(data, MLP, seed=0)
    states = tf.gather(data.states, data.initial_rows()[:7])
    actions = tf.constant(np.random.default_rng(0).uniform(-1, 1, (7, 4, 2)), tf.float32)
    expected = [
        np.mean([q(s[None], a[None]).numpy()[0] for a in row])
        for s, row in zip(states, actions, strict=True)
    ]
    np.testing.assert_allclose(q.state_values(states, actions), expected, rtol=1e-5)


def fixed_point(data, penalty):
    """Where the expected gradient of a linear Q vanishes, with the policy of ``fixed_policy``."""
    states, actions, following = (
        t.numpy().astype(float) for t in (data.states, data.actions, data.next_states)
    )
    one = np.ones((len(states), 1))
    logged = np.concatenate([states, actions, one], axis=1)
    played = np.concatenate([states, np.tanh(states[:, :2] - 0.3), one], axis=1)
    ahead = np.concatenate([following, np.tanh(following[:, :2] - 0.3), one], axis=1)
    discount = GAMMA * data.discounts.numpy()[:, None]
    matrix = logged.T @ (logged - discount * ahead) / len(states)
    push = penalty * (played.mean(axis=0) - logged.mean(axis=0))
    weights = np.linalg.solve(matrix, logged.T @ data.rewards.numpy() / len(states) - push)
    return float((played @ weights)[data.initial_rows()].mean())


def test_a_linear_q_reaches_the_exact_fixed_point(fixed_policy):
    data = continuous_data(400)
    config = dataclasses.replace(LINEAR, steps=900, batch_size=2048, learning_rate=5e-3)
    for penalty in (0.0, 0.3):
        estimator = ConservativeEstimator(dataclasses.replace(config, penalty=penalty))
        estimate = estimator.estimate(data, fixed_policy, seed=1)
        assert estimate.value == pytest.approx(fixed_point(data, penalty), abs=0.02)
        assert estimate.low < estimate.value < estimate.high
        assert estimate.diagnostics["converged"]


def test_fqe_finds_the_value_and_the_conservative_one_is_below_it(log, finite):
    mdp, behaviour, target, data = log
    policy = finite.TabularPolicy(target)
    truth = mdp.value(target)
    fqe = FittedQEvaluation(MLP).estimate(data, policy, seed=0)
    assert fqe.value == pytest.approx(truth, abs=0.1)
    assert fqe.value < mdp.value(behaviour) - 0.5
    penalty = 0.2
    config = ConservativeConfig(**vars(MLP), penalty=penalty)
    conservative = ConservativeEstimator(config).estimate(data, policy, seed=0)
    lowered = mdp.rewards - penalty * (target / behaviour - 1)
    bound = mdp.value(target, lowered)
    assert bound < truth - 0.2
    assert conservative.value == pytest.approx(bound, abs=0.1)
    assert conservative.diagnostics["actions_per_state"] == MLP.num_actions


def chain(next_reward):
    """Two-step sessions: what comes after the first step is worth ``next_reward``."""
    first, second = [1.0, 0.0], [0.0, 1.0]
    return OfflineData.from_arrays(
        states=np.array([first, second] * 40),
        actions=np.zeros((80, 1)),
        rewards=np.array([0.0, next_reward] * 40),
        next_states=np.array([second, [np.nan, np.nan]] * 40),
        discounts=np.array([1.0, 0.0] * 40),
        session=np.repeat(np.arange(40), 2),
        step=np.array([0, 1] * 40),
    )


def test_the_bootstrap_uses_the_next_state_and_stops_at_the_end(finite):
    # Bootstrapped from its own state (d3rlpy#226, Algorithm 2 as printed), the first state would
    # be worth 0; bootstrapped past the end, the second would be worth more than its reward.
    policy = finite.FunctionPolicy(lambda states: 0.0 * states[:, :1])
    config = dataclasses.replace(MLP, steps=800, normalise_states=False)
    estimate = FittedQEvaluation(config).estimate(chain(2.0), policy, seed=0)
    assert estimate.value == pytest.approx(GAMMA * 2.0, abs=0.02)


@pytest.mark.parametrize("reward", [2.0**-30, 2.0**30])
def test_values_have_the_unit_of_the_rewards(finite, reward):
    policy = finite.FunctionPolicy(lambda states: 0.0 * states[:, :1])
    config = dataclasses.replace(MLP, steps=40, normalise_states=False)
    found = FittedQEvaluation(config).estimate(chain(reward), policy, seed=0)
    # Small gradients drown in Adam's epsilon: not closer.
    assert found.value / reward == pytest.approx(GAMMA, abs=0.1)


def test_a_fit_begins_at_the_returns_of_the_data(finite):
    # Few steps at a low rate: of values near 1,000, a network that begins at 0 learns none.
    policy = finite.FunctionPolicy(lambda states: 0.0 * states[:, :1])
    few = dataclasses.replace(MLP, steps=40, normalise_states=False)
    found, from_zero = (
        FittedQEvaluation(dataclasses.replace(few, normalise_returns=normalised))
        .estimate(chain(1000.0), policy, seed=0)
        .value
        for normalised in (True, False)
    )
    assert found == pytest.approx(GAMMA * 1000.0, rel=0.02)
    assert from_zero < 100.0


@pytest.mark.parametrize("reward", [0.0, 3.0])
def test_returns_that_are_all_the_same_leave_the_penalty_its_effect(finite, reward):
    # With their deviation of 0 as its unit, no step would move the network.
    one_step = OfflineData.from_arrays(
        states=np.ones((40, 1)),
        actions=np.full((40, 1), 0.5),
        rewards=np.full(40, reward),
        next_states=np.ones((40, 1)),
        discounts=np.zeros(40),
        session=np.arange(40),
        step=np.zeros(40),
    )
    policy = finite.FunctionPolicy(lambda states: 0.0 * states - 0.5)
    config = dataclasses.replace(MLP, steps=200, normalise_states=False)
    exact = FittedQEvaluation(config).estimate(one_step, policy, seed=0)
    lowered = ConservativeEstimator(ConservativeConfig(**vars(config), penalty=0.5)).estimate(
        one_step, policy, seed=0
    )
    assert exact.value == pytest.approx(reward, abs=0.2)
    assert lowered.value < exact.value - 0.3


def test_several_fits_are_averaged_and_each_has_its_own_sessions(log, finite, monkeypatch):
    *_, target, data = log
    config = dataclasses.replace(MLP, steps=5, num_fits=2, num_initial_states=50, num_actions=1)
    policy = finite.TabularPolicy(target)
    pools = []

    def recording(*args):
        pools.append(args[-1])
        return fit_q(*args)

    monkeypatch.setattr("mtfx.evaluation.ope.fitted_q.fit_q", recording)
    estimate = FittedQEvaluation(config).estimate(data, policy, seed=0)
    fits = estimate.diagnostics["fit_values"]
    assert len(set(fits)) == 2
    assert estimate.value == pytest.approx(np.mean(fits))
    assert estimate.num_sessions == 50
    assert FittedQEvaluation(config).estimate(data, policy, seed=0).value == estimate.value
    for pool in pools[:2]:
        # Whole sessions, some of them not at all and some more than once.
        times = np.bincount(pool, minlength=data.num_transitions)
        session = data.session.numpy()
        per_session = [set(times[session == number]) for number in range(data.num_sessions)]
        assert all(len(found) == 1 for found in per_session)
        drawn = np.array([found.pop() for found in per_session])
        assert drawn.sum() == data.num_sessions
        assert drawn.min() == 0
        assert drawn.max() > 1
    assert not np.array_equal(*pools[:2])
    one = dataclasses.replace(config, num_fits=1)
    FittedQEvaluation(one).estimate(data, policy, seed=0)
    assert pools[-1] is None


def test_a_pool_says_which_rows_are_learnt_from(fixed_policy):
    data = continuous_data(40)
    inside = data.session < 15
    others = dataclasses.replace(data, rewards=tf.where(inside, data.rewards, 5.0))
    actions = draw_policy_actions(data, fixed_policy, data.initial_rows(), 10, seed=0)
    pool = np.flatnonzero(inside)
    first, second = (fit_q(each, actions, LINEAR, 0.0, 3, pool)[0] for each in (data, others))
    np.testing.assert_array_equal(first.weights[0], second.weights[0])
    everything, _ = fit_q(others, actions, LINEAR, 0.0, 3)
    assert np.abs(everything.weights[0] - second.weights[0]).max() > 0.01


@pytest.mark.parametrize(
    ("values", "gap", "converged"),
    [
        ([1.0, 4.95, 5.0, 5.05], 0.1, True),
        ([1.0, 4.0, 4.99, 5.0], 0.1, False),  # the last steps move nothing, the second half does
        ([5.0, 5.0, 5.0, 5.0], 0.3, False),  # hardly begun: nothing moves, and much is to come
        ([5.0, 5.0, 5.0, 5.0], -0.3, False),
        ([-5.0], 0.0, False),
        ([5.0, 5.0, 5.0, float("nan")], float("nan"), False),
    ],
)
def test_a_value_that_still_moves_has_not_converged(values, gap, converged):
    steps = list(range(10, 10 * len(values) + 1, 10))
    history = FitHistory(steps, [0.5] * len(values), values, gap)
    still = FitHistory(steps, [0.1] * len(values), [2.0] * len(values), 0.0)
    histories = [still, history] if len(values) > 1 else [history]
    found = fit_diagnostics(histories, continuous_data(), 0.9)
    assert found["converged"] == converged
    middle = values[len(values) // 2 - 1] if len(values) > 1 else 0.0
    assert found["value_drift"] == pytest.approx(values[-1] - middle, nan_ok=True)
    assert found["bellman_gap"] == pytest.approx(gap, nan_ok=True)
    assert found["td_loss"] == 0.5
    assert found["largest_return"] == largest_return(continuous_data().rewards, 0.9)


@pytest.mark.parametrize(
    ("steps", "arrives"),
    [(1, False), (20, False), (200, False), (1500, True)],
)
@pytest.mark.parametrize("estimator", ["fqe", "conservative"])
def test_converged_is_said_of_the_true_value_alone(estimator, steps, arrives):
    """However few the steps, the rate ends at 0; a fit that stops short says so."""
    length, gamma = 20, 0.95
    rng = np.random.default_rng(0)
    step = np.tile(np.arange(length), 100)
    states = np.stack([rng.uniform(-1, 1, len(step)), step / length], axis=1)
    actions = rng.uniform(-1, 1, (len(step), 1))
    data = OfflineData.from_arrays(
        states=states,
        actions=actions,
        rewards=1 - (actions - states[:, :1])[:, 0] ** 2,
        next_states=np.roll(states, -1, axis=0),
        discounts=step < length - 1,
        session=np.repeat(np.arange(100), length),
        step=step,
    )

    class Halved:
        def actions(self, states, users, seed):
            return ActionSample(
                states[:, :1] / 2, tf.fill([tf.shape(states)[0]], np.float32("nan"))
            )

    fit = {"gamma": gamma, "steps": steps, "learning_rate": 1e-3, "hidden_units": (64,)}
    config = FittedQConfig(**fit) if estimator == "fqe" else ConservativeConfig(**fit, penalty=1e-3)
    found = build_estimator(estimator, config).estimate(data, Halved(), seed=0)
    truth = 11 / 12 * sum(gamma**t for t in range(length))
    assert (abs(found.value / truth - 1) < 0.1) == arrives
    assert found.diagnostics["converged"] == arrives


@given(
    value=st.floats(-10, 10),
    gamma=st.floats(0, 1),
    lengths=st.lists(st.integers(1, 5), min_size=1, max_size=4),
)
@settings(max_examples=30)
def test_the_gap_is_what_one_more_sweep_would_add_over_a_session(value, gamma, lengths):
    class Flat:
        def state_values(self, states, actions):
            return tf.fill([tf.shape(states)[0]], np.float32(value))

        def __call__(self, states, actions):
            return tf.fill([tf.shape(states)[0]], np.float32(value))

    step = np.concatenate([np.arange(length) for length in lengths])
    last = np.concatenate([np.arange(length) == length - 1 for length in lengths])
    size = len(step)
    data = OfflineData.from_arrays(
        states=np.zeros((size, 1)),
        actions=np.zeros((size, 1)),
        rewards=np.ones(size),
        next_states=np.where(last[:, None], np.nan, 0.0),
        discounts=~last,
        session=np.repeat(np.arange(len(lengths)), lengths),
        step=step,
    )
    asked = tf.zeros([size, 1, 1])
    actions = PolicyActions(asked, asked, asked[:1], data.states[:1])
    for counts in (None, np.where(data.session.numpy() == 0, 2, 1)):
        sessions = [2 if counts is not None else 1, *[1] * (len(lengths) - 1)]
        horizon = np.average([sum(gamma**t for t in range(n)) for n in lengths], weights=sessions)
        going_on = np.average(~last, weights=counts)
        gap = bellman_gap(Flat(), data, actions, gamma, counts)
        assert gap == pytest.approx((1 + gamma * going_on * value - value) * horizon, abs=1e-3)


@pytest.mark.parametrize(
    ("rewards", "gamma", "most"),
    [
        ([0.5, 2.0], 0.9, 20.0),
        ([0.5, 2.0], 1.0, None),
        ([-3.0, -1.0], 0.9, -1.0),
        ([0.0], 1.0, 0.0),
    ],
)
def test_no_session_earns_more_than_the_largest_reward_for_ever(rewards, gamma, most):
    found = largest_return(tf.constant(rewards), gamma)
    assert found == (most if most is None else pytest.approx(most))


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda s: tf.fill([tf.shape(s)[0], 2], np.nan), "not finite"),
        (lambda s: tf.fill([tf.shape(s)[0], 2], 1.5), r"out of \[-1, 1\], up to 1.5"),
        (lambda s: tf.zeros([tf.shape(s)[0], 3]), "have 3 columns, the data's 2"),
    ],
)
def test_policies_that_cannot_be_valued_are_refused(log, finite, function, message):
    with pytest.raises(ValueError, match=message):
        FittedQEvaluation(MLP).estimate(log[-1], finite.FunctionPolicy(function), seed=0)


def test_one_session_has_no_interval(finite, fixed_policy):
    data = continuous_data(3).take_sessions(np.array([1]))
    with pytest.raises(ValueError, match="hold 1 session; an interval needs at least two"):
        FittedQEvaluation(MLP).estimate(data, fixed_policy, seed=0)
