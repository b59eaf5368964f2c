"""Interface of policies: keys of what they see, actions with densities, and the policy itself.

Actions are drawn around others from normal distributions truncated to the bounds of actions. A
Gaussian that is *clipped* puts probability mass on the bounds themselves, where it then has no
density, and importance sampling needs one. A *truncated* one is the Gaussian given that no
coordinate leaves [-1, 1]: every density is exact. Far from the bounds the two do not differ; close
to one, the mean of a truncated draw lies some way inside.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import tensorflow as tf
import tensorflow_probability as tfp

# Keys of an observation of the session MDP, in which a ranking model acts.
#: The impression's features, by name; what the state is made of.
FEATURES = "features"
#: Labels of the step before, float32 `[task]`; no policy looks at them.
FEEDBACK = "feedback"

# Of the fusion MDP, where an agent learns from the candidates too.
#: float32 `[state]`.
STATE = "state"
#: Of the request's candidates, float32 `[candidate, prediction]`.
PREDICTIONS = "predictions"
#: False where there is no candidate, bool `[candidate]`.
MASK = "mask"


class ActionSample(NamedTuple):
    """Actions of a policy.

    Attributes:
      action: In [-1, 1], float32 `[batch, action]`.
      log_density: Log of the density with which each was drawn, float32 `[batch]`; NaN where it is
        not known or the policy is deterministic.
    """

    action: tf.Tensor
    log_density: tf.Tensor


class SampledActions(Protocol):
    """Anything with the two fields of :class:`ActionSample`."""

    @property
    def action(self) -> tf.Tensor:
        """float32 `[batch, action]` in [-1, 1]."""

    @property
    def log_density(self) -> tf.Tensor:
        """float32 `[batch]`, NaN where unknown."""


class ActionPolicy(Protocol):
    """A policy; its method is traced inside a ``tf.function``, without AutoGraph.

    So it cannot branch or loop over tensors with Python's ``if`` and ``for``: that would rewrite
    the networks that it calls too, which takes longer than the rest of tracing.
    """

    def actions(self, states: tf.Tensor, users: tf.Tensor, seed: tf.Tensor) -> SampledActions:
        """Chooses an action for every session.

        Args:
          states: float32 `[batch, state]`.
          users: Index of each session's user, int32 `[batch]`.
          seed: int32 `[2]`.
        """
        ...


def draw_around(
    centres: tf.Tensor, standard_deviation: float | tf.Tensor, seed: tf.Tensor
) -> ActionSample:
    """Draws actions whose coordinates are independent normals truncated to [-1, 1].

    Args:
      centres: Means before truncation, float32 `[batch, action]`.
      standard_deviation: Before truncation.
      seed: int32 `[2]`, of which the draws are a function.

    Returns:
      The actions and their log densities.
    """
    # The sampler may step over a bound by a rounding error, where the density is 0.
    drawn = _around(centres, standard_deviation).sample(seed=seed)
    actions = tf.clip_by_value(drawn, -1.0, 1.0)
    return ActionSample(actions, truncated_normal_log_density(actions, centres, standard_deviation))


def truncated_normal_log_density(
    actions: tf.Tensor, centres: tf.Tensor, standard_deviation: float | tf.Tensor
) -> tf.Tensor:
    """Log density of actions whose coordinates are independent normals truncated to [-1, 1].

    Args:
      actions: float32 `[batch, action]` in [-1, 1].
      centres: Means before truncation, float32 `[batch, action]` or `[action]`.
      standard_deviation: Before truncation.

    Returns:
      float32 `[batch]`, the sum over the coordinates; minus infinity outside the bounds.
    """
    return tf.reduce_sum(_around(centres, standard_deviation).log_prob(actions), axis=-1)


def _around(centres: tf.Tensor, standard_deviation: float | tf.Tensor) -> Any:
    return tfp.distributions.TruncatedNormal(centres, standard_deviation, -1.0, 1.0)
