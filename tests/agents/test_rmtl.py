"""RMTL's equations against independent NumPy versions, and what must not happen."""

import numpy as np
import pytest
import tensorflow as tf
from tf_agents.trajectories import time_step as ts
from tf_agents.trajectories import trajectory

from mtfx.agents.critic_weighting import CriticWeighting
from mtfx.agents.rmtl import DdpgMtlAgent
from mtfx.agents.rmtl_config import RmtlConfig
from mtfx.datasets.labels import UNKNOWN
from mtfx.models.known_labels import known_mask, with_zeros
from mtfx.models.loss_weighting.base import Batch

COUNTS = (1, 2, 5)


def sigmoid(values):
    return 1 / (1 + np.exp(-np.asarray(values, np.float64)))


def q_values(critics, features, actions):
    """Q from the critics' weights alone, with NumPy: state, action layer, bottom, tower, -ReLU."""
    network = critics.state_representation
    age = np.asarray(features["age"])[:, None] * network.projection.numpy()[0]
    parts = [
        network.embeddings["item"].embeddings.numpy()[np.asarray(features["item"])],
        age + network.projection_bias.numpy()[0],
    ]
    state = np.concatenate(parts, axis=1).astype(np.float64)
    for layer in network.mlp:
        state = np.maximum(state @ layer.kernel.numpy() + layer.bias.numpy(), 0)
    columns = []
    for task in range(len(critics.tasks)):
        action = np.asarray(actions)[:, task : task + 1]
        embedded = action * critics.action_kernel.numpy() + critics.action_bias.numpy()
        hidden = np.concatenate([state, embedded], axis=1)
        for kernel, bias in zip(critics.bottom.kernels, critics.bottom.biases, strict=True):
            hidden = np.maximum(hidden @ kernel.numpy()[0] + bias.numpy()[0], 0)
        tower = critics.towers.hidden
        for kernel, bias in zip(tower.kernels, tower.biases, strict=True):
            hidden = np.maximum(hidden @ kernel.numpy()[task] + bias.numpy()[task], 0)
        head = hidden @ critics.towers.head.numpy()[task] + critics.towers.head_bias.numpy()[task]
        columns.append(-np.maximum(head, 0))
    return np.stack(columns, axis=1)


def valid_rows(transitions):
    return transitions.time_step.step_type.numpy() != ts.StepType.LAST


@pytest.mark.parametrize("count", COUNTS)
def test_critics_match_numpy_and_are_never_positive(small_log, count):
    critics = small_log.critics(count)
    features = small_log.transitions(count).time_step.observation["features"]
    actions = np.random.default_rng(0).uniform(size=(12, count)).astype(np.float32)
    values = critics(features, actions).numpy()
    np.testing.assert_allclose(values, q_values(critics, features, actions), rtol=1e-4, atol=1e-5)
    assert (values <= 0).all()
    assert (values < 0).mean() > 0.9


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("min_reward", [None, -0.5])
def test_td_targets_9_and_11(small_log, count, min_reward):
    agent = small_log.agent(count, gamma=0.8, min_reward=min_reward)
    after = small_log.transitions(count).next_time_step
    features = after.observation["features"]
    chosen = sigmoid(agent.target_actor(features))
    reward = after.reward.numpy().astype(np.float64)
    if min_reward is not None:
        reward = np.maximum(reward, min_reward)
    ongoing = after.discount.numpy()[:, None]
    expected = reward + 0.8 * ongoing * q_values(agent.target_critics, features, chosen)
    targets = agent.td_targets(after).numpy()
    np.testing.assert_allclose(targets, expected, rtol=1e-4, atol=1e-5)
    over = after.discount.numpy() == 0
    assert over.any()
    np.testing.assert_allclose(targets[over], reward[over], rtol=1e-6)


def test_a_terminal_step_does_not_see_what_follows(small_log):
    agent = small_log.agent()
    after = small_log.transitions().next_time_step
    other = {"item": tf.zeros([12], tf.int64), "age": tf.fill([12], float("nan"))}
    over = after.discount.numpy() == 0
    kept = after.observation["features"]
    mixed = {name: tf.where(over, other[name], kept[name]) for name in kept}
    changed = after._replace(observation={**after.observation, "features": mixed})
    np.testing.assert_array_equal(agent.td_targets(changed), agent.td_targets(after))


