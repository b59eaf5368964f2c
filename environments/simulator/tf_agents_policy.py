"""A TF-Agents policy as the simulator's kind of policy."""

from __future__ import annotations

import tensorflow as tf
import tensorflow_probability as tfp
from tf_agents.policies import tf_policy
from tf_agents.trajectories import time_step as ts
from tf_agents.utils import common

from mtfx.models.action_policy import ActionSample


class TfAgentsPolicy:
    """Adapts a stateless policy over states `[S]` and actions `[A]`.

    A policy that only describes a distribution is sampled with the given seed, and its log density
    is returned; a deterministic one has none. A policy that draws actions in a way of its own (that
    is, in ``_action``, as BCQ's) gets the seed as an int32 tensor `[2]`, so it must use stateless
    ops.
    """

    def __init__(self, policy: tf_policy.TFPolicy) -> None:
        """Keeps the policy.

        Args:
          policy: Its observation is one vector, its action one vector in [-1, 1].

        Raises:
          ValueError: if it has a state, or its specs are others.
        """
        specs = (policy.time_step_spec.observation, policy.action_spec)
        for name, spec in zip(("observation", "action"), specs, strict=True):
            if not isinstance(spec, tf.TensorSpec) or spec.shape.rank != 1:
                raise ValueError(f"the policy's {name} must be one vector, its spec is {spec}")
        if policy.policy_state_spec:
            raise ValueError("the policy has a state; the simulator takes stateless ones")
        self._policy = policy
        self._draws_itself = type(policy)._action is not tf_policy.TFPolicy._action

    def actions(self, states: tf.Tensor, users: tf.Tensor, seed: tf.Tensor) -> ActionSample:
        """See :class:`mtfx.models.action_policy.ActionPolicy`."""
        batch = tf.shape(states)[0]
        time_step = ts.TimeStep(
            step_type=tf.fill([batch], ts.StepType.MID),
            reward=tf.zeros([batch]),
            discount=tf.ones([batch]),
            observation=states,
        )
        unknown = tf.fill([batch], float("nan"))
        spec = self._policy.action_spec
        if self._draws_itself:
            action = self._policy.action(time_step, (), seed).action
            return ActionSample(common.clip_to_spec(action, spec), unknown)
        distribution = self._policy.distribution(time_step, ()).action
        if isinstance(distribution, tfp.distributions.Deterministic):
            return ActionSample(common.clip_to_spec(distribution.sample(), spec), unknown)
        action = distribution.sample(seed=seed)
        density = distribution.log_prob(action)
        if density.shape.rank == 2:
            density = tf.reduce_sum(density, axis=1)
        return ActionSample(common.clip_to_spec(action, spec), density)
