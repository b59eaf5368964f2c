"""xMTF with a batch-constrained outer stage: it keeps to the log, and the inner stage learns."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from mtfx.agents.building import build_agent
from mtfx.agents.config import XmtfConfig
from mtfx.agents.offline_training import train_offline
from mtfx.agents.transition_tensors import candidate_tensors, experience, transition_tensors
from mtfx.models.action_policy import MASK, PREDICTIONS, STATE
from mtfx.models.fusion.config import CellsConfig
from mtfx.models.pairwise import violations
from tests.agents.numpy_networks import moved, values_of

ROWS, STATES, CANDIDATES, TASKS = 400, 3, 6, 2
CONFIG = XmtfConfig(
    hidden_units=(16, 16),
    actor_learning_rate=1e-3,
    critic_learning_rate=1e-3,
    inner_learning_rate=3e-3,
    target_update_tau=0.05,
    rho=0.1,
    cells=CellsConfig(hidden_units=(8,)),
    outer="batch_constrained",
)


@dataclasses.dataclass(frozen=True)
class Table:
    """One-step sessions whose logged actions lie near 0.2 and whose reward rises with them."""

    states: np.ndarray
    actions: np.ndarray
    rewards: np.ndarray
    next_states: np.ndarray
    discounts: np.ndarray
    predictions: np.ndarray | None
    mask: np.ndarray | None


def table(with_candidates=True):
    rng = np.random.default_rng(0)
    actions = np.clip(0.2 + rng.normal(0, 0.05, (ROWS, TASKS)), -1, 1).astype(np.float32)
    predictions = rng.random((ROWS, CANDIDATES, TASKS)).astype(np.float16)
    return Table(
        states=5 + 2 * rng.normal(size=(ROWS, STATES)).astype(np.float32),
        actions=actions,
        rewards=actions.sum(axis=1),
        next_states=np.full((ROWS, STATES), np.nan, np.float32),
        discounts=np.zeros(ROWS, np.float32),
        predictions=predictions if with_candidates else None,
        mask=rng.random((ROWS, CANDIDATES)) < 0.8 if with_candidates else None,
    )


def build(**changes):
    config = dataclasses.replace(CONFIG, **changes)
    return build_agent("xmtf", STATES, TASKS, config, seed=1, candidates=CANDIDATES)


@pytest.fixture(scope="module")
def trained():
    agent = build()
    before = values_of(agent.fusion.cells)
    logs = train_offline(agent, table(), 300, 64, seed=2, log_every=150)
    return agent, before, logs


@pytest.mark.slow
def test_actions_stay_near_those_of_the_log(trained):
    agent, _, _ = trained
    states = agent.normalized(tf.constant(table().states))
    seed = tf.constant([0, 1])
    actions = agent.greedy_actions(tf.constant(table().states), seed).numpy()
    # Every action is one that the generator gives, moved by rho at most.
    latents = tf.random.stateless_normal([ROWS, 10, agent.outer.vae.latent_dim], seed)
    generated = agent.outer.vae.decode(states, latents).numpy()
    away = np.abs(generated - actions[:, np.newaxis]).max(axis=2).min(axis=1)
    assert away.max() <= CONFIG.rho + 1e-5
    # The log's actions are within 0.2 ± 4 · 0.05; the better ones are the higher.
    assert np.quantile(actions, 0.99) < 0.2 + 4 * 0.05 + CONFIG.rho
    assert actions.mean() > 0.2


@pytest.mark.slow
def test_an_actor_without_constraint_leaves_the_log():
    agent = build(outer="actor_critic")
    train_offline(agent, table(), 600, 64, seed=2, log_every=600)
    assert agent.greedy_actions(tf.constant(table().states)).numpy().mean() > 0.6


@pytest.mark.slow
def test_the_inner_stage_learns_too(trained):
    agent, before, logs = trained
    assert moved(before, agent.fusion.cells)
    assert logs[-1].losses["transfer_loss"] < logs[0].losses["transfer_loss"]
    assert logs[-1].losses["monotonicity_loss"] < logs[0].losses["monotonicity_loss"]
    data = table()
    states, mask = agent.normalized(tf.constant(data.states)), tf.constant(data.mask)
    predictions = tf.constant(data.predictions.astype(np.float32))
    assert (
        float(tf.reduce_max(violations(predictions, agent.fusion.inner(predictions, states), mask)))
        < 0.05
    )


@pytest.mark.slow
def test_the_outer_stage_sees_normalised_states(trained):
    agent, _, _ = trained
    states = agent.normalized(tf.constant(table().states)).numpy()
    assert np.abs(states.mean(axis=0)).max() < 0.2
    assert np.abs(states.std(axis=0) - 1).max() < 0.2
    actions = tf.zeros([ROWS, TASKS])
    np.testing.assert_allclose(
        agent.q_values(tf.constant(table().states), actions),
        agent.outer.q_values(tf.constant(states), actions),
        rtol=1e-5,
    )


def test_the_outer_steps_are_bcqs():
    """One step leaves the same generator and critics as BCQ alone on the same normalised states."""
    agent, alone = build(inner_stage=False), build(inner_stage=False)
    data, candidates = transition_tensors(agent, table()), candidate_tensors(agent, table())
    rows = tf.range(64)
    whole = experience(data, rows, candidates)
    agent.train(whole)
    states = whole.observation[STATE]
    alone.normalizer.update(states[:, 0])
    normalized = tf.stack([alone.normalized(states[:, i]) for i in range(2)], axis=1)
    alone.outer.train(whole._replace(observation=normalized))
    for one, other in (
        (agent.outer.vae, alone.outer.vae),
        (agent.outer.critics, alone.outer.critics),
    ):
        for left, right in zip(values_of(one), values_of(other), strict=True):
            np.testing.assert_allclose(left, right, rtol=1e-5, atol=1e-7)


@pytest.mark.slow
@pytest.mark.parametrize("outer", ["actor_critic", "batch_constrained"])
def test_the_cells_begin_as_the_identity(outer):
    """Through the warm-up the fusion comes to order as the log's, Σ o (1 + a o), did."""
    agent = build(outer=outer, warmup_steps=900)
    data = table()
    predictions = tf.constant(data.predictions.astype(np.float32))

    def distance():
        states = agent.normalized(tf.constant(data.states))
        return float(tf.reduce_mean(tf.abs(agent.fusion.inner(predictions, states) - predictions)))

    first = distance()
    train_offline(agent, data, 900, 64, seed=2, log_every=300)
    assert distance() < 0.05 < 0.15 < first


