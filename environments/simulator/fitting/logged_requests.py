"""First requests of a simulator's users, of the raw features, counts and histories of the log."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from mtfx.datasets.history import (
    PREFIX,
    TIME,
    history_columns,
    session_statistics,
    statistic_columns,
)
from mtfx.datasets.logs.logged_histories import HistoryLists
from mtfx.datasets.request_state import RequestStateConfig, request_state_config, requested
from mtfx.datasets.spec import DatasetSpec
from mtfx.environments.simulator.fitting.log_data import WorldData
from mtfx.environments.simulator.fitting.pools import Pools, pairs
from mtfx.environments.simulator.user_requests import UserRequests
from mtfx.models.request_state import RequestState

_KINDS = {"int64": "int64_list", "string": "bytes_list", "float32": "float_list"}
_TIME = "timestamp_ms"
_USERS_KEPT = 4096
_USERS_AT_ONCE = 256


class LoggedRequests:
    """Requests of a world's users for the items of their pools.

    What a request holds of its user is what the log held before one of the user's sessions: the
    attributes, the counts up to the day before, the earlier impressions.

    Attributes:
      spec: The data set.
      state: What states are made of.
      columns: Of a user, by index: the raw values of every feature and count, one per slot of the
        pool; text as bytes.
    """

    def __init__(
        self, data: WorldData, pools: Pools, histories: Mapping[str, HistoryLists]
    ) -> None:
        """Keeps the parts.

        Args:
          data: The log.
          pools: Users and items.
          histories: Of the users' sessions, by their ids.
        """
        self.spec: DatasetSpec = data.spec
        self.state: RequestStateConfig = request_state_config(data.spec, data.roles.context)
        self._data, self._pools, self._histories = data, pools, histories
        self._types = history_columns(requested(data.spec))
        self.columns = functools.lru_cache(_USERS_KEPT)(self._columns)

    @property
    def num_users(self) -> int:
        """U."""
        return self._pools.requests.height

    def start_ms(self, user: int) -> int:
        """When the user's logged session began, Unix ms."""
        return int(self._pools.requests[_TIME][user])

    def history(self, user: int) -> HistoryLists:
        """What the log held before that session; empty lists where it held nothing."""
        session = str(self._pools.requests["session_id"][user])
        return self._histories.get(session) or {name: [] for name in self._types}

    def example(
        self,
        user: int,
        slots: Sequence[int] | None = None,
        derived: Mapping[str, int | str] | None = None,
        time_ms: int | None = None,
        history: HistoryLists | None = None,
    ) -> bytes:
        """A request as one serialized ``tf.Example``.

        Args:
          user: Index of the user.
          slots: Of the candidates in the user's pool; all of it when None.
          derived: The request's columns of ``mtfx.datasets.logs.sessions.derive``; those of the
            logged session's first impression when None.
          time_ms: Of the request; when the logged session began if None.
          history: The user's earlier impressions; those of the log when None.
        """
        columns = self.columns(user)
        example: Any = tf.train.Example()
        features = example.features.feature
        slots = range(self._pools.items.shape[1]) if slots is None else slots
        for feature in self.spec.features:
            values = columns[feature.name]
            kept = values[:1] if feature.level == "session" else [values[slot] for slot in slots]
            if derived is not None and feature.name in derived:
                value = derived[feature.name]
                kept = [value.encode() if isinstance(value, str) else value] * len(kept)
            getattr(features[feature.name], _KINDS[feature.dtype]).value.extend(kept)
        of_session = session_statistics(self.spec)
        for name in statistic_columns(self.spec):
            counts = columns[name]
            kept = counts[:1] if name in of_session else [counts[slot] for slot in slots]
            features[name].int64_list.value.extend(kept)
        features[_TIME].int64_list.value.append(self.start_ms(user) if time_ms is None else time_ms)
        past = self.history(user) if history is None else history
        for name, dtype in self._types.items():
            getattr(features[name], _KINDS[dtype]).value.extend(past[name])
        return example.SerializeToString()

    def user_requests(self) -> UserRequests:
        """The users' first requests as states are made of them."""
        state = RequestState(self.state)
        parts = [
            state.of_requests(tf.constant([self.example(user, ()) for user in range(first, last)]))
            for first, last in _ranges(self.num_users)
        ]
        return UserRequests(
            self.state,
            tf.concat([part.attributes for part in parts], axis=0).numpy(),
            tf.concat([part.now_ms for part in parts], axis=0).numpy(),
            tf.concat([part.past.times_ms for part in parts], axis=0).numpy(),
            tf.concat([part.past.values for part in parts], axis=0).numpy(),
        )

    def remembered(self, user: int, slot: int, time_ms: int, feedback: Mapping[str, Any]) -> dict:
        """A row of a history: what a service keeps of an impression.

        Args:
          user: Index of the user.
          slot: Of what was shown, in the user's pool.
          time_ms: When.
          feedback: Labels and ``watch_share`` by name; what lacks is unknown.

        Returns:
          By column of the lists ``history_*``, one value.
        """
        columns, row = self.columns(user), {}
        for name in self._types:
            own = name.removeprefix(PREFIX)
            if name == TIME or own == "feedback_ms":
                row[name] = time_ms
            elif own in columns:
                row[name] = columns[own][slot]
            else:
                row[name] = feedback.get(own, -1)
        return row

    def _columns(self, user: int) -> dict[str, list[Any]]:
        frame = pairs(self._data, self._pools, user, user + 1)
        counts = {name: frame[name].to_list() for name in statistic_columns(self.spec)}
        return counts | {
            feature.name: (
                [value.encode() for value in frame[feature.name].to_list()]
                if feature.dtype == "string"
                else frame[feature.name].to_list()
            )
            for feature in self.spec.features
        }


def _ranges(users: int) -> list[tuple[int, int]]:
    starts = range(0, users, _USERS_AT_ONCE)
    return [(first, min(first + _USERS_AT_ONCE, users)) for first in starts]
