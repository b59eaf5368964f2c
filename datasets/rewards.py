"""The reward of one request: a weighted sum of watch time, play integrity and interactions.

BatchRL-MTF equation (2): ``r(s, a) = sum_i w_i v_i``. The paper names the
feedbacks (play time, play integrity, interactions such as like, share, comment) but publishes no
weight, so the weights here are this project's own, chosen so that on short video the three parts
of the default reward are of the same order.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mtfx.config import Config

if TYPE_CHECKING:
    import tensorflow as tf

#: Watch time enters (2) in this unit, so that a minute counts ``watch_weight``.
SECONDS_PER_UNIT = 60.0

#: What an interaction counts relative to a like: rarer and costlier ones more, a dislike negative.
FEEDBACK_WEIGHTS: tuple[tuple[str, float], ...] = (
    ("click", 0.1),
    ("long_view", 0.1),
    ("like", 1.0),
    ("comment", 1.5),
    ("forward", 1.5),
    ("follow", 2.0),
    ("pay", 2.0),
    ("hate", -2.0),
)
#: Feedbacks that say a video was watched, not that the user did something about it.
_VIEWING = ("click", "long_view")


@dataclasses.dataclass(frozen=True)
class RewardConfig(Config):
    """What is optimised: the weights of equation (2), and how later requests are discounted.

    Attributes:
      watch_weight: Per minute watched.
      integrity_weight: Of the share of the video that was watched.
      interaction_weight: Multiplies every weight of ``feedback_weights``.
      feedback_weights: ``(feedback, weight)`` pairs; those a data set lacks are ignored.
      other_feedback_weight: Of a feedback that ``feedback_weights`` does not name.
      integrity_cap: Watch time over duration counts no more than this. With 1 a replay counts by
        its watch time only, and a video of two seconds cannot earn more integrity than another.
      watch_cap_s: Seconds counted of one video, at most: a phone left playing is no satisfaction.
      gamma: Discount of a request's reward per request before it, in [0, 1); BatchRL-MTF's. A
        session is worth the discounted sum: what agents learn, estimators estimate, searches
        maximise and the simulator reports, all by this one number.

    Raises:
      ValueError: at construction, naming the field, for a weight that is not finite, a cap that is
        not positive, or a discount out of its range.
    """

    watch_weight: float = 1.0
    integrity_weight: float = 0.5
    interaction_weight: float = 1.0
    feedback_weights: tuple[tuple[str, float], ...] = FEEDBACK_WEIGHTS
    other_feedback_weight: float = 1.0
    integrity_cap: float = 1.0
    watch_cap_s: float = 600.0
    gamma: float = 0.95

    def __post_init__(self) -> None:
        pairs = self.feedback_weights
        if isinstance(pairs, Mapping):
            pairs = tuple(pairs.items())
        # Sorted, as JSON with sorted keys has them: two configurations are equal by their weights.
        pairs = tuple(sorted((str(name), float(weight)) for name, weight in pairs))
        object.__setattr__(self, "feedback_weights", pairs)
        names = [name for name, _ in pairs]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"feedback_weights name a feedback twice: {', '.join(twice)}")
        numbers = {f"feedback_weights[{name}]": weight for name, weight in pairs}
        for field in dataclasses.fields(self):
            if field.name != "feedback_weights":
                numbers[field.name] = getattr(self, field.name)
        for name, number in numbers.items():
            if not math.isfinite(number):
                raise ValueError(f"the reward's {name} must be a finite number, not {number}")
        for name in ("integrity_cap", "watch_cap_s"):
            if numbers[name] <= 0:
                raise ValueError(f"the reward's {name} must be positive, not {numbers[name]}")
        if not 0 <= self.gamma < 1:
            raise ValueError(f"gamma is a discount in [0, 1), got {self.gamma}")

    def interaction_weights(self, feedback_names: Sequence[str]) -> np.ndarray:
        """The weights of feedbacks, in their order: float32 `[feedback]`."""
        known = dict(self.feedback_weights)
        weights = [known.get(name, self.other_feedback_weight) for name in feedback_names]
        return np.asarray(weights, np.float32) * np.float32(self.interaction_weight)

    def to_dict(self) -> dict[str, Any]:
        """A dictionary of JSON types, in which the weights are one too, by feedback."""
        return super().to_dict() | {"feedback_weights": dict(self.feedback_weights)}

    @classmethod
    def config_types(cls, values: Mapping[str, Any]) -> Mapping[str, Any]:
        """The weights' type: as :meth:`to_dict` writes them, or pairs."""
        pairs = not isinstance(values.get("feedback_weights"), Mapping)
        return {} if pairs else {"feedback_weights": dict[str, float]}


