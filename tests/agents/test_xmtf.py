"""xMTF's two-stage hybrid training against NumPy: (13) to (18), Algorithm 1, its ablations."""

import dataclasses
import math

import numpy as np
import pytest
import tensorflow as tf
from tf_agents.trajectories import time_step as ts
from tf_agents.trajectories import trajectory

from mtfx.agents.config import XmtfConfig
from mtfx.agents.xmtf import build_xmtf
from mtfx.agents.xmtf_inner_stage import InnerStage
from mtfx.models.action_policy import MASK, PREDICTIONS, STATE
from mtfx.models.fusion.config import CellsConfig
from mtfx.models.pairwise import violations
from tests.agents.numpy_networks import actor, critic, draw, moved, shift, slope, values_of

STATES, CANDIDATES, TASKS, ROWS = 4, 5, 3, 6
CONFIG = XmtfConfig(
    hidden_units=(7, 6),
    gamma=0.8,
    target_update_tau=0.3,
    monotonicity_weight=0.4,
    cells=CellsConfig(hidden_units=(5,)),
)


def small_agent(**changes):
    agent = build_xmtf(STATES, CANDIDATES, TASKS, dataclasses.replace(CONFIG, **changes), seed=1)
    shift([agent.actor, agent.target_actor, agent.critic, agent.target_critic])
    return agent


@pytest.fixture
def agent():
    return small_agent()


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(5)
    return {
        STATE: draw(ROWS, STATES),
        "next": draw(ROWS, STATES, seed=1),
        "action": np.tanh(draw(ROWS, TASKS, seed=2)),
        "reward": draw(ROWS, seed=3),
        "discount": np.resize([1.0, 0.0, 1.0], ROWS).astype(np.float32),
        PREDICTIONS: rng.integers(1, 9, (ROWS, CANDIDATES, TASKS)).astype(np.float32) / 10,
        MASK: rng.random((ROWS, CANDIDATES)) < 0.8,
    }


def experience(data):
    def pair(first, second=None):
        return tf.stack([first, first if second is None else second], axis=1)

    zeros = np.zeros(ROWS, np.float32)
    following = np.where(data["discount"] > 0, ts.StepType.MID, ts.StepType.LAST)
    middle = np.full(ROWS, ts.StepType.MID)
    return trajectory.Trajectory(
        step_type=pair(middle, following),
        observation={
            STATE: pair(data[STATE], data["next"]),
            PREDICTIONS: pair(data[PREDICTIONS]),
            MASK: pair(data[MASK]),
        },
        action=pair(data["action"]),
        policy_info=(),
        next_step_type=pair(following, middle),
        reward=pair(data["reward"], zeros),
        discount=pair(data["discount"], zeros),
    )


def targets_by_hand(agent, data):
    actions = actor(agent.target_actor, data["next"])
    future = critic(agent.target_critic, data["next"], actions)
    return data["reward"] + 0.8 * data["discount"] * future


def test_targets_do_not_bootstrap_after_the_end(agent, data):
    given = {**data, "next": np.where(data["discount"][:, None] > 0, data["next"], np.nan)}
    found = agent.td_targets(*(tf.constant(given[k]) for k in ("reward", "discount", "next")))
    np.testing.assert_allclose(found, targets_by_hand(agent, data), rtol=1e-4)
    over = data["discount"] == 0
    np.testing.assert_array_equal(found.numpy()[over], data["reward"][over])


def test_critic_and_actor_losses(agent, data):
    targets = targets_by_hand(agent, data)
    found = agent.critic_loss(
        tf.constant(data[STATE]), tf.constant(data["action"]), tf.constant(targets, tf.float32)
    )
    values = critic(agent.critic, data[STATE], data["action"])
    assert float(found) == pytest.approx(np.mean((values - targets) ** 2), rel=1e-4)
    wanted = -critic(agent.critic, data[STATE], actor(agent.actor, data[STATE])).mean()
    assert float(agent.actor_loss(tf.constant(data[STATE]))) == pytest.approx(wanted, rel=1e-4)


