"""A response model fitted to logs, as tables over the users' pools."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from mtfx.environments.simulator import draws
from mtfx.environments.simulator.response import Response, ResponseModel, checked_table
from mtfx.environments.simulator.watch_time import expected_watch_s, sampled_watch_s
from mtfx.models.splitmix import normals

_SHAPES = {
    "logits": 3,
    "watch_bin": 3,
    "watch_quantiles": 3,
    "duration_s": 2,
    "mood": 1,
    "leave_logits": 1,
}
_LEAST_SATISFACTION, _MOST_SATISFACTION = 0.12, 0.8
_SMALL = 1e-6


@dataclasses.dataclass(frozen=True)
class FittedSettings:
    """What a fitted model knows beside its tables.

    Attributes:
      feedback_names: F names; the first is the primary feedback (a click), on which watch time and
        the other feedbacks depend.
      slopes: What satisfaction above the user's mood adds to each feedback's logit.
      share_with_primary: Of each feedback, how much of it comes together with the primary one.
      satisfaction_weights: What each feedback adds to an impression's satisfaction reward.
      negative: Feedbacks that leave no reward at all, by name.
      reward_shift: Added to the reward, so that its mean over the log is ``neutral``.
      has_watch_time: Whether the log has watch times; else nothing is watched.
      watch_feedback: The feedback that is given for a long watch time; empty if there is none.
      mood_sd: Standard deviation of a session's first satisfaction around the user's mood.
      leave_slope: What satisfaction above ``neutral`` takes off the logit of leaving.
      neutral: The mean satisfaction reward.
      max_loops: How often a video is watched at most.
    """

    feedback_names: tuple[str, ...]
    slopes: tuple[float, ...]
    share_with_primary: tuple[float, ...]
    satisfaction_weights: tuple[float, ...]
    negative: tuple[str, ...] = ()
    reward_shift: float = 0.0
    has_watch_time: bool = True
    watch_feedback: str = ""
    mood_sd: float = 0.0
    leave_slope: float = 0.0
    neutral: float = 0.3
    max_loops: float = 3.0

    def __post_init__(self) -> None:
        names = len(self.feedback_names)
        for field in ("slopes", "share_with_primary", "satisfaction_weights"):
            if len(getattr(self, field)) != names:
                raise ValueError(f"{len(getattr(self, field))} {field} for {names} feedbacks")
        for name in (*self.negative, *((self.watch_feedback,) if self.watch_feedback else ())):
            if name not in self.feedback_names:
                raise ValueError(f"no feedback {name!r}; there are: {self.feedback_names}")


class FittedResponse(ResponseModel):
    """Feedbacks, watch time and leaving as fitted to a log.

    At satisfaction s, with a user's mood m: logit P(k) = logits[u, p, k] + slope_k (s - m). The
    primary feedback is drawn first; another feedback k follows it with its own share c_k:
    P(k | primary) = c_k P(k) / P(primary), P(k | not) = (1 - c_k) P(k) / (1 - P(primary)), each at
    most 1. The watch time is drawn from the quantiles observed of impressions with the same primary
    feedback and a like prediction. The watch time's own feedback (a long view) is given for the
    longest watch times, with its marginal probability: one uniform number decides both.
    """

    def __init__(self, tables: Mapping[str, np.ndarray], settings: FittedSettings) -> None:
        """Keeps the tables.

        Args:
          tables: ``logits`` `[user, slot, feedback]`, of each feedback at the user's mood;
            ``watch_bin`` `[user, slot, 2]`, which bin of the quantiles an item is in, with and
            without the primary feedback, fractions being between two; ``watch_quantiles``
            `[2, bin, level]`, seconds at equidistant levels from 0 to 1, rising; ``duration_s``
            `[user, slot]`, 0 where unknown; ``mood`` `[user]`, mean satisfaction at a session's
            start; ``leave_logits`` `[user]`, of leaving at neutral satisfaction.
          settings: Everything else.

        Raises:
          ValueError: if a table is missing, does not fit or is not finite.
        """
        super().__init__(name="fitted_response")
        self.config = settings
        self.feedback_names = settings.feedback_names
        names = len(self.feedback_names)
        logits = np.asarray(tables.get("logits", ()))
        users, slots = logits.shape[:2] if logits.ndim == 3 else (None, None)
        shapes: dict[str, tuple[int | None, ...]] = {
            "logits": (users, slots, names),
            "watch_bin": (users, slots, 2),
            "watch_quantiles": (2, None, None),
            "duration_s": (users, slots),
            "mood": (users,),
            "leave_logits": (users,),
        }
        self._tables = {name: checked_table(tables, name, shape) for name, shape in shapes.items()}
        if (self._tables["duration_s"] < 0).any():
            raise ValueError("the response model's table 'duration_s' must not be negative")
        _check_watch(self._tables["watch_bin"], self._tables["watch_quantiles"])
        self.num_users, self.pool_size = self._tables["logits"].shape[:2]
        self._logits = tf.constant(self._tables["logits"].reshape(-1, names))
        self._watch = tf.constant(self._tables["watch_bin"].reshape(-1, 2))
        self._quantiles = tf.constant(self._tables["watch_quantiles"])
        self._duration = tf.constant(self._tables["duration_s"].ravel())
        self._mood = tf.constant(self._tables["mood"])
        self._leave_logits = tf.constant(self._tables["leave_logits"])
        self._slopes = tf.constant(settings.slopes, tf.float32)
        self._share = tf.constant(settings.share_with_primary, tf.float32)
        positive = [0.0 if n in settings.negative else 1.0 for n in self.feedback_names]
        self._weights = tf.constant(settings.satisfaction_weights, tf.float32) * positive
        self._negative = 1.0 - tf.constant(positive, tf.float32)

    def initial_satisfaction(self, users: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """See base class: the user's mood, with a normal spread."""
        seeds = draws.as_session_seeds(seed, tf.size(users))
        spread = self.config.mood_sd * normals(draws.uniforms(seeds, 1)[:, 0])
        return tf.clip_by_value(
            tf.gather(self._mood, users) + spread, _LEAST_SATISFACTION, _MOST_SATISFACTION
        )

    def probabilities(
        self, users: tf.Tensor, slots: tf.Tensor, satisfaction: tf.Tensor
    ) -> tf.Tensor:
        """See base class; exact, the conditional probabilities' bound of 1 included."""
        marginal = self._marginals(users, slots, satisfaction)
        with_primary, without = self._conditional(marginal)
        primary = marginal[:, :1]
        mixed = primary * with_primary + (1 - primary) * without
        return tf.where(self._is_watch_feedback(), marginal, mixed)

    def expected_watch_s(
        self, users: tf.Tensor, slots: tf.Tensor, satisfaction: tf.Tensor
    ) -> tf.Tensor:
        """See base class."""
        if not self.config.has_watch_time:
            return tf.zeros_like(satisfaction)
        row = self._row(users, slots)
        bins, longest = tf.gather(self._watch, row), self._longest(row)
        with_primary, without = (
            expected_watch_s(
                self._quantiles, tf.fill(tf.shape(row), branch), bins[:, branch], longest
            )
            for branch in range(2)
        )
        primary = self._marginals(users, slots, satisfaction)[:, 0]
        return primary * with_primary + (1 - primary) * without

    def respond(
        self, users: tf.Tensor, slots: tf.Tensor, satisfaction: tf.Tensor, seed: tf.Tensor
    ) -> Response:
        """See base class."""
        seeds = draws.as_session_seeds(seed, tf.size(users))
        uniform = draws.uniforms(seeds, len(self.feedback_names) + 1)
        marginal = self._marginals(users, slots, satisfaction)
        primary = uniform[:, 1] < marginal[:, 0]
        with_primary, without = self._conditional(marginal)
        chance = tf.where(primary[:, tf.newaxis], with_primary, without)
        given = uniform[:, 1:] < chance
        # How long this is watched among all that might happen, from 0 (least) to 1.
        quantile = tf.clip_by_value(uniform[:, 0], 1e-7, 1 - 1e-7)
        clicked = marginal[:, 0]
        rank = tf.where(primary, 1 - clicked + clicked * quantile, (1 - clicked) * quantile)
        given = tf.where(self._is_watch_feedback(), rank[:, tf.newaxis] >= 1 - marginal, given)
        given = tf.concat([primary[:, tf.newaxis], given[:, 1:]], axis=1)
        feedback = tf.cast(given, tf.float32)
        return Response(
            feedback, self._watch_s(users, slots, primary, quantile), self._worth(feedback)
        )

    def leave_probability(self, users: tf.Tensor, satisfaction: tf.Tensor) -> tf.Tensor:
        """See base class."""
        distance = satisfaction - self.config.neutral
        return tf.sigmoid(tf.gather(self._leave_logits, users) - self.config.leave_slope * distance)

    def durations_s(self, users: tf.Tensor, slots: tf.Tensor) -> tf.Tensor:
        """See base class; 0 where the length is unknown."""
        return tf.gather(self._duration, self._row(users, slots))

    def arrays(self) -> dict[str, np.ndarray]:
        """See base class."""
        return dict(self._tables)

    def settings(self) -> dict[str, Any]:
        """See base class."""
        return dataclasses.asdict(self.config)

    @classmethod
    def restore(
        cls, arrays: Mapping[str, np.ndarray], settings: Mapping[str, Any]
    ) -> FittedResponse:
        """See base class."""
        known = {field.name for field in dataclasses.fields(FittedSettings)}
        if unknown := sorted(set(settings) - known):
            raise ValueError(f"a fitted response model has no setting {', '.join(unknown)}")
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in settings.items()
        }
        for name, rank in _SHAPES.items():
            checked_table(arrays, name, (None,) * rank)
        return cls(arrays, FittedSettings(**values))

    def _row(self, users: tf.Tensor, slots: tf.Tensor) -> tf.Tensor:
        return users * self.pool_size + slots

    def _marginals(self, users: tf.Tensor, slots: tf.Tensor, satisfaction: tf.Tensor) -> tf.Tensor:
        above = (satisfaction - tf.gather(self._mood, users))[:, tf.newaxis]
        return tf.sigmoid(tf.gather(self._logits, self._row(users, slots)) + self._slopes * above)

    def _conditional(self, marginal: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """P(feedback | primary) and P(feedback | not); the primary feedback's own are 1 and 0."""
        primary = marginal[:, :1]
        with_primary = self._share * marginal / tf.maximum(primary, _SMALL)
        without = (1 - self._share) * marginal / tf.maximum(1 - primary, _SMALL)
        return tf.minimum(with_primary, 1.0), tf.minimum(without, 1.0)

    def _is_watch_feedback(self) -> tf.Tensor:
        return tf.constant([[n == self.config.watch_feedback for n in self.feedback_names]])

    def _longest(self, row: tf.Tensor) -> tf.Tensor:
        return self.config.max_loops * tf.gather(self._duration, row)

    def _watch_s(
        self, users: tf.Tensor, slots: tf.Tensor, primary: tf.Tensor, quantile: tf.Tensor
    ) -> tf.Tensor:
        if not self.config.has_watch_time:
            return tf.zeros_like(quantile)
        row = self._row(users, slots)
        bins = tf.gather(self._watch, row)
        return sampled_watch_s(
            self._quantiles,
            tf.where(primary, 0, 1),
            tf.where(primary, bins[:, 0], bins[:, 1]),
            quantile,
            self._longest(row),
        )

    def _worth(self, feedback: tf.Tensor) -> tf.Tensor:
        """The satisfaction reward; see ``mtfx.environments.simulator.satisfaction``."""
        worth = tf.minimum(tf.reduce_sum(feedback * self._weights, axis=1), 1.0)
        harmed = tf.reduce_any(feedback * self._negative > 0, axis=1)
        return tf.clip_by_value(tf.where(harmed, 0.0, worth) + self.config.reward_shift, 0.0, 1.0)


def _check_watch(bins: np.ndarray, quantiles: np.ndarray) -> None:
    number, levels = quantiles.shape[1:]
    if number < 1 or levels < 2:
        raise ValueError(
            "the response model's table 'watch_quantiles' needs at least one bin and two levels, "
            f"got shape {list(quantiles.shape)}"
        )
    if (quantiles < 0).any() or (np.diff(quantiles, axis=-1) < 0).any():
        raise ValueError(
            "the response model's table 'watch_quantiles' must hold seconds of at least 0 that do "
            "not fall from one level to the next"
        )
    if bins.size and (bins.min() < 0 or bins.max() > number - 1):
        raise ValueError(
            f"the response model's table 'watch_bin' must lie in [0, {number - 1}], as there are "
            f"{number} bins; got {bins.min():g} to {bins.max():g}"
        )
