"""Exploration policies of BatchRL-MTF section 3.3: random, action noise, and half of each.

The paper draws from Gaussians and cuts the actions at the bounds; here noise comes from truncated
normal distributions, so that every logged density is exact: see ``mtfx.models.action_policy``.
"""

from __future__ import annotations

import abc
import math

import tensorflow as tf

from mtfx.agents.config import EXPLORATIONS
from mtfx.models.action_policy import (
    ActionPolicy,
    ActionSample,
    draw_around,
    truncated_normal_log_density,
)
from mtfx.models.config import NOISE_DEVIATION, RANDOM_DEVIATION


class ExplorationPolicy(abc.ABC):
    """A policy that takes actions to learn what they are worth, and knows their densities."""

    #: Names of the parts that :meth:`parts` tells apart; logged as the behaviour policy.
    part_names: tuple[str, ...]

    @abc.abstractmethod
    def actions(self, states: tf.Tensor, users: tf.Tensor, seed: tf.Tensor) -> ActionSample:
        """See :class:`mtfx.models.action_policy.ActionPolicy`; the densities are never NaN."""

    def parts(self, users: tf.Tensor) -> tf.Tensor:
        """Which of ``part_names`` acts for each user, int32 `[batch]`."""
        return tf.zeros_like(users, tf.int32)


class _Gaussian(ExplorationPolicy):
    """Truncated normal noise around the actions of another policy."""

    def __init__(self, standard_deviation: float) -> None:
        if not (math.isfinite(standard_deviation) and standard_deviation > 0):
            raise ValueError(
                f"the exploration's standard deviation must be positive, got {standard_deviation}"
            )
        self.standard_deviation = float(standard_deviation)

    @abc.abstractmethod
    def centres(self, states: tf.Tensor, users: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Means before truncation, float32 `[batch, action]`; arguments as of ``actions``."""

    def actions(self, states: tf.Tensor, users: tf.Tensor, seed: tf.Tensor) -> ActionSample:
        """See :class:`mtfx.models.action_policy.ActionPolicy`."""
        seeds = tf.random.split(seed, 2)
        centres = self.centres(states, users, seeds[0])
        return draw_around(centres, self.standard_deviation, seeds[1])


class RandomExploration(_Gaussian):
    """Actions drawn without looking at the state, around the middle of their bounds."""

    part_names = ("random",)

    def __init__(self, action_dim: int, standard_deviation: float = RANDOM_DEVIATION) -> None:
        """Makes the policy.

        Args:
          action_dim: Size of the action.
          standard_deviation: Of each coordinate before truncation.

        Raises:
          ValueError: if one of them is not positive.
        """
        super().__init__(standard_deviation)
        if action_dim < 1:
            raise ValueError(f"an action needs at least one coordinate, got {action_dim}")
        self.action_dim = action_dim

    def centres(self, states: tf.Tensor, users: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Zeros."""
        return tf.zeros([tf.shape(states)[0], self.action_dim])

    def log_density(self, states: tf.Tensor, actions: tf.Tensor) -> tf.Tensor:
        """Log density of `[batch, action]` actions, float32 `[batch]`."""
        return truncated_normal_log_density(
            actions, tf.zeros([self.action_dim]), self.standard_deviation
        )


class ActionNoise(_Gaussian):
    """Noise around the actions of the current policy: pi(s) + N(0, 0.1), equation (8)."""

    part_names = ("noise",)

    def __init__(self, policy: ActionPolicy, standard_deviation: float = NOISE_DEVIATION) -> None:
        """Makes the policy.

        Args:
          policy: The deterministic target policy.
          standard_deviation: Of the noise before truncation.

        Raises:
          ValueError: if the standard deviation is not positive.
        """
        super().__init__(standard_deviation)
        self.policy = policy

    def centres(self, states: tf.Tensor, users: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """The policy's actions."""
        return self.policy.actions(states, users, seed).action


class MixedExploration(ExplorationPolicy):
    """Mixed multi-exploration: random for half of the users, action noise for the other half.

    A user stays in their half, whichever request, worker or day: it is decided by a hash of the
    user's index. The logged density is that of the half the user is in, which is the one with which
    the action was drawn given the user.
    """

    def __init__(
        self, random: ExplorationPolicy, noise: ExplorationPolicy, salt: str = "exploration"
    ) -> None:
        """Makes the policy.

        Args:
          random: For one half.
          noise: For the other half.
          salt: Another one divides the users in another way.
        """
        self.part_names = (*random.part_names, *noise.part_names)
        self._random, self._noise, self._salt = random, noise, salt

    def parts(self, users: tf.Tensor) -> tf.Tensor:
        """0 for users of the random half and 1 for the others, int32 `[batch]`."""
        # FarmHash's fingerprint, which TensorFlow promises not to change.
        keys = tf.strings.join([self._salt, tf.strings.as_string(users)], separator="/")
        return tf.cast(tf.strings.to_hash_bucket_fast(keys, 2), tf.int32)

    def actions(self, states: tf.Tensor, users: tf.Tensor, seed: tf.Tensor) -> ActionSample:
        """See :class:`mtfx.models.action_policy.ActionPolicy`."""
        seeds = tf.random.split(seed, 2)
        first = self._random.actions(states, users, seeds[0])
        second = self._noise.actions(states, users, seeds[1])
        in_random = self.parts(users) == 0
        return ActionSample(
            tf.where(in_random[:, tf.newaxis], first.action, second.action),
            tf.where(in_random, first.log_density, second.log_density),
        )


def build_exploration(
    name: str,
    action_dim: int,
    current: ActionPolicy,
    random_standard_deviation: float = RANDOM_DEVIATION,
    noise_standard_deviation: float = NOISE_DEVIATION,
) -> ExplorationPolicy:
    """Builds one of ``EXPLORATIONS``.

    Args:
      name: Its name.
      action_dim: Size of the action.
      current: Around whose actions ``noise`` explores.
      random_standard_deviation: See :class:`RandomExploration`.
      noise_standard_deviation: See :class:`ActionNoise`.

    Raises:
      ValueError: if there is no such name, or a standard deviation is not positive.
    """
    if name not in EXPLORATIONS:
        raise ValueError(f"no exploration {name!r}; there are: {', '.join(EXPLORATIONS)}")
    random = RandomExploration(action_dim, random_standard_deviation)
    noise = ActionNoise(current, noise_standard_deviation)
    if name == "mixed":
        return MixedExploration(random, noise)
    return random if name == "random" else noise