def test_the_actors_gradient_is_the_deterministic_policy_gradient(agent, data):
    variables = agent.actor.trainable_variables
    with tf.GradientTape() as tape:
        loss = agent.actor_loss(tf.constant(data[STATE]))
    gradients = tape.gradient(loss, variables)
    for place, index in ((0, (0, 1)), (2, (2, 3)), (4, (1, 0))):
        variable, gradient = variables[place], gradients[place]
        wanted = slope(
            lambda: -critic(agent.critic, data[STATE], actor(agent.actor, data[STATE])).mean(),
            variable,
            index,
        )
        assert float(gradient[index]) == pytest.approx(wanted, rel=1e-2, abs=1e-4)


def inner_by_hand(agent, data, states, actions):
    """(17) summed over k, and (16), per pair of a request, by loops."""
    scale, margin = agent.config.cell_scale, agent.config.monotonicity_margin
    inner = agent.fusion.cells.values(tf.constant(data[PREDICTIONS]), tf.constant(states)).numpy()
    a = np.where(actions < 0, 0.45 * actions, 4.0 * actions)
    labels = (inner * (1 + a[:, None] * inner)).sum(axis=2)
    inner = scale * inner
    scores = inner.sum(axis=2)
    mono, transfer = np.zeros(ROWS), np.zeros(ROWS)
    for b in range(ROWS):
        present = np.flatnonzero(data[MASK][b])
        pairs = len(present) * (len(present) - 1) / 2
        for i in present:
            for j in present:
                for k in range(TASKS):
                    if data[PREDICTIONS][b, i, k] < data[PREDICTIONS][b, j, k]:
                        mono[b] += max(0, margin * scale + inner[b, i, k] - inner[b, j, k])
                if labels[b, i] < labels[b, j]:
                    transfer[b] -= np.log(1 / (1 + np.exp(scores[b, i] - scores[b, j])))
        if pairs:
            mono[b], transfer[b] = mono[b] / pairs, transfer[b] / pairs
    return mono.mean(), transfer.mean()


def test_the_inner_stages_losses(agent, data):
    found = agent.inner_stage.losses(
        *(tf.constant(data[name]) for name in (PREDICTIONS, MASK, STATE, "action"))
    )
    wanted = inner_by_hand(agent, data, data[STATE], data["action"])
    np.testing.assert_allclose(found, wanted, rtol=1e-4)
    assert float(agent.inner_stage.loss(*found)) == pytest.approx(
        0.4 * wanted[0] + 0.6 * wanted[1], rel=1e-4
    )


def test_labels_of_the_transfer_are_constants(agent, data):
    """The gradient of (16) is that of the scores: the numerical one with labels held fixed."""
    arguments = [tf.constant(data[name]) for name in (PREDICTIONS, MASK, STATE, "action")]
    kernel = agent.fusion.cells.kernels[0]
    with tf.GradientTape() as tape:
        _, transfer = agent.inner_stage.losses(*arguments)
    gradient = tape.gradient(transfer, kernel).numpy()
    index = (0, 2, 0)

    def loss():
        # The pairs' order does not change in so small a step.
        return inner_by_hand(agent, data, data[STATE], data["action"])[1]

    assert gradient[index] == pytest.approx(slope(loss, kernel, index), rel=0.05, abs=1e-4)