@pytest.mark.parametrize("count", COUNTS)
def test_critic_loss_and_td_error_12_and_13(small_log, count):
    agent = small_log.agent(count)
    transitions = small_log.transitions(count)
    features = transitions.time_step.observation["features"]
    values = q_values(agent.critics, features, transitions.action_step.action)
    errors = (agent.td_targets(transitions.next_time_step).numpy() - values)[
        valid_rows(transitions)
    ]
    loss, td_error, mean_q = agent.critic_loss(transitions)
    assert float(loss) == pytest.approx(np.mean(errors**2) / 2, rel=1e-4)
    assert float(td_error) == pytest.approx(np.mean(errors), rel=1e-4)
    assert float(mean_q) == pytest.approx(values[valid_rows(transitions)].mean(), rel=1e-4)


def test_the_critic_step_is_14_sample_by_sample(small_log):
    agent = small_log.agent()
    transitions = small_log.transitions()
    variable = agent.critics.towers.head
    with tf.GradientTape() as tape:
        loss, _, _ = agent.critic_loss(transitions)
    gradient = tape.gradient(loss, variable).numpy()
    targets = agent.td_targets(transitions.next_time_step).numpy()
    with tf.GradientTape() as tape:
        values = agent.critics(
            transitions.time_step.observation["features"], transitions.action_step.action
        )
    jacobian = tape.jacobian(values, variable).numpy()
    valid = valid_rows(transitions)
    errors = targets - values.numpy()
    expected = -np.einsum("bk,bk...->...", errors[valid], jacobian[valid]) / (valid.sum() * 2)
    np.testing.assert_allclose(gradient, expected, rtol=1e-4, atol=1e-6)


def test_no_gradient_reaches_targets(small_log):
    agent = small_log.agent()
    transitions = small_log.transitions()
    watched = [
        *agent.target_critics.trainable_variables,
        *agent.target_actor.trainable_variables,
        *agent.actor.trainable_variables,
    ]
    with tf.GradientTape() as tape:
        tape.watch(watched)
        loss, _, _ = agent.critic_loss(transitions)
    assert all(gradient is None for gradient in tape.gradient(loss, watched))


@pytest.mark.parametrize("count", COUNTS)
def test_actor_loss_15(small_log, count):
    agent = small_log.agent(count)
    step = small_log.transitions(count).time_step
    features = step.observation["features"]
    values = q_values(agent.critics, features, sigmoid(agent.actor(features)))
    valid = step.step_type.numpy() != ts.StepType.LAST
    assert float(agent.actor_loss(step)) == pytest.approx(-values[valid].sum(1).mean(), rel=1e-4)
    with tf.GradientTape() as tape:
        loss = agent.actor_loss(step)
    gradients = tape.gradient(loss, agent.actor.backbone.trainable_variables)
    assert any(np.any(gradient.numpy()) for gradient in gradients if gradient is not None)


WEIGHTS = {
    "rmtl": lambda q, y: 1 - 0.7 * q,
    "cw": lambda q, y: np.ones_like(q),
    "wl": lambda q, y: 1 - 0.7 * y * q,
    "nlc": lambda q, y: -q,
}


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("weighting", list(WEIGHTS))
def test_weights_10_and_weighted_loss_7_16_and_17(small_log, count, weighting):
    agent = small_log.agent(count, weighting=weighting)
    transitions = small_log.transitions(count)
    features = transitions.time_step.observation["features"]
    labels = transitions.next_time_step.observation["feedback"].numpy()
    predictions = sigmoid(agent.actor(features))
    expected = WEIGHTS[weighting](q_values(agent.critics, features, predictions), labels)
    weights = agent.loss_weights(features, labels, tf.constant(predictions, tf.float32))
    np.testing.assert_allclose(weights, expected, rtol=1e-4, atol=1e-5)
    bce = -(labels * np.log(predictions) + (1 - labels) * np.log(1 - predictions))
    wanted = (expected * bce)[valid_rows(transitions)].sum(axis=1).mean()
    assert float(agent.weighted_bce_loss(transitions)) == pytest.approx(wanted, rel=1e-4)


def test_no_gradient_flows_through_the_weights(small_log):
    agent = small_log.agent()
    transitions = small_log.transitions()
    features = transitions.time_step.observation["features"]
    labels = transitions.next_time_step.observation["feedback"]
    head = agent.actor.backbone.trainable_variables[-1]
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(agent.critics.trainable_variables)
        loss = agent.weighted_bce_loss(transitions)
        logits = agent.actor(features)
        fixed = agent.loss_weights(features, labels, tf.sigmoid(logits)).numpy()
        bce = tf.nn.sigmoid_cross_entropy_with_logits(labels=labels, logits=logits)
        valid = tf.constant(valid_rows(transitions), tf.float32)
        reference = tf.reduce_sum(valid[:, None] * fixed * bce) / tf.reduce_sum(valid)
    np.testing.assert_allclose(
        tape.gradient(loss, head), tape.gradient(reference, head), rtol=1e-4, atol=1e-7
    )
    gradients = tape.gradient(loss, agent.critics.trainable_variables)
    assert all(gradient is None for gradient in gradients)


