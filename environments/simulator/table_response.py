"""A response model of independent feedbacks, whose tables may come from any fitted model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from mtfx.environments.simulator import draws
from mtfx.environments.simulator.response import Response, ResponseModel, checked_table
from mtfx.models.splitmix import normals

#: A session's first satisfaction is kept in this range; those below 0.1 would leave at once.
_LEAST_SATISFACTION, _MOST_SATISFACTION = 0.12, 0.8


class TableResponse(ResponseModel):
    """Feedback with logits, and log-logistic watch time around a median, by user and slot.

    logit P(feedback k) = logits[u, p, k] + slope_k (satisfaction - neutral). The log of the watch
    time is logistic around log median[u, p] + watch_slope (satisfaction - neutral); no video is
    watched more than ``max_loops`` times.
    """

    def __init__(
        self,
        feedback_names: tuple[str, ...],
        logits: np.ndarray,
        median_watch_s: np.ndarray,
        duration_s: np.ndarray,
        mood: np.ndarray,
        leave_logits: np.ndarray,
        *,
        slopes: tuple[float, ...],
        satisfaction_weights: tuple[float, ...],
        watch_slope: float = 1.0,
        leave_slope: float = 6.0,
        neutral: float = 0.3,
        mood_sd: float = 0.07,
        max_loops: float = 3.0,
    ) -> None:
        """Keeps the tables.

        Args:
          feedback_names: F names.
          logits: Of each feedback at neutral satisfaction, `[user, slot, feedback]`.
          median_watch_s: At neutral satisfaction, positive, `[user, slot]`.
          duration_s: Lengths of the videos, positive, `[user, slot]`.
          mood: Mean satisfaction at a session's start, `[user]`.
          leave_logits: Of leaving at neutral satisfaction, `[user]`.
          slopes: What satisfaction adds to each feedback's logit, F of them.
          satisfaction_weights: What each feedback adds to an impression's satisfaction reward,
            which is kept in [0, 1]; F of them.
          watch_slope: What satisfaction adds to the log of the watch time.
          leave_slope: What satisfaction takes off the logit of leaving.
          neutral: The satisfaction at which it does neither.
          mood_sd: Standard deviation of the satisfaction at a session's start.
          max_loops: How often a video is watched at most.

        Raises:
          ValueError: if tables do not fit each other or hold impossible values.
        """
        super().__init__(name="table_response")
        self.feedback_names = tuple(feedback_names)
        names = len(self.feedback_names)
        given = {
            "logits": logits,
            "median_watch_s": median_watch_s,
            "duration_s": duration_s,
            "mood": mood,
            "leave_logits": leave_logits,
        }
        users, slots = np.shape(logits)[:2] if np.ndim(logits) == 3 else (None, None)
        shapes: dict[str, tuple[int | None, ...]] = {
            "logits": (users, slots, names),
            "median_watch_s": (users, slots),
            "duration_s": (users, slots),
            "mood": (users,),
            "leave_logits": (users,),
        }
        self._tables = {name: checked_table(given, name, shape) for name, shape in shapes.items()}
        for name in ("median_watch_s", "duration_s"):
            if (self._tables[name] <= 0).any():
                raise ValueError(f"the response model's table {name!r} must be positive")
        for name, values in (("slopes", slopes), ("satisfaction_weights", satisfaction_weights)):
            if len(values) != names:
                raise ValueError(f"{len(values)} {name} for {names} feedbacks")
        self.num_users, self.pool_size = self._tables["logits"].shape[:2]
        self._settings: dict[str, Any] = {
            "feedback_names": list(self.feedback_names),
            "slopes": list(slopes),
            "satisfaction_weights": list(satisfaction_weights),
            "watch_slope": watch_slope,
            "leave_slope": leave_slope,
            "neutral": neutral,
            "mood_sd": mood_sd,
            "max_loops": max_loops,
        }
        self._logits = tf.constant(self._tables["logits"].reshape(-1, names))
        self._log_median = tf.constant(np.log(self._tables["median_watch_s"]).ravel())
        self._duration = tf.constant(self._tables["duration_s"].ravel())
        self._mood = tf.constant(self._tables["mood"])
        self._leave_logits = tf.constant(self._tables["leave_logits"])
        self._slopes = tf.constant(slopes, tf.float32)
        self._weights = tf.constant(satisfaction_weights, tf.float32)

    def initial_satisfaction(self, users: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """See base class."""
        seeds = draws.as_session_seeds(seed, tf.size(users))
        spread = self._settings["mood_sd"] * normals(draws.uniforms(seeds, 1)[:, 0])
        return tf.clip_by_value(
            tf.gather(self._mood, users) + spread, _LEAST_SATISFACTION, _MOST_SATISFACTION
        )

    def probabilities(
        self, users: tf.Tensor, slots: tf.Tensor, satisfaction: tf.Tensor
    ) -> tf.Tensor:
        """See base class."""
        distance = (satisfaction - self._settings["neutral"])[:, tf.newaxis]
        return tf.sigmoid(
            tf.gather(self._logits, self._row(users, slots)) + self._slopes * distance
        )

    def expected_watch_s(
        self, users: tf.Tensor, slots: tf.Tensor, satisfaction: tf.Tensor
    ) -> tf.Tensor:
        """See base class; the mean of min(X, c) for log-logistic X of shape 2 is m atan(c / m)."""
        median = tf.exp(self._log_watch(users, slots, satisfaction))
        longest = self._settings["max_loops"] * self.durations_s(users, slots)
        return median * tf.atan(longest / median)

    def respond(
        self, users: tf.Tensor, slots: tf.Tensor, satisfaction: tf.Tensor, seed: tf.Tensor
    ) -> Response:
        """See base class."""
        seeds = draws.as_session_seeds(seed, tf.size(users))
        uniform = draws.uniforms(seeds, len(self.feedback_names) + 1)
        probabilities = self.probabilities(users, slots, satisfaction)
        feedback = tf.cast(uniform[:, 1:] < probabilities, tf.float32)
        chance = tf.clip_by_value(uniform[:, 0], 1e-7, 1 - 1e-7)
        # Shape 2: half of a logistic deviate.
        log_watch = self._log_watch(users, slots, satisfaction)
        log_watch += 0.5 * (tf.math.log(chance) - tf.math.log1p(-chance))
        longest = self._settings["max_loops"] * self.durations_s(users, slots)
        reward = tf.reduce_sum(feedback * self._weights, axis=1)
        return Response(
            feedback, tf.minimum(tf.exp(log_watch), longest), tf.clip_by_value(reward, 0.0, 1.0)
        )

    def leave_probability(self, users: tf.Tensor, satisfaction: tf.Tensor) -> tf.Tensor:
        """See base class."""
        distance = satisfaction - self._settings["neutral"]
        logits = tf.gather(self._leave_logits, users) - self._settings["leave_slope"] * distance
        return tf.sigmoid(logits)

    def durations_s(self, users: tf.Tensor, slots: tf.Tensor) -> tf.Tensor:
        """See base class."""
        return tf.gather(self._duration, self._row(users, slots))

    def arrays(self) -> dict[str, np.ndarray]:
        """See base class."""
        return dict(self._tables)

    def settings(self) -> dict[str, Any]:
        """See base class."""
        return dict(self._settings)

    @classmethod
    def restore(
        cls, arrays: Mapping[str, np.ndarray], settings: Mapping[str, Any]
    ) -> TableResponse:
        """See base class."""
        names = ("logits", "median_watch_s", "duration_s", "mood", "leave_logits")
        tables = {name: checked_table(arrays, name, (None,) * _RANKS[name]) for name in names}
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in settings.items()
        }
        return cls(**tables, **values)

    def _row(self, users: tf.Tensor, slots: tf.Tensor) -> tf.Tensor:
        return users * self.pool_size + slots

    def _log_watch(self, users: tf.Tensor, slots: tf.Tensor, satisfaction: tf.Tensor) -> tf.Tensor:
        distance = satisfaction - self._settings["neutral"]
        median = tf.gather(self._log_median, self._row(users, slots))
        return median + self._settings["watch_slope"] * distance


_RANKS = {"logits": 3, "median_watch_s": 2, "duration_s": 2, "mood": 1, "leave_logits": 1}
