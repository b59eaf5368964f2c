"""The interface of a policy to estimators: actions, and for importance sampling densities."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

import tensorflow as tf

from mtfx.models.action_policy import (
    ActionPolicy,
    ActionSample,
    SampledActions,
    draw_around,
    truncated_normal_log_density,
)

#: States for which a policy is asked at once; bounds the memory of policies that sample many.
_CHUNK = 8192
_BOUND_TOLERANCE = 1e-4


@runtime_checkable
class DensityPolicy(Protocol):
    """A policy whose density is known."""

    def actions(self, states: tf.Tensor, users: tf.Tensor, seed: tf.Tensor) -> SampledActions:
        """See :class:`ActionPolicy`."""
        ...

    def log_density(self, states: tf.Tensor, actions: tf.Tensor) -> tf.Tensor:
        """float32 `[state]`, of `[state, action_dim]` actions in `[state, state_dim]` states."""
        ...


class SmoothedPolicy:
    """A policy with Gaussian noise around its actions, so that it has a density.

    Each coordinate is drawn from a normal distribution around the policy's action, truncated to
    [-1, 1], so that the density integrates to one over the actions that exist. Its importance
    weights are kernel weights with a Gaussian kernel: Kallus and Zhou, "Policy Evaluation and
    Optimization with Continuous Treatments", AISTATS 2018.
    """

    def __init__(self, policy: ActionPolicy, bandwidth: float) -> None:
        """Wraps a policy.

        Args:
          policy: A deterministic policy.
          bandwidth: Standard deviation of the noise before truncation, in units of the actions.

        Raises:
          ValueError: if the bandwidth is not positive.
        """
        if not bandwidth > 0:
            raise ValueError(f"bandwidth must be positive, got {bandwidth}")
        self.policy = policy
        self.bandwidth = bandwidth

    def actions(self, states: tf.Tensor, users: tf.Tensor, seed: tf.Tensor) -> ActionSample:
        """The policy's actions with noise; see :class:`ActionPolicy`."""
        seeds = tf.random.split(seed, 2)
        centre = self.policy.actions(states, users, seeds[0]).action
        return draw_around(centre, self.bandwidth, seeds[1])

    def log_density(self, states: tf.Tensor, actions: tf.Tensor) -> tf.Tensor:
        """Log density, float32 `[state]`."""
        centre = self.policy.actions(states, _no_users(states), tf.zeros([2], tf.int32)).action
        return truncated_normal_log_density(actions, centre, self.bandwidth)


def with_density(policy: ActionPolicy, bandwidth: float | None) -> DensityPolicy:
    """The policy itself where its density is known, else smoothed.

    Args:
      policy: Any policy.
      bandwidth: Of the smoothing, or None to refuse a policy without density.

    Raises:
      ValueError: if a policy without density is not to be smoothed.
    """
    if isinstance(policy, DensityPolicy):
        return policy
    if bandwidth is None:
        raise ValueError(
            f"{type(policy).__name__} has no log_density(states, actions), which importance "
            "weights need: set a bandwidth to evaluate it smoothed by a Gaussian (0.1 or more), "
            "or use the estimators conservative or fqe, which need no densities"
        )
    return SmoothedPolicy(policy, bandwidth)


def sample_actions(
    policy: ActionPolicy, states: tf.Tensor, seed: int, num_actions: int = 1
) -> tf.Tensor:
    """Draws actions in every state; a policy that gives the same action twice is asked once.

    Args:
      policy: The policy.
      states: float32 `[state, state_dim]`.
      seed: Of the draws.
      num_actions: Draws in each state from a stochastic policy.

    Returns:
      float32 `[state, draw, action_dim]`, with one draw if the policy is deterministic.

    Raises:
      ValueError: if an action is not finite or out of [-1, 1].
    """
    ask = asker(policy, int(states.shape[1]))
    draws = [ask(states, seed, 0)]
    if num_actions > 1:
        draws.append(ask(states, seed, 1))
        # A policy that is deterministic need not be so to the last bit in another batch.
        if float(tf.reduce_max(tf.abs(draws[0] - draws[1]))) < 1e-6:
            draws = draws[:1]
        else:
            draws += [ask(states, seed, draw) for draw in range(2, num_actions)]
    actions = tf.stack(draws, axis=1)
    if not bool(tf.reduce_all(tf.math.is_finite(actions))):
        raise ValueError("the policy gives actions that are not finite: it cannot be evaluated")
    highest = float(tf.reduce_max(tf.abs(actions)))
    if highest > 1.0 + _BOUND_TOLERANCE:
        raise ValueError(
            f"the policy gives actions out of [-1, 1], up to {highest:.4g} in size: scale them to "
            "the bounds of its action spec"
        )
    return actions


def asker(policy: ActionPolicy, state_dim: int) -> Callable[[tf.Tensor, int, int], tf.Tensor]:
    """A function that draws one action per state, in parts that fit in memory; traced once.

    Args:
      policy: The policy.
      state_dim: Columns of a state.

    Returns:
      States `[state, state_dim]`, the seed of all draws and the number of this one to float32
      `[state, action_dim]`, unchecked.
    """

    @tf.function(
        input_signature=[
            tf.TensorSpec([None, state_dim], tf.float32),
            tf.TensorSpec([2], tf.int32),
        ],
        autograph=False,
    )
    def ask(states: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        return policy.actions(states, _no_users(states), seed).action

    # A concrete function: TensorFlow would warn of tracing anew, policy by policy.
    traced = ask.get_concrete_function()

    def draw(states: tf.Tensor, seed: int, number: int) -> tf.Tensor:
        root = tf.constant([seed, number], tf.int32)
        fold_in = tf.random.experimental.stateless_fold_in
        starts = range(0, int(states.shape[0]), _CHUNK)
        return tf.concat(
            [traced(states[start : start + _CHUNK], fold_in(root, start)) for start in starts],
            axis=0,
        )

    return draw


def _no_users(states: tf.Tensor) -> tf.Tensor:
    return tf.zeros([tf.shape(states)[0]], tf.int32)
