"""The known truth of the synthetic ``video`` profile, as a response model.

The same user model as in :mod:`mtfx.datasets.synthetic`, in TensorFlow: the log was drawn from
these probabilities, so a policy's value in this world is its true value. Two things are simpler
than in the log: all sessions take place in one tab, and a session's 40 minutes are not counted, as
the simulator has a view cap.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from mtfx.datasets.synthetic.user_model import (
    NEUTRAL_SATISFACTION,
    STARTING_SATISFACTION,
    VIDEO_MODEL,
)
from mtfx.datasets.synthetic.video import CLICKED, MAX_LOOPS, SKIP_SPREAD, UNCLICKED, WATCH_SPREAD
from mtfx.environments.simulator import draws
from mtfx.environments.simulator.response import Response, ResponseModel, checked_table
from mtfx.environments.simulator.synthetic_tables import VideoTables
from mtfx.models.splitmix import normals

_CLICK, _LONG_VIEW, _LIKE, _HATE = (
    VIDEO_MODEL.tasks.index(name) for name in ("click", "long_view", "like", "hate")
)
#: Like, follow, comment and forward, between the two above.
_POSITIVE = slice(_LIKE, _HATE)


class SyntheticResponse(ResponseModel):
    """How the users of the synthetic videos respond; ``docs/synthetic-data.md`` explains each term.

    Click is drawn first, then the watch time given it, then the rest. The log of the watch time is
    logistic around the score of a long view, so that it passes the threshold with just that
    probability.
    """

    def __init__(self, tables: VideoTables) -> None:
        """Puts the tables into tensors.

        Args:
          tables: See :func:`mtfx.environments.simulator.synthetic_tables.synthetic_tables`.

        Raises:
          ValueError: if a table has the wrong shape or is not finite.
        """
        super().__init__(name="synthetic_response")
        self.feedback_names = VIDEO_MODEL.tasks
        self._tables = tables
        arrays = tables.arrays()
        names = len(self.feedback_names)
        scores = checked_table(arrays, "scores", (None, None, names))
        users, slots = scores.shape[:2]
        self.num_users, self.pool_size = users, slots
        shapes: dict[str, tuple[int | None, ...]] = {
            "side": (users, slots),
            "log_threshold_ms": (users, slots),
            "duration_ms": (users, slots),
            "mood": (users,),
            "leave_scores": (users,),
        }
        found = {name: checked_table(arrays, name, shape) for name, shape in shapes.items()}
        self._scores = tf.constant(scores.reshape(-1, names))
        # One gather for the three numbers of a video.
        self._videos = tf.constant(
            np.stack(
                [found[name].ravel() for name in ("side", "log_threshold_ms", "duration_ms")], 1
            )
        )
        self._mood = tf.constant(found["mood"])
        self._leave_scores = tf.constant(found["leave_scores"])
        self._slopes = tf.constant(VIDEO_MODEL.utility_weights) * VIDEO_MODEL.satisfaction

    def initial_satisfaction(self, users: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """See base class."""
        seeds = draws.as_session_seeds(seed, tf.size(users))
        spread = VIDEO_MODEL.mood_sd * normals(draws.uniforms(seeds, 1)[:, 0])
        low, high = STARTING_SATISFACTION
        return tf.clip_by_value(tf.gather(self._mood, users) + spread, low, high)

    def probabilities(
        self, users: tf.Tensor, slots: tf.Tensor, satisfaction: tf.Tensor
    ) -> tf.Tensor:
        """See base class."""
        side, _, _ = self._video(users, slots)
        chances = tf.sigmoid(self._score(users, slots, satisfaction))
        click = chances[:, _CLICK, tf.newaxis]
        long_view = click * chances[:, _LONG_VIEW, tf.newaxis]
        long_view += (1.0 - click) * tf.sigmoid(side)[:, tf.newaxis]
        further = chances[:, _LIKE:] * self._factors(click)
        return tf.concat([click, long_view, further], axis=1)

    def expected_watch_s(
        self, users: tf.Tensor, slots: tf.Tensor, satisfaction: tf.Tensor
    ) -> tf.Tensor:
        """See base class; but for the watch time's being cut to whole milliseconds.

        The mean of min(X, c) for log-logistic X of median m and shape 2, the inverse of both
        spreads, is m atan(c / m).
        """
        scores = self._score(users, slots, satisfaction)
        side, log_threshold, duration = self._video(users, slots)
        longest = MAX_LOOPS * duration
        click = tf.sigmoid(scores[:, _CLICK])
        total = 0.0
        for chance, spread, score in (
            (click, WATCH_SPREAD, scores[:, _LONG_VIEW]),
            (1.0 - click, SKIP_SPREAD, side),
        ):
            median = tf.exp(spread * score + log_threshold)
            total += chance * median * tf.atan(longest / median)
        return total / 1_000.0

    def respond(
        self, users: tf.Tensor, slots: tf.Tensor, satisfaction: tf.Tensor, seed: tf.Tensor
    ) -> Response:
        """See base class."""
        seeds = draws.as_session_seeds(seed, tf.size(users))
        uniform = draws.uniforms(seeds, len(self.feedback_names))
        scores = self._score(users, slots, satisfaction)
        side, log_threshold, duration = self._video(users, slots)
        click = uniform[:, _CLICK] < tf.sigmoid(scores[:, _CLICK])
        chance = tf.clip_by_value(uniform[:, _LONG_VIEW], 1e-7, 1 - 1e-7)
        logistic = tf.math.log(chance / (1.0 - chance))
        excess = tf.where(
            click,
            WATCH_SPREAD * (scores[:, _LONG_VIEW] + logistic),
            SKIP_SPREAD * (side + logistic),
        )
        watch = tf.minimum(tf.exp(excess + log_threshold), MAX_LOOPS * duration)
        clicked = tf.cast(click, tf.float32)
        long_view = tf.cast(excess >= 0, tf.float32)
        chances = tf.sigmoid(scores[:, _LIKE:]) * self._factors(clicked[:, tf.newaxis])
        further = tf.cast(uniform[:, _LIKE:] < chances, tf.float32)
        feedback = tf.concat([tf.stack([clicked, long_view], axis=1), further], axis=1)
        return Response(feedback, watch / 1_000.0, self._satisfaction_reward(feedback))

    def leave_probability(self, users: tf.Tensor, satisfaction: tf.Tensor) -> tf.Tensor:
        """See base class."""
        distance = satisfaction - NEUTRAL_SATISFACTION
        scores = tf.gather(self._leave_scores, users)
        return tf.sigmoid(scores - VIDEO_MODEL.leave_weight * distance)

    def durations_s(self, users: tf.Tensor, slots: tf.Tensor) -> tf.Tensor:
        """See base class."""
        return self._video(users, slots)[2] / 1_000.0

    def arrays(self) -> dict[str, np.ndarray]:
        """See base class."""
        return self._tables.arrays()

    def settings(self) -> dict[str, Any]:
        """See base class: the rest are constants of the profile."""
        return {}

    @classmethod
    def restore(
        cls, arrays: Mapping[str, np.ndarray], settings: Mapping[str, Any]
    ) -> SyntheticResponse:
        """See base class."""
        del settings
        return cls(VideoTables.restore(arrays))

    def _row(self, users: tf.Tensor, slots: tf.Tensor) -> tf.Tensor:
        return users * self.pool_size + slots

    def _score(self, users: tf.Tensor, slots: tf.Tensor, satisfaction: tf.Tensor) -> tf.Tensor:
        distance = (satisfaction - NEUTRAL_SATISFACTION)[:, tf.newaxis]
        return tf.gather(self._scores, self._row(users, slots)) + distance * self._slopes

    def _video(self, users: tf.Tensor, slots: tf.Tensor) -> list[tf.Tensor]:
        return tf.unstack(tf.gather(self._videos, self._row(users, slots)), num=3, axis=1)

    def _factors(self, click: tf.Tensor) -> tf.Tensor:
        return click * CLICKED + (1.0 - click) * UNCLICKED

    def _satisfaction_reward(self, feedback: tf.Tensor) -> tf.Tensor:
        """0.4 for a click, 0.4 for a long view, 0.2 for anything further; none with a hate."""
        further = tf.reduce_max(feedback[:, _POSITIVE], axis=1)
        reward = 0.4 * feedback[:, _CLICK] + 0.4 * feedback[:, _LONG_VIEW] + 0.2 * further
        return reward * (1.0 - feedback[:, _HATE])