@dataclasses.dataclass(frozen=True)
class Reward:
    """Equation (2) for feedbacks in a given order, on NumPy arrays or tensors.

    Attributes:
      config: The weights.
      feedback_names: Names of the feedbacks, the last axis of ``feedback``.
    """

    config: RewardConfig
    feedback_names: tuple[str, ...]

    def __call__(self, feedback: Any, watch_s: Any, duration_s: Any) -> Any:
        """The reward of each view.

        Args:
          feedback: float32 `[..., feedback]`, 0 or 1.
          watch_s: float32 `[...]`, seconds watched.
          duration_s: float32 `[...]`, length of the video in seconds. Where it is not positive the
            length is unknown and integrity counts 0.

        Returns:
          float32 `[...]`: a tensor if ``feedback`` is one, else an array.

        Raises:
          ValueError: if ``feedback``'s last axis is not the number of names.
        """
        width = feedback.shape[-1]
        if width is not None and width != len(self.feedback_names):
            raise ValueError(
                f"{width} feedbacks for the names {', '.join(self.feedback_names)}; the last axis "
                "must have one value per name"
            )
        if isinstance(feedback, np.ndarray):
            return self._array(feedback, np.asarray(watch_s), np.asarray(duration_s))
        return self._tensor(feedback, watch_s, duration_s)

    def _array(self, feedback: np.ndarray, watch_s: np.ndarray, duration_s: np.ndarray):
        config, known = self.config, duration_s > 0
        integrity = np.where(known, watch_s / np.where(known, duration_s, 1.0), 0.0)
        return (
            config.watch_weight / SECONDS_PER_UNIT * np.minimum(watch_s, config.watch_cap_s)
            + config.integrity_weight * np.minimum(integrity, config.integrity_cap)
            + feedback @ config.interaction_weights(self.feedback_names)
        ).astype(np.float32)

    def _tensor(self, feedback: tf.Tensor, watch_s: tf.Tensor, duration_s: tf.Tensor) -> tf.Tensor:
        # Imported here because the command line reads data sets' descriptions without TensorFlow.
        import tensorflow as tf

        config = self.config
        integrity = tf.where(duration_s > 0, tf.math.divide_no_nan(watch_s, duration_s), 0.0)
        weights = tf.constant(config.interaction_weights(self.feedback_names))
        return (
            config.watch_weight / SECONDS_PER_UNIT * tf.minimum(watch_s, config.watch_cap_s)
            + config.integrity_weight * tf.minimum(integrity, config.integrity_cap)
            + tf.reduce_sum(feedback * weights, axis=-1)
        )


#: How much larger than the default's a variant's own weight is.
_EMPHASIS = 3.0
_DEFAULT = RewardConfig()

#: Table 1's variants: each sets a larger weight on its own part (section 4.4.2).
REWARD_PRESETS: dict[str, RewardConfig] = {
    "default": _DEFAULT,
    "time": dataclasses.replace(_DEFAULT, watch_weight=_EMPHASIS * _DEFAULT.watch_weight),
    "integrity": dataclasses.replace(
        _DEFAULT, integrity_weight=_EMPHASIS * _DEFAULT.integrity_weight
    ),
    "interaction": dataclasses.replace(
        _DEFAULT, interaction_weight=_EMPHASIS * _DEFAULT.interaction_weight
    ),
}


def reward_preset(name: str) -> RewardConfig:
    """The preset of a name; raises ValueError naming the presets if there is none."""
    if name not in REWARD_PRESETS:
        raise ValueError(f"no reward preset {name!r}; there are: {', '.join(REWARD_PRESETS)}")
    return REWARD_PRESETS[name]


def build_reward(config: RewardConfig | str, feedback_names: Sequence[str]) -> Reward:
    """A reward for feedbacks in this order, from a configuration or a preset's name."""
    if isinstance(config, str):
        config = reward_preset(config)
    return Reward(config, tuple(feedback_names))


def positive_feedbacks(reward: RewardConfig, feedback_names: Sequence[str]) -> np.ndarray:
    """Which feedbacks are positive interactions: bool `[feedback]`.

    Those whose weight in the reward is positive, except click and long view, which count only where
    there is nothing else.
    """
    # With a weight of 1, as a reward that ignores interactions does not change which are positive.
    weights = dataclasses.replace(reward, interaction_weight=1.0).interaction_weights(
        feedback_names
    )
    positive = weights > 0
    done_something = positive & ~np.isin(feedback_names, _VIEWING)
    return done_something if done_something.any() else positive
