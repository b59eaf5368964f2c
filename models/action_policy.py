"""Interface of policies: keys of what they see, actions with densities, and the policy itself."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import tensorflow as tf

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
