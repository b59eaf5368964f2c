"""History of a data set's users: which columns of earlier impressions, and which counts by day.

Plain data, and the names and types of the session examples' columns that follow from it. What the
columns hold is computed in ``mtfx.datasets.logs.history``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from typing import TYPE_CHECKING

from mtfx.datasets.columns import DERIVED_COLUMNS, Dtype

if TYPE_CHECKING:
    from mtfx.datasets.spec import DatasetSpec, Task

#: Earlier impressions that a session keeps where nothing else is asked for.
DEFAULT_LENGTH = 50
#: The longest history that can be asked for; BatchRL-MTF takes 500.
LONGEST = 1000
#: What the names of a session's lists of earlier impressions begin with.
PREFIX = "history_"
TIME, WATCH_SHARE, FEEDBACK_MS = "history_timestamp_ms", "watch_share", "feedback_ms"
_USER, _DURATION = "user_id", "duration_ms"
_DERIVED_TYPES: dict[str, Dtype] = {"step_bucket": "string"}


@dataclasses.dataclass(frozen=True)
class History:
    """What a ranking model may know of the time before a session.

    A :class:`mtfx.datasets.spec.DatasetSpec` settles what is left empty, so that later code sees
    every name. Who replaces the features or tasks of a settled one gives ``history=History()`` too.

    Attributes:
      features: Impression-level features kept of each earlier impression; empty takes all but
        ``mtfx.datasets.columns.DERIVED_COLUMNS``.
      feedback: Tasks whose label is kept; empty takes all tasks of the data set.
      statistics: Features whose values are counted by day; empty takes ``user_id`` and every
        impression-level categorical or multivalued feature with a vocabulary of its own.
      watch_time: Column whose ratio to ``duration`` is the watch share; empty takes the one of the
        role ``watch_time``.
      duration: Likewise; empty takes ``duration_ms``. Where one of the two is not there, there is
        no watch share.
    """

    features: tuple[str, ...] = ()
    feedback: tuple[str, ...] = ()
    statistics: tuple[str, ...] = ()
    watch_time: str = ""
    duration: str = ""


def settle(history: History, spec: DatasetSpec) -> History:
    """Fills in what a history leaves empty.

    Args:
      history: As a description gives it.
      spec: Everything else of the data set.

    Raises:
      ValueError: naming the field, if a name is unknown or of the wrong kind.
    """
    features = [f for f in spec.features if f.level != "session"]
    kept = history.features or tuple(f.name for f in features if f.name not in DERIVED_COLUMNS)
    _check(spec, "features", kept, {f.name for f in features}, "an impression-level feature")
    labels = tuple(task.name for task in spec.tasks)
    feedback = history.feedback or labels
    _check(spec, "feedback", feedback, set(labels), "a task")
    own = [f for f in features if f.kind != "numeric" and not f.vocabulary]
    statistics = history.statistics or (_USER, *(f.name for f in own if f.name != _USER))
    countable = {f.name for f in spec.features if f.kind != "numeric"} | {_USER}
    _check(spec, "statistics", statistics, countable, "a categorical or multivalued feature")
    watch_time, duration = _watch_columns(history, spec)
    return History(kept, feedback, statistics, watch_time, duration)


def check_names(spec: DatasetSpec) -> None:
    """Raises ValueError if a column that follows from a settled history has another one's name."""
    taken = {
        *(column.name for column in spec.all_columns),
        *(task.name for task in spec.tasks),
        *DERIVED_COLUMNS,
    }
    made = {**impression_columns(spec), **history_columns(spec), **statistic_columns(spec)}
    if clashes := sorted(taken & {*made}):
        raise ValueError(
            f"data set {spec.name!r}: its history makes a column {clashes[0]!r}, and the data set "
            "has one of this name already; give that another name"
        )
    # Readers tell the lists of earlier impressions by this.
    if own := sorted(name for name in taken if name.startswith(PREFIX)):
        raise ValueError(
            f"data set {spec.name!r} has a history, whose columns begin with {PREFIX!r}: give its "
            f"own column {own[0]!r} another name"
        )


def impression_columns(spec: DatasetSpec) -> dict[str, Dtype]:
    """Types of the impression-level columns that a history adds, by name.

    ``watch_share`` is the watch time by the duration, from 0 to 3, -1 where it is unknown.
    ``feedback_ms`` is when the impression's last feedback happened, in Unix ms.
    """
    columns: dict[str, Dtype] = {}
    if has_watch_share(spec):
        columns[WATCH_SHARE] = "float32"
    if has_feedback_time(spec):
        columns[FEEDBACK_MS] = "int64"
    return columns


