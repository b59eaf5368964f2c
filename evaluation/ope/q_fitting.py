"""Fits a Q network to a policy: Algorithm 2 of BatchRL-MTF, many steps per call."""

from __future__ import annotations

import dataclasses

import numpy as np
import tensorflow as tf

from evaluation.ope.config import FittedQConfig
from evaluation.ope.data import OfflineData
from evaluation.ope.policies import sample_actions
from evaluation.ope.q_network import QNetwork, conservative_loss, td_targets
from models.action_policy import ActionPolicy
from models.keras import keras

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
    """

    steps: list[int]
    td_loss: list[float]
    value: list[float]


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
    history = FitHistory([], [], [])
    done = 0
    for checkpoint in range(1, CHECKPOINTS + 1):
        upto = config.steps * checkpoint // CHECKPOINTS
        if upto == done:
            continue
        td_loss = traced(tf.constant(done, tf.int32), tf.constant(upto - done, tf.int32))
        done = upto
        history.steps.append(done)
        history.td_loss.append(float(td_loss))
        values = q.state_values(actions.initial_states, actions.initial)
        history.value.append(float(tf.reduce_mean(values)))
    return q, history
