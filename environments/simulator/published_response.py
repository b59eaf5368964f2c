"""Users of xMTF's published simulator: they answer with the ranking model's own prediction.

That simulator is circular. A user watches an item for exactly as long as the ranking model
predicts, so that no policy can be better than choosing by that prediction, and what the model gets
wrong does not exist. Here it is to be compared with, and never to judge what is served: see
``CIRCULAR`` of :mod:`mtfx.environments.simulator.config`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from mtfx.environments.simulator import draws
from mtfx.environments.simulator.config import CIRCULAR, PUBLISHED_RULES, PublishedSettings
from mtfx.environments.simulator.response import Response, ResponseModel, checked_table

_FEEDBACK_NAMES, _SETTINGS = "feedback_names", "published"
_RANKS = {"watch_s": 2, "chances": 3, "logged_s": 1, "duration_s": 2}


class PublishedResponse(ResponseModel):
    """Play time as predicted; satisfaction follows it alone; nobody leaves by chance.

    With w[u, p] the predicted seconds and g[u] the seconds that the log has of the user: an
    impression is watched for w seconds, its satisfaction reward is w / 400, and a session starts at
    max(g / 10,000, 0.11). Nothing of this is random, and nothing depends on the satisfaction.

    The published code knows no other feedback where it rewards watch time. Here feedbacks are drawn
    with the ranking model's own probabilities, so that histories, rewards and reports have them;
    they are as circular as the play time, and change neither satisfaction nor when a user leaves.
    What the ranking model does not predict is never given.
    """

    rules = PUBLISHED_RULES
    caveat = CIRCULAR

    def __init__(
        self,
        tables: Mapping[str, np.ndarray],
        feedback_names: tuple[str, ...],
        settings: PublishedSettings | None = None,
    ) -> None:
        """Keeps the tables.

        Args:
          tables: ``watch_s`` `[user, slot]`, predicted seconds; ``chances`` `[user, slot,
            feedback]`, predicted probabilities, 0 where the model predicts none; ``logged_s``
            `[user]`, seconds watched in the log; ``duration_s`` `[user, slot]`, 0 where unknown.
          feedback_names: F names.
          settings: The published ones when None.

        Raises:
          ValueError: if a table is missing, does not fit, is not finite, holds a negative number
            or a probability above 1.
        """
        super().__init__(name="published_response")
        self.config = PublishedSettings() if settings is None else settings
        self.feedback_names = tuple(feedback_names)
        names = len(self.feedback_names)
        watch = np.asarray(tables.get("watch_s", ()))
        users, slots = watch.shape if watch.ndim == 2 else (None, None)
        shapes: dict[str, tuple[int | None, ...]] = {
            "watch_s": (users, slots),
            "chances": (users, slots, names),
            "logged_s": (users,),
            "duration_s": (users, slots),
        }
        self._tables = {name: checked_table(tables, name, shape) for name, shape in shapes.items()}
        for name, table in self._tables.items():
            if (table < 0).any():
                raise ValueError(f"the response model's table {name!r} must not be negative")
        if (self._tables["chances"] > 1).any():
            raise ValueError("the response model's table 'chances' must lie in [0, 1]")
        self.num_users, self.pool_size = self._tables["watch_s"].shape
        self._watch = tf.constant(self._tables["watch_s"].ravel())
        self._chances = tf.constant(self._tables["chances"].reshape(-1, names))
        self._duration = tf.constant(self._tables["duration_s"].ravel())
        start = self._tables["logged_s"] / np.float32(self.config.logged_s)
        self._start = tf.constant(np.maximum(start, np.float32(self.config.least_satisfaction)))

    def initial_satisfaction(self, users: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """See base class; the same in each of a user's sessions, and often above 1."""
        del seed
        return tf.gather(self._start, users)

    def probabilities(
        self, users: tf.Tensor, slots: tf.Tensor, satisfaction: tf.Tensor
    ) -> tf.Tensor:
        """See base class; the ranking model's own."""
        del satisfaction
        return tf.gather(self._chances, self._row(users, slots))

    def expected_watch_s(
        self, users: tf.Tensor, slots: tf.Tensor, satisfaction: tf.Tensor
    ) -> tf.Tensor:
        """See base class; the ranking model's own."""
        del satisfaction
        return tf.gather(self._watch, self._row(users, slots))

    def respond(
        self, users: tf.Tensor, slots: tf.Tensor, satisfaction: tf.Tensor, seed: tf.Tensor
    ) -> Response:
        """See base class; of the feedbacks alone anything is drawn."""
        seeds = draws.as_session_seeds(seed, tf.size(users))
        uniform = draws.uniforms(seeds, len(self.feedback_names))
        chances = self.probabilities(users, slots, satisfaction)
        watch_s = self.expected_watch_s(users, slots, satisfaction)
        return Response(
            tf.cast(uniform < chances, tf.float32), watch_s, watch_s / self.config.watch_s
        )

    def leave_probability(self, users: tf.Tensor, satisfaction: tf.Tensor) -> tf.Tensor:
        """See base class; 0, as users leave by the simulator's rules alone."""
        del users
        return tf.zeros_like(satisfaction)

    def durations_s(self, users: tf.Tensor, slots: tf.Tensor) -> tf.Tensor:
        """See base class; 0 where the length is unknown."""
        return tf.gather(self._duration, self._row(users, slots))

    def arrays(self) -> dict[str, np.ndarray]:
        """See base class."""
        return dict(self._tables)

    def settings(self) -> dict[str, Any]:
        """See base class."""
        return {_FEEDBACK_NAMES: list(self.feedback_names), _SETTINGS: self.config.to_dict()}

    @classmethod
    def restore(
        cls, arrays: Mapping[str, np.ndarray], settings: Mapping[str, Any]
    ) -> PublishedResponse:
        """See base class."""
        for name, rank in _RANKS.items():
            checked_table(arrays, name, (None,) * rank)
        return cls(
            arrays,
            tuple(settings[_FEEDBACK_NAMES]),
            PublishedSettings.from_dict(settings[_SETTINGS]),
        )

    def _row(self, users: tf.Tensor, slots: tf.Tensor) -> tf.Tensor:
        return users * self.pool_size + slots