def test_normalised_weights_have_mean_one(small_log):
    agent = small_log.agent(normalise_weights=True)
    transitions = small_log.transitions()
    features = transitions.time_step.observation["features"]
    weights = agent.loss_weights(features, tf.ones([12, 2]), tf.fill([12, 2], 0.4))
    np.testing.assert_allclose(tf.reduce_mean(weights, axis=0), [1.0, 1.0], rtol=1e-5)


def test_soft_update_18(small_log):
    agent = small_log.agent(soft_update=0.2)
    pairs = [
        (agent.actor.trainable_variables, agent.target_actor.trainable_variables),
        (agent.critics.trainable_variables, agent.target_critics.trainable_variables),
    ]
    before = [[v.numpy() for v in targets] for _, targets in pairs]
    agent._update_targets(0.2)
    for (sources, targets), old in zip(pairs, before, strict=True):
        for source, target, start in zip(sources, targets, old, strict=True):
            np.testing.assert_allclose(target, 0.2 * source.numpy() + 0.8 * start, atol=1e-6)
    agent.initialize()
    for sources, targets in pairs:
        for source, target in zip(sources, targets, strict=True):
            np.testing.assert_array_equal(source.numpy(), target.numpy())


def test_frozen_critics_and_targets_drop_no_unit(small_log):
    agent = small_log.agent(dropout=0.5)
    transitions = small_log.transitions()
    features = transitions.time_step.observation["features"]
    actions = tf.fill([12, 2], 0.4)
    first = agent.loss_weights(features, tf.ones([12, 2]), actions)
    np.testing.assert_array_equal(first, agent.loss_weights(features, tf.ones([12, 2]), actions))
    after = transitions.next_time_step
    np.testing.assert_array_equal(agent.td_targets(after), agent.td_targets(after))
    # While they learn they do drop units.
    training = [float(agent.critic_loss(transitions, training=True)[0]) for _ in range(4)]
    assert len(set(training)) > 1


def test_keras_and_agent_weigh_alike(small_log):
    """Training with CriticWeighting sees the same ids, predictions and labels as (17)."""
    agent = small_log.agent()
    transitions = small_log.transitions(rows=10)
    keep = valid_rows(transitions)
    features = {
        name: column[keep] for name, column in transitions.time_step.observation["features"].items()
    }
    labels = transitions.next_time_step.observation["feedback"][keep]
    logits = agent.actor(features)
    losses = tf.nn.sigmoid_cross_entropy_with_logits(labels=labels, logits=logits)
    weighting = CriticWeighting(agent.actor.tasks, [1.0, 1.0], agent.loss_weights)
    total = weighting.total_loss(Batch(features, labels, logits, losses))
    assert float(total) == pytest.approx(float(agent.weighted_bce_loss(transitions)), rel=1e-5)
    weights = agent.loss_weights(features, labels, tf.sigmoid(logits)).numpy()
    assert [float(m.result()) for m in weighting.means] == pytest.approx(weights.mean(0), rel=1e-5)
    assert not weighting.trainable_variables


@pytest.mark.parametrize("update", ["none", "q", "weighted_bce"])
def test_a_training_step_changes_what_it_should(small_log, update):
    agent = small_log.agent(actor_update=update)
    agent.initialize()
    environment = small_log.environment()
    first = environment.reset()
    frames = []
    for _ in range(2):
        action = agent.collect_policy.action(first)
        second = environment.step(action.action)
        frames.append((first, action, second))
        first = second
    experience = tf.nest.map_structure(
        lambda *parts: tf.stack(parts, axis=1),
        *[trajectory.from_transition(*frame) for frame in frames],
    )
    actor = [v.numpy() for v in agent.actor.trainable_variables]
    critics = [v.numpy() for v in agent.critics.trainable_variables]
    info = agent.train(experience)
    assert np.isfinite(float(info.loss))

    def changed(old, variables):
        return any((a != b.numpy()).any() for a, b in zip(old, variables, strict=True))

    assert changed(critics, agent.critics.trainable_variables)
    assert changed(actor, agent.actor.trainable_variables) == (update != "none")
    assert int(agent.train_step_counter) == 1