def test_a_step_does_algorithm_1_in_its_order(agent, data):
    before = {
        name: values_of(network)
        for name, network in (
            ("critic", agent.critic),
            ("actor", agent.actor),
            ("cells", agent.fusion.cells),
            ("target_critic", agent.target_critic),
        )
    }
    agent.normalizer.update(tf.constant(data[STATE]))  # as the step does; twice changes nothing
    states = agent.normalized(tf.constant(data[STATE])).numpy()
    after = agent.normalized(tf.constant(data["next"])).numpy()
    targets = targets_by_hand(agent, {**data, "next": after})
    values = critic(agent.critic, states, data["action"])
    info = agent.train(experience(data))
    assert float(info.extra.critic_loss) == pytest.approx(
        np.mean((values - targets) ** 2), rel=1e-3
    )
    for name in ("critic", "actor"):
        assert moved(before[name], getattr(agent, name))
    assert moved(before["cells"], agent.fusion.cells)
    for old, target, now in zip(
        before["target_critic"],
        values_of(agent.target_critic),
        values_of(agent.critic),
        strict=True,
    ):
        np.testing.assert_allclose(target, 0.7 * old + 0.3 * now, rtol=1e-4, atol=1e-6)
    assert int(agent.train_step_counter) == 1


def test_states_are_normalised_by_what_was_trained_on(agent, data):
    agent.train(experience(data))
    deviation = data[STATE].std(axis=0)
    np.testing.assert_allclose(
        agent.normalized(tf.constant(data[STATE])),
        (data[STATE] - data[STATE].mean(axis=0)) / deviation,
        atol=5e-3,
    )


def test_without_the_outer_stage_nothing_is_learned_by_reinforcement(data):
    agent = small_agent(outer_stage=False)
    before = values_of(agent.actor), values_of(agent.critic)
    info = agent.train(experience(data))
    assert not moved(before[0], agent.actor)
    assert not moved(before[1], agent.critic)
    assert float(info.extra.critic_loss) == 0
    assert float(info.extra.transfer_loss) > 0
    np.testing.assert_array_equal(agent.greedy_actions(tf.constant(data[STATE])), 0)


def test_without_the_inner_stage_predictions_are_fused(data):
    agent = small_agent(inner_stage=False)
    info = agent.train(experience(data))
    assert agent.fusion.cells is None
    assert float(info.extra.transfer_loss) == 0
    assert float(info.extra.critic_loss) > 0


@pytest.mark.parametrize("family", ["basis", pytest.param("mlp", marks=pytest.mark.slow)])
def test_the_inner_stage_learns_the_outer_ones_order(family, data):
    """What a constant outer stage asks for, the inner stage comes to do by itself."""
    agent = small_agent(
        cells=CellsConfig(family, hidden_units=(16,)),
        inner_learning_rate=1e-2,
        actor_learning_rate=1e-12,
    )
    first = agent.train(experience(data)).extra
    step = tf.function(agent.train, autograph=False)
    for _ in range(200):
        last = step(experience(data)).extra
    assert float(last.transfer_loss) < 0.8 * float(first.transfer_loss)
    assert float(last.monotonicity_loss) <= float(first.monotonicity_loss) + 1e-6
    values = agent.fusion.inner(tf.constant(data[PREDICTIONS]), agent.normalized(data[STATE]))
    wrong = violations(tf.constant(data[PREDICTIONS]), values, tf.constant(data[MASK]))
    assert float(tf.reduce_max(wrong)) < 0.02


def values_after(steps, config, predictions, mask, states, labels=None):
    """The cells' values after steps of (18), with an order of ours in the outer stage's place."""
    stage = InnerStage(TASKS, STATES, config, seed=0)
    if labels is not None:
        stage.fusion.outer.values = lambda inner, action: labels
    step, neutral = tf.function(stage.train, autograph=False), tf.zeros([len(states), TASKS])
    for _ in range(steps):
        step(predictions, mask, states, neutral, tf.constant(0))
    return stage.fusion.inner(predictions, states)


def requests():
    """Predictions, mask and states of eight requests with 24 candidates each."""
    rows, candidates = 8, 24
    predictions = tf.random.stateless_uniform([rows, candidates, TASKS], [1, 2])
    return predictions, tf.ones([rows, candidates], tf.bool), tf.constant(draw(rows, STATES))


def spread(values):
    """Standard deviation over a request's candidates, by cell."""
    return tf.reduce_mean(tf.math.reduce_std(values, axis=1), axis=0).numpy()