def test_an_action_is_a_function_of_its_state():
    agent, states = build(), tf.constant(table().states[:50])
    first, again = agent.policy.greedy_actions(states), agent.policy.greedy_actions(states)
    np.testing.assert_array_equal(first, again)
    alone = tf.concat([agent.policy.greedy_actions(state[tf.newaxis]) for state in states], axis=0)
    np.testing.assert_allclose(alone, first, atol=1e-6)


def test_experience_holds_the_present_candidates():
    agent, data = build(), table()
    found = candidate_tensors(agent, data)
    rows = tf.constant([7, 3])
    now, _, _ = agent._as_transition(experience(transition_tensors(agent, data), rows, found))
    np.testing.assert_array_equal(now.observation[PREDICTIONS], data.predictions[[7, 3]])
    np.testing.assert_array_equal(now.observation[MASK], data.mask[[7, 3]])
    np.testing.assert_array_equal(now.observation[STATE], data.states[[7, 3]])


def test_transitions_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="loaded without them"):
        train_offline(build(), table(with_candidates=False), 1, 8)
    other = build_agent("xmtf", STATES, 3, CONFIG, candidates=CANDIDATES)
    with pytest.raises(ValueError, match=r"predictions .* \[400, 6, 3\], not \(400, 6, 2\)"):
        candidate_tensors(other, table())
    broken = table()
    broken.predictions[5, np.argmax(broken.mask[5])] = np.nan
    with pytest.raises(
        ValueError, match=r"predictions of the transitions holds no number, .* row 5"
    ):
        candidate_tensors(build(), broken)
    with pytest.raises(ValueError, match="say how many a request has"):
        build_agent("xmtf", STATES, TASKS, CONFIG)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"outer": "sarsa"}, "no outer stage 'sarsa'; there are: actor_critic, batch_constrained"),
        ({"transfer": "listnet"}, "no transfer 'listnet'; there are: bpr, hinge"),
        ({"rho": 3.0}, "rho is a distance"),
        ({"outer": "batch_constrained", "outer_stage": False}, "needs outer_stage=True"),
        ({"warmup_steps": -1}, "warmup_steps must be at least 0"),
    ],
)
def test_bad_settings_are_named(values, words):
    with pytest.raises(ValueError, match=words):
        XmtfConfig(**values)