def test_ddpg_explores_and_ascends_q():
    config = DdpgMtlAgent.configure(RmtlConfig(gamma=0.7))
    assert (config.actor_update, config.exploration, config.gamma) == ("q", 0.1, 0.7)
    assert DdpgMtlAgent.configure(RmtlConfig(exploration=0.3)).exploration == 0.3


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"gamma": 1.0}, "gamma"),
        ({"soft_update": 0.0}, "soft_update"),
        ({"penalty": -1.0}, "penalty"),
        ({"min_reward": 0.5}, "min_reward"),
        ({"weighting": "best"}, "rmtl, cw, wl, nlc"),
        ({"critic_learning_rate": 0.0}, "critic_learning_rate"),
    ],
)
def test_settings_are_checked(settings, message):
    with pytest.raises(ValueError, match=message):
        RmtlConfig(**settings)


def test_mismatches_are_named(small_log):
    environment = small_log.environment()
    specs = environment.time_step_spec(), environment.action_spec()
    two, three = small_log.actor(2), small_log.actor(3)
    critics = small_log.critics(2)
    make = type(small_log.agent())
    with pytest.raises(ValueError, match="critics judge"):
        make(*specs, three, three, critics, critics, RmtlConfig())
    with pytest.raises(ValueError, match="actions have shape"):
        make(*specs, three, three, small_log.critics(3), small_log.critics(3), RmtlConfig())
    with pytest.raises(ValueError, match="optimizer"):
        make(*specs, two, two, critics, critics, RmtlConfig(actor_update="q"))


def hide_feedback(transitions, seed=0):
    """The transitions with some of the feedback unknown, and what is known."""
    after = transitions.next_time_step
    labels = after.observation["feedback"].numpy()
    labels[np.random.default_rng(seed).random(labels.shape) < 0.4] = UNKNOWN
    observation = {**after.observation, "feedback": tf.constant(labels)}
    return transitions._replace(next_time_step=after._replace(observation=observation)), labels


@pytest.mark.parametrize("weighting", ["rmtl", "cw", "wl", "nlc"])
@pytest.mark.parametrize("normalise", [False, True])
def test_the_weighted_loss_is_of_known_feedback(small_log, weighting, normalise):
    agent = small_log.agent(weighting=weighting, normalise_weights=normalise)
    transitions, labels = hide_feedback(small_log.transitions(rows=30))
    keep = valid_rows(transitions)
    features = {
        name: column[keep] for name, column in transitions.time_step.observation["features"].items()
    }
    labels = labels[keep]
    chance = sigmoid(agent.actor(features))
    q = q_values(agent.critics, features, chance)
    weights = agent.loss_weights(features, tf.constant(labels), tf.constant(chance, tf.float32))
    wanted = 0.0
    for k in range(2):
        known = labels[:, k] != UNKNOWN
        y, p, value = labels[known, k], chance[known, k], q[known, k]
        plain = {"rmtl": 1 - 0.7 * value, "cw": np.ones(len(y)), "wl": 1 - 0.7 * y * value}
        omega = plain.get(weighting, -value)
        if normalise and weighting != "cw":
            omega = omega / omega.mean()
        np.testing.assert_allclose(weights.numpy()[known, k], omega, rtol=1e-3)
        wanted += np.mean(omega * -(y * np.log(p) + (1 - y) * np.log(1 - p)))
    if not normalise:
        # Normalised, the agent's batch has the rows between sessions too.
        found = float(agent.weighted_bce_loss(transitions))
        assert found == pytest.approx(wanted, rel=1e-4)
    trained = CriticWeighting(agent.actor.tasks, [1.0, 1.0], agent.loss_weights)
    logits = agent.actor(features)
    losses = tf.nn.sigmoid_cross_entropy_with_logits(labels=with_zeros(labels), logits=logits)
    batch = Batch(features, tf.constant(labels), logits, known_mask(labels) * losses)
    assert float(trained.total_loss(batch)) == pytest.approx(wanted, rel=1e-4)
    for k, metric in enumerate(trained.means):
        known = labels[:, k] != UNKNOWN
        assert float(metric.result()) == pytest.approx(weights.numpy()[known, k].mean(), rel=1e-4)


def test_transitions_without_known_feedback_have_no_loss(small_log):
    agent = small_log.agent()
    transitions = small_log.transitions()
    after = transitions.next_time_step
    observation = {**after.observation, "feedback": tf.fill([12, 2], float(UNKNOWN))}
    hidden = transitions._replace(next_time_step=after._replace(observation=observation))
    assert float(agent.weighted_bce_loss(hidden)) == 0.0