def history_columns(spec: DatasetSpec) -> dict[str, Dtype]:
    """Types of a session's lists of earlier impressions, by name; none without a history."""
    history = spec.history
    if history is None:
        return {}
    raw: dict[str, Dtype] = {column.name: column.dtype for column in spec.all_columns}
    columns: dict[str, Dtype] = {TIME: "int64"}
    for name in history.features:
        columns[PREFIX + name] = raw.get(name, _DERIVED_TYPES.get(name, "int64"))
    for task in feedback_tasks(spec):
        columns[PREFIX + task.name] = "int64" if task.kind == "binary" else "float32"
    for name, dtype in impression_columns(spec).items():
        columns[PREFIX + name] = dtype
    return columns


def source_of(name: str) -> str:
    """The impression's column that a list of earlier impressions is made of."""
    return name.removeprefix(PREFIX)


def statistic_columns(spec: DatasetSpec) -> dict[str, Dtype]:
    """Types of the counts "up to the day before", by name, key by key; none without a history.

    Those of ``user_id`` have one value per session, all others one per impression.
    """
    if spec.history is None:
        return {}
    keys = spec.history.statistics
    return {name: "int64" for key in keys for name in statistics_of(spec, key).values()}


def session_statistics(spec: DatasetSpec) -> tuple[str, ...]:
    """Names of the statistics with one value per session."""
    if spec.history is None or _USER not in spec.history.statistics:
        return ()
    return tuple(statistics_of(spec, _USER).values())


def statistics_of(spec: DatasetSpec, key: str) -> dict[str, str]:
    """Columns of one key's statistics, in order, by what is counted.

    Args:
      spec: With a history.
      key: One of ``History.statistics``.

    Returns:
      ``{"impressions": "<key>_impressions", "<task>_count": …, "<task>_known": …}``, the last of
      tasks whose label may be unknown only.
    """
    counted = ["impressions"]
    for task in binary_tasks(spec):
        counted.append(f"{task.name}_count")
        if task.may_be_unknown:
            counted.append(f"{task.name}_known")
    return {what: f"{key}_{what}" for what in counted}


def feedback_tasks(spec: DatasetSpec) -> tuple[Task, ...]:
    """Tasks whose label is kept of earlier impressions."""
    if spec.history is None:
        return ()
    return tuple(spec.task(name) for name in spec.history.feedback)


def binary_tasks(spec: DatasetSpec) -> tuple[Task, ...]:
    """Of :func:`feedback_tasks`, those that are counted."""
    return tuple(task for task in feedback_tasks(spec) if task.kind == "binary")


def has_watch_share(spec: DatasetSpec) -> bool:
    """Whether impressions have a watch share."""
    return spec.history is not None and bool(spec.history.watch_time)


def has_feedback_time(spec: DatasetSpec) -> bool:
    """Whether impressions say when their last feedback happened.

    Those of a log of events do. Where ``to_impressions`` does not say it, it is the impression's
    own time.
    """
    return spec.history is not None and spec.to_impressions is not None


def _watch_columns(history: History, spec: DatasetSpec) -> tuple[str, str]:
    """Names of the two columns of the watch share; both empty where it cannot be."""
    numbers = {column.name for column in spec.all_columns if column.dtype != "string"}
    for field in ("watch_time", "duration"):
        if name := getattr(history, field):
            _check(spec, field, (name,), numbers, "a column of numbers")
    watched = [column.name for column in spec.columns_of("watch_time")]
    watch_time = history.watch_time or next(iter(watched), "")
    duration = history.duration or (_DURATION if _DURATION in numbers else "")
    if watch_time and duration:
        return watch_time, duration
    for field, other in (("watch_time", "duration"), ("duration", "watch_time")):
        if getattr(history, field):
            raise ValueError(
                f"data set {spec.name!r}: history.{field} needs history.{other}, the other column "
                "of the watch share"
            )
    return "", ""


def _check(
    spec: DatasetSpec, field: str, names: tuple[str, ...], known: Collection[str], what: str
) -> None:
    for name in names:
        if name not in known:
            raise ValueError(
                f"data set {spec.name!r}: history.{field} names {name!r}, which is not {what}; "
                f"there are: {', '.join(sorted(known)) or 'none'}"
            )
    if len(set(names)) < len(names):
        raise ValueError(f"data set {spec.name!r}: history.{field} names a column twice")
