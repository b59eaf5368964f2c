"""Fit of a Q network to a policy: Algorithm 2 of BatchRL-MTF, many steps per call."""

from __future__ import annotations

import dataclasses

import numpy as np
import tensorflow as tf

from mtfx.evaluation.ope.config import FittedQConfig
from mtfx.evaluation.ope.data import OfflineData
from mtfx.evaluation.ope.policies import sample_actions
from mtfx.evaluation.ope.q_network import QNetwork, conservative_loss, td_targets
from mtfx.models.action_policy import ActionPolicy
from mtfx.models.keras import keras

#: The fit is looked at this often.
CHECKPOINTS = 10


@dataclasses.dataclass(frozen=True)
class PolicyActions:
    """Actions of the evaluated policy in the data's states, drawn once before the fit.

    A policy such as BCQ's is far dearer to ask than the Q network, and a fit of 5,000 minibatches
    of 512 sees each of 100,000 states 25 times. Each training step takes one of the draws at
    random, which leaves the expected gradient that of the mean over them.

    Attributes:
      now: In the states, float32 `[transition, draw, action_dim]`.
      following: In the next states, likewise.
      initial: In the initial states that are valued, float32 `[state, draw, action_dim]`.
      initial_states: Those states, float32 `[state, state_dim]`.
    """

    now: tf.Tensor
    following: tf.Tensor
    initial: tf.Tensor
    initial_states: tf.Tensor


@dataclasses.dataclass(frozen=True)
class FitHistory:
    """How a fit went, at ``CHECKPOINTS`` even distances.

    Attributes:
      steps: Steps done.
      td_loss: Mean of (Q(s, a) - y)² over the steps since the checkpoint before.
      value: Mean value of the initial states.
      gap: What the fitted Q leaves unexplained of a session, in units of reward; see
        :func:`bellman_gap`.
    """

    steps: list[int]
    td_loss: list[float]
    value: list[float]
    gap: float


def draw_policy_actions(
    data: OfflineData, policy: ActionPolicy, initial_rows: tf.Tensor, num_actions: int, seed: int
) -> PolicyActions:
    """Asks the policy in all states of the data.

    Args:
      data: The transitions.
      policy: The policy.
      initial_rows: Rows of the initial states to value.
      num_actions: Draws per state from a stochastic policy.
      seed: Of the draws.

    Raises:
      ValueError: if an action is not finite or out of bounds, or has another size than the data's.
    """
    # The next state of a session's last step means nothing; a policy might answer it with NaN.
    following = tf.where(data.discounts[:, None] > 0.0, data.next_states, data.states)
    states = tf.concat([data.states, following], axis=0)
    actions = sample_actions(policy, states, seed, num_actions)
    if int(actions.shape[2]) != data.action_dim:
        raise ValueError(
            f"the policy's actions have {actions.shape[2]} columns, the data's {data.action_dim}"
        )
    now, following = tf.split(actions, 2, axis=0)
    return PolicyActions(
        now, following, tf.gather(now, initial_rows), tf.gather(data.states, initial_rows)
    )


def batch_rows(num_rows: int, batch_size: int, seed: int, step: tf.Tensor) -> tf.Tensor:
    """The rows of one minibatch, drawn with replacement: int32 `[batch_size]`."""
    key = tf.stack([tf.constant(seed, tf.int32), step])
    return tf.random.stateless_uniform([batch_size], key, maxval=num_rows, dtype=tf.int32)


