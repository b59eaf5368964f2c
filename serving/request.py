"""Requests to a ranker from plain dictionaries, checked before anything is sent.

Needs neither TensorFlow nor the packages that trained the ranker: the ranker's own list of columns,
in the ``mtfx.json`` beside its SavedModel, says what a request holds.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mtfx.serving.derived_columns import DERIVED, derived_columns, session_step
from mtfx.serving.example_proto import KINDS, example_class
from mtfx.serving.plausible_time import time_fault
from mtfx.serving.request_fields import HISTORY_PREFIX, TIMESTAMP_MS, Level, RequestField

_METADATA = Path("assets.extra", "mtfx.json")
_INT64 = 2**63
_FLOAT32 = 3.4028234663852886e38

Row = Mapping[str, Any]


class RequestError(ValueError):
    """A request that the ranker would refuse or misread; the message names column and place."""


@dataclasses.dataclass(frozen=True)
class RequestBuilder:
    """Builds requests for one ranker.

    Attributes:
      fields: The ranker's columns, as its metadata list them.
      length: Earlier impressions that count; older ones are left out.
      gap_minutes: A longer pause begins a new session.
      utc_offset_hours: Of the users' time zone.
    """

    fields: tuple[RequestField, ...]
    length: int = 50
    gap_minutes: float = 30.0
    utc_offset_hours: float = 0.0

    @classmethod
    def load(cls, ranker: str | os.PathLike[str]) -> RequestBuilder:
        """For an exported ranker.

        Args:
          ranker: Directory of its SavedModel.

        Raises:
          RequestError: if there is none, or it does not say what a request holds.
        """
        path = Path(ranker, _METADATA)
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            fields = tuple(RequestField.from_dict(field) for field in content["request"])
            state = content["request_state"]
            return cls(
                fields,
                # A ranking model may read more than the state does.
                max(state["length"], content.get("history_length", 0)),
                state["gap_minutes"],
                state["utc_offset_hours"],
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise RequestError(
                f"{path} does not say what a request holds ({error!r}): is {ranker} a version of a "
                "ranker that `mtfx fusion` exported?"
            ) from error

    def columns(self, level: Level) -> dict[str, str]:
        """Types of a level's columns by name; those of a history as :meth:`build` takes them."""
        prefix = HISTORY_PREFIX if level == "history" else ""
        return {f.name.removeprefix(prefix): f.dtype for f in self.fields if f.level == level}

    def build(
        self,
        candidates: Sequence[Row],
        *,
        time_ms: int,
        user: Row | None = None,
        context: Row | None = None,
        history: Sequence[Row] = (),
    ) -> bytes:
        """A request as it is sent.

        Args:
          candidates: What to rank: of each its columns of level ``candidate``.
          time_ms: Of the request, Unix time in ms.
          user: The user's columns; what lacks and has a default may be left out.
          context: The circumstances, such as the tab. Hour, weekday and place in the session follow
            from the time and the history where they are not given.
          history: The user's earlier impressions in any order: ``timestamp_ms``, the items'
            columns, feedback and ``watch_share`` of each; what is not known may be left out. The
            newest that count are kept.

        Returns:
          A serialized ``tf.Example``.

        Raises:
          RequestError: naming the column, if one is unknown, lacking or of another type, a number
            is not finite or out of range, a time is implausible, an earlier impression is not
            before the request, or there is no candidate.
        """
        self._check_time(time_ms, TIMESTAMP_MS)
        if not candidates:
            raise RequestError("the request has no candidate: give at least one")
        past = self._past(history, time_ms)
        self._check_names("context", context or {}, " of the context")
        given = dict(context or {})
        times = [row[TIMESTAMP_MS] for row in past]
        step = given.get("step", session_step(time_ms, times, self.gap_minutes))
        if isinstance(step, bool) or not isinstance(step, int) or step < 0:
            raise RequestError(f"step of the context is {step!r}, which is no place from 0 on")
        given = derived_columns(time_ms, step, self.utc_offset_hours) | given
        given[TIMESTAMP_MS] = time_ms
        self._check_names("user", user or {}, " of the user")
        for place, row in enumerate(candidates):
            self._check_names("candidate", row, f" of candidate {place}")
        example = example_class()()
        for field in self.fields:
            values = self._values(field, user or {}, given, past, candidates)
            if field.dtype == "string":
                values = [_encoded(value, field.name) for value in values]
            getattr(example.features.feature[field.name], KINDS[field.dtype]).value.extend(values)
        return example.SerializeToString(deterministic=True)

    def _values(
        self, field: RequestField, user: Row, context: Row, past: list[Row], items: Sequence[Row]
    ) -> list[Any]:
        if field.level == "history":
            own = field.name.removeprefix(HISTORY_PREFIX)
            rows = [(row, f" of earlier impression {place}") for place, row in enumerate(past)]
            return [_value(field, own, row, where, field.default) for row, where in rows]
        if field.level == "candidate":
            rows = [(row, f" of candidate {place}") for place, row in enumerate(items)]
            return [_value(field, field.name, row, where, field.default) for row, where in rows]
        row = user if field.level == "user" else context
        value = _value(field, field.name, row, f" of the {field.level}", field.default)
        return [value] * (len(items) if field.per_candidate else 1)

    def _past(self, history: Sequence[Row], time_ms: int) -> list[Row]:
        """The newest earlier impressions, oldest first, with their times checked."""
        for place, row in enumerate(history):
            where = f" of earlier impression {place}"
            self._check_names("history", row, where)
            if TIMESTAMP_MS not in row:
                raise RequestError(f"{TIMESTAMP_MS}{where} is lacking")
            self._check_time(row[TIMESTAMP_MS], TIMESTAMP_MS + where)
            if row[TIMESTAMP_MS] >= time_ms:
                raise RequestError(
                    f"{TIMESTAMP_MS}{where} is {row[TIMESTAMP_MS]}, which is not before the "
                    f"request's, {time_ms}: leave out what a request cannot know"
                )
        return sorted(history, key=lambda row: row[TIMESTAMP_MS])[-self.length :]

    def _check_time(self, value: Any, name: str) -> None:
        if isinstance(value, bool) or not isinstance(value, int):
            raise RequestError(f"{name} is {value!r}, which is no whole number of ms")
        if fault := time_fault(value):
            raise RequestError(f"{name} is {value}: {fault}")

    def _check_names(self, level: Level, row: Row, where: str) -> None:
        if not isinstance(row, Mapping):
            raise RequestError(f"what is given{where} is {row!r:.60}, which is no dictionary")
        known = [*self.columns(level), *(DERIVED if level == "context" else ())]
        for name in row:
            if name not in known:
                close = difflib.get_close_matches(str(name), known, n=1)
                hint = f" (is it {close[0]}?)" if close else ""
                raise RequestError(
                    f"{name!r}{where} is no column of level {level}{hint}; there are: "
                    f"{', '.join(known) or 'none'}"
                )


def _encoded(text: str, name: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise RequestError(f"{name} holds {text!r:.60}, which is no text of Unicode") from error


def _value(field: RequestField, name: str, row: Row, where: str, default: Any) -> Any:
    value = row.get(name)
    if value is None:
        if default is None:
            raise RequestError(f"{name}{where} is lacking, and has no default")
        return default
    if field.dtype == "string":
        if not isinstance(value, str):
            raise RequestError(f"{name}{where} is {value!r}, which is no text")
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise RequestError(f"{name}{where} is {value!r}, which is no number")
    if field.dtype == "float32":
        if not math.isfinite(value) or abs(value) > _FLOAT32:
            raise RequestError(f"{name}{where} is {value!r}, which is no finite float32")
        return float(value)
    if not math.isfinite(value) or value != int(value):
        raise RequestError(f"{name}{where} is {value!r}, which is no whole number")
    if not -_INT64 <= value < _INT64:
        raise RequestError(f"{name}{where} is {value!r}, which is beyond int64")
    return int(value)