def test_a_hinge_leaves_cells_alone_whose_order_is_right(data):
    """The BPR loss does not: it drives them to the ends of [0, 1]."""
    observed = [tf.constant(data[name]) for name in (PREDICTIONS, MASK, STATE)]
    hinge, bpr = (
        spread(
            values_after(
                150,
                XmtfConfig(
                    transfer=transfer,
                    monotonicity_margin=0.0,
                    cells=CellsConfig(hidden_units=(8,)),
                    inner_learning_rate=3e-2,
                ),
                *observed,
            )
        ).mean()
        for transfer in ("hinge", "bpr")
    )
    assert 2 * hinge < bpr


def test_an_order_that_is_handed_down_is_learnt():
    """By the BPR loss only where cells have room: in [0, 1] it prefers steps to the right order."""
    predictions, mask, states = requests()
    # An order that the cells could have, which no outer stage's need be.
    labels = tf.reduce_sum(tf.constant([1.0, 0.4, 0.1]) * predictions, axis=-1)[..., tf.newaxis]

    def wrong_pairs(transfer, scale):
        config = XmtfConfig(
            transfer=transfer,
            cell_scale=scale,
            # A margin keeps the third cell from being as flat as the order would have it.
            monotonicity_margin=0.0,
            cells=CellsConfig("basis", hidden_units=(8,)),
            inner_learning_rate=1e-2,
        )
        values = values_after(400, config, predictions, mask, states, labels)
        return float(violations(labels, tf.reduce_sum(values, -1, keepdims=True), mask)[0])

    assert wrong_pairs("hinge", 1.0) < 0.01
    wide = wrong_pairs("bpr", 10.0)
    assert wide < 0.04
    assert wrong_pairs("bpr", 1.0) > 4 * max(wide, 0.01)


def test_with_a_margin_no_cell_goes_flat():
    """Where one prediction decides, (17) has nothing against cells that do not look at theirs."""
    predictions, mask, states = requests()

    def flattest(margin):
        config = XmtfConfig(
            monotonicity_margin=margin,
            cells=CellsConfig(hidden_units=(8,)),
            inner_learning_rate=1e-2,
        )
        values = values_after(150, config, predictions, mask, states, labels=predictions[..., :1])
        return spread(values).min()

    assert flattest(XmtfConfig().monotonicity_margin) > 3 * flattest(0.0)


def test_the_policy_acts_from_the_state_alone(agent, data):
    step = ts.restart({name: tf.constant(data[name]) for name in (STATE, PREDICTIONS, MASK)}, ROWS)
    np.testing.assert_allclose(
        agent.policy.action(step).action, agent.greedy_actions(tf.constant(data[STATE]))
    )
    assert len(agent.policy.variables()) >= len(agent.actor.variables)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"monotonicity_weight": 1.1}, "share in"),
        ({"inner_stage": False, "outer_stage": False}, "keep one"),
        ({"inner_learning_rate": 0}, "inner_learning_rate must be positive"),
        ({"cell_scale": 0}, "cell_scale must be positive"),
        ({"monotonicity_margin": -0.1}, "monotonicity_margin is a share in"),
        ({"monotonicity_margin": 1.0}, "monotonicity_margin is a share in"),
        ({"monotonicity_margin": math.nan}, "monotonicity_margin is a share in"),
    ],
)
def test_bad_settings_are_named(values, words):
    with pytest.raises(ValueError, match=words):
        XmtfConfig(**values)


def test_settings_survive_json():
    values = CONFIG.to_dict()
    values["cells"]["hidden_units"] = list(values["cells"]["hidden_units"])
    assert XmtfConfig.from_dict({**values, "hidden_units": [7, 6]}) == CONFIG


def test_sizes_are_checked():
    with pytest.raises(ValueError, match="need a size, got 0, 5 and 3"):
        build_xmtf(0, CANDIDATES, TASKS)