def fit_q(
    data: OfflineData,
    actions: PolicyActions,
    config: FittedQConfig,
    penalty: float,
    seed: int,
    pool: np.ndarray | None = None,
) -> tuple[QNetwork, FitHistory]:
    """Minimises (10) with Adam.

    Args:
      data: The transitions.
      actions: The policy's actions in them.
      config: Settings.
      penalty: alpha; 0 is plain fitted Q evaluation (Le et al., 2019).
      seed: Of the weights and the minibatches.
      pool: Rows that minibatches are drawn from, a row as often as it is in there: int64 `[row]`.
        All rows once when None.

    Returns:
      The network, and how the fit went.
    """
    q, target = QNetwork(data, config, seed), QNetwork(data, config, seed)
    rate = (
        keras.optimizers.schedules.CosineDecay(config.learning_rate, config.steps)
        if config.cosine_decay
        else config.learning_rate
    )
    optimizer = keras.optimizers.Adam(rate)
    optimizer.build(q.weights)
    draws = int(actions.now.shape[1])
    policy_now = tf.reshape(actions.now, [-1, data.action_dim])
    policy_next = tf.reshape(actions.following, [-1, data.action_dim])

    pooled = tf.constant([] if pool is None else pool, tf.int32)
    num_rows = data.num_transitions if pool is None else len(pool)

    def train_step(step: tf.Tensor) -> tf.Tensor:
        rows = batch_rows(num_rows, config.batch_size, seed, step)
        if pool is not None:
            rows = tf.gather(pooled, rows)
        drawn = rows * draws + (step + tf.range(config.batch_size)) % draws
        states, logged = tf.gather(data.states, rows), tf.gather(data.actions, rows)
        next_q = target(tf.gather(data.next_states, rows), tf.gather(policy_next, drawn))
        targets = td_targets(
            tf.gather(data.rewards, rows), tf.gather(data.discounts, rows), next_q, config.gamma
        )
        with tf.GradientTape() as tape:
            if penalty:
                both = q(
                    tf.concat([states, states], axis=0),
                    tf.concat([logged, tf.gather(policy_now, drawn)], axis=0),
                )
                q_data, q_policy = tf.split(both, 2)
            else:
                q_data, q_policy = q(states, logged), None
            loss = conservative_loss(q_data, q_policy, targets, penalty)
        optimizer.apply_gradients(zip(tape.gradient(loss, q.weights), q.weights, strict=True))
        for old, new in zip(target.weights, q.weights, strict=True):
            old.assign_add(config.target_update * (new - old))
        return tf.reduce_mean(tf.square(q_data - targets))

    # Without autograph, which would rewrite Keras' optimizer: twenty seconds before the first step.
    @tf.function(autograph=False, input_signature=[tf.TensorSpec([], tf.int32)] * 2)
    def train(start: tf.Tensor, steps: tf.Tensor) -> tf.Tensor:
        _, total = tf.while_loop(
            lambda step, _: step < start + steps,
            lambda step, total: (step + 1, total + train_step(step)),
            (start, tf.constant(0.0)),
        )
        return total / tf.cast(steps, tf.float32)

    # A concrete function: TensorFlow would warn of tracing anew, fit by fit.
    traced = train.get_concrete_function()
    steps_done: list[int] = []
    losses: list[float] = []
    means: list[float] = []
    done = 0
    for checkpoint in range(1, CHECKPOINTS + 1):
        upto = config.steps * checkpoint // CHECKPOINTS
        if upto == done:
            continue
        td_loss = traced(tf.constant(done, tf.int32), tf.constant(upto - done, tf.int32))
        done = upto
        steps_done.append(done)
        losses.append(float(td_loss))
        values = q.state_values(actions.initial_states, actions.initial)
        means.append(float(tf.reduce_mean(values)))
    counts = None if pool is None else np.bincount(pool, minlength=data.num_transitions)
    gap = bellman_gap(q, data, actions, config.gamma, counts)
    return q, FitHistory(steps_done, losses, means, gap)


def bellman_gap(
    q: QNetwork,
    data: OfflineData,
    actions: PolicyActions,
    gamma: float,
    counts: np.ndarray | None = None,
) -> float:
    """How far Q is from its own fixed point: mean delta times the discounted length of a session.

    delta = r + gamma Q(s', π(s')) - Q(s, a), with the same Q on both sides, is 0 in the mean where
    the loss is least, whatever policy logged the transitions and whatever the network can express,
    as its last layer has a bias; a penalty beside the loss does not move that mean. Elsewhere it is
    what one more sweep would add at every request, summed over a session: of the order of what is
    still to come. It needs no further step, so that no learning rate hides it.

    Args:
      q: The fitted network.
      data: The transitions.
      actions: The policy's actions in them.
      gamma: Discount in [0, 1].
      counts: How often each transition was there to be learnt from, int `[transition]`; once each
        when None.

    Returns:
      The gap, in units of reward; positive where Q is too low.
    """
    draws = int(actions.now.shape[1])
    # One of a state's draws each, as a training step takes them.
    drawn = np.arange(data.num_transitions) % draws
    following = tf.gather(actions.following, drawn, axis=1, batch_dims=1)
    next_q = q.state_values(data.next_states, following[:, None])
    targets = td_targets(data.rewards, data.discounts, next_q, gamma).numpy().astype(np.float64)
    errors = targets - q.state_values(data.states, data.actions[:, None]).numpy()
    grid = data.grid()
    going = np.where(grid.mask, gamma * data.discounts.numpy().astype(np.float64)[grid.rows], 0.0)
    lengths = np.cumprod(np.c_[np.ones(len(going)), going[:, :-1]], axis=1).sum(axis=1)
    starts = None if counts is None else counts[grid.rows[:, 0]]
    return float(np.average(errors, weights=counts) * np.average(lengths, weights=starts))
