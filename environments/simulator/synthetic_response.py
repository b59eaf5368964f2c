"""The known truth of the synthetic ``video`` profile, as a response model.

The same user model as in :mod:`mtfx.datasets.synthetic`, in TensorFlow: the log was drawn from
these probabilities, so a policy's value in this world is its true value. Two things are simpler
than in the log: all sessions take place in one tab, and a session's 40 minutes are not counted, as
the simulator has a view cap.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from mtfx.datasets.synthetic.user_model import (
    NEUTRAL_SATISFACTION,
    STARTING_SATISFACTION,
    VIDEO_MODEL,
)
from mtfx.datasets.synthetic.video import CLICKED, UNCLICKED, satisfaction_slopes
from mtfx.datasets.synthetic.watch_law import (
    LATE_MEAN,
    MAX_LOOPS,
    SKIP_SHAPE,
    USUAL_CHANCE,
    USUAL_SCORE,
    WatchLaw,
)
from mtfx.environments.simulator import draws
from mtfx.environments.simulator.response import Response, ResponseModel, checked_table
from mtfx.environments.simulator.synthetic_tables import VideoTables
from mtfx.models.splitmix import normals


class _Law(NamedTuple):
    """The fields of :class:`WatchLaw`, float32 `[batch]`."""

    log_threshold: tf.Tensor
    log_duration: tf.Tensor
    spread: tf.Tensor
    replay: tf.Tensor
    skip_ms: tf.Tensor
    long_ms: tf.Tensor
    short_ms: tf.Tensor


_CLICK, _LONG_VIEW, _LIKE, _HATE = (
    VIDEO_MODEL.tasks.index(name) for name in ("click", "long_view", "like", "hate")
)
#: Like, follow, comment and forward, between the two above.
_POSITIVE = slice(_LIKE, _HATE)


class SyntheticResponse(ResponseModel):
    """How the users of the synthetic videos respond; ``docs/synthetic-data.md`` explains each term.

    Click is drawn first, then long view and watch time given it, then the rest. The law of the
    watch time is :class:`mtfx.datasets.synthetic.watch_law.WatchLaw`.
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
            "late": (users,),
            "duration_ms": (users, slots),
            "hold": (users, slots),
            "mood": (users,),
            "leave_scores": (users,),
        }
        found = {name: checked_table(arrays, name, shape) for name, shape in shapes.items()}
        self._scores = tf.constant(scores.reshape(-1, names))
        law = WatchLaw.of(found["duration_ms"].ravel(), found["hold"].ravel())
        # One gather for the numbers of a video.
        self._videos = tf.constant(
            np.stack([getattr(law, field.name) for field in dataclasses.fields(law)], axis=1)
        )
        self._late = tf.constant(found["late"])
        self._mood = tf.constant(found["mood"])
        self._leave_scores = tf.constant(found["leave_scores"])
        self._slopes = tf.constant(satisfaction_slopes())

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
        late = tf.gather(self._late, users)[:, tf.newaxis]
        chances = tf.sigmoid(self._score(users, slots, satisfaction))
        click = chances[:, _CLICK, tf.newaxis]
        long_view = click * chances[:, _LONG_VIEW, tf.newaxis]
        long_view += (1.0 - click) * late
        further = chances[:, _LIKE:] * self._factors(click)
        return tf.concat([click, long_view, further], axis=1)

    def expected_watch_s(
        self, users: tf.Tensor, slots: tf.Tensor, satisfaction: tf.Tensor
    ) -> tf.Tensor:
        """See base class; but for the watch time's being cut to whole milliseconds."""
        chances = tf.sigmoid(self._score(users, slots, satisfaction))
        law, late = self._law(users, slots), tf.gather(self._late, users)
        click, long_view = chances[:, _CLICK], chances[:, _LONG_VIEW]
        skipped = (1.0 - late) * law.skip_ms / (1.0 + SKIP_SHAPE)
        skipped += late * LATE_MEAN * tf.exp(law.log_threshold)
        clicked = long_view * law.long_ms + (1.0 - long_view) * law.short_ms
        total = click * clicked + (1.0 - click) * tf.where(late > 0, skipped, 0.0)
        return total / 1_000.0

    def respond(
        self, users: tf.Tensor, slots: tf.Tensor, satisfaction: tf.Tensor, seed: tf.Tensor
    ) -> Response:
        """See base class."""
        seeds = draws.as_session_seeds(seed, tf.size(users))
        uniform = draws.uniforms(seeds, len(self.feedback_names))
        scores = self._score(users, slots, satisfaction)
        law, late = self._law(users, slots), tf.gather(self._late, users)
        click = uniform[:, _CLICK] < tf.sigmoid(scores[:, _CLICK])
        place = uniform[:, _LONG_VIEW]
        clicked_ms, clicked_long = _clicked_ms(law, tf.sigmoid(scores[:, _LONG_VIEW]), place)
        skipped_ms, skipped_long = _skipped_ms(law, place, late)
        watch = tf.where(click, clicked_ms, skipped_ms)
        clicked = tf.cast(click, tf.float32)
        long_view = tf.cast(tf.where(click, clicked_long, skipped_long), tf.float32)
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
        return tf.exp(self._law(users, slots).log_duration) / 1_000.0

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

    def _law(self, users: tf.Tensor, slots: tf.Tensor) -> _Law:
        row = tf.gather(self._videos, self._row(users, slots))
        return _Law(*tf.unstack(row, num=len(_Law._fields), axis=1))

    def _factors(self, click: tf.Tensor) -> tf.Tensor:
        return click * CLICKED + (1.0 - click) * UNCLICKED

    def _satisfaction_reward(self, feedback: tf.Tensor) -> tf.Tensor:
        """0.4 for a click, 0.4 for a long view, 0.2 for anything further; none with a hate."""
        further = tf.reduce_max(feedback[:, _POSITIVE], axis=1)
        reward = 0.4 * feedback[:, _CLICK] + 0.4 * feedback[:, _LONG_VIEW] + 0.2 * further
        return reward * (1.0 - feedback[:, _HATE])


def _clicked_ms(law: _Law, chance: tf.Tensor, uniform: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """``WatchLaw.clicked_ms`` in TensorFlow."""
    long_view = uniform >= 1.0 - chance
    rest = tf.where(long_view, 1.0 - uniform, uniform) / tf.where(long_view, chance, 1.0 - chance)
    side = tf.where(long_view, USUAL_CHANCE, 1.0 - USUAL_CHANCE)
    place = tf.clip_by_value(rest * side, 1e-7, 1.0)
    logistic = tf.math.log(place / (1.0 - place))
    excess = USUAL_SCORE + tf.where(long_view, -logistic, logistic)
    beyond = law.log_threshold + law.spread * excess - law.log_duration
    replay = tf.minimum(law.replay * beyond, math.log(MAX_LOOPS))
    return tf.exp(law.log_duration + tf.where(beyond > 0, replay, beyond)), long_view


def _skipped_ms(law: _Law, uniform: tf.Tensor, late: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """``WatchLaw.skipped_ms`` in TensorFlow."""
    stays = uniform >= 1.0 - late
    part = tf.where(stays, (1.0 - uniform) / tf.maximum(late, 1e-9), uniform / (1.0 - late))
    left = 1.0 - tf.exp(tf.math.log1p(-tf.where(stays, 0.0, part)) / SKIP_SHAPE)
    watch = tf.where(stays, tf.exp(law.log_threshold) * (1.0 + part), law.skip_ms * left)
    return tf.where(late > 0, watch, 0.0), stays
