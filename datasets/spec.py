"""Descriptions of data sets: the vocabulary that says what a log means.

A :class:`DatasetSpec` is plain data. It says which files hold the interaction log, how their
columns map to the canonical impression (user, item, time, feedback, context), which side tables
join to it, how impressions are grouped into sessions, which columns a model may see and which
feedback it has to predict. Nothing here reads a file; see ``mtfx.datasets.logs.readers`` for that.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, cast

from mtfx.datasets import history as histories
from mtfx.datasets.columns import (
    DERIVED_COLUMNS,
    LABEL_ROLES,
    Column,
    Dtype,
    Role,
    SideTable,
)

if TYPE_CHECKING:
    import polars as pl

#: The canonical names of the columns that every log must have, by role.
CANONICAL_KEYS: dict[Role, str] = {
    "user": "user_id",
    "item": "item_id",
    "timestamp": "timestamp_ms",
}

_NAME = re.compile(r"[a-z][a-z0-9_]*\Z")


@dataclasses.dataclass(frozen=True)
class Feature:
    """A model input.

    Attributes:
      name: Canonical column.
      kind: ``categorical`` is looked up in a vocabulary learned from the training split;
        ``multivalued`` is several of those in one cell (a video's tags), each looked up by itself
        and the mean of their embeddings taken; ``numeric`` is normalised with the training split's
        mean and variance.
      level: ``session`` if the value is the same for all impressions of a session (user
        attributes); ``request`` if it is the same for all candidates of a request, and may differ
        between two requests of a session (the tab, the device); ``impression`` if it belongs to the
        item. What sessionisation adds (``DERIVED_COLUMNS``) belongs to the request anyhow.
      dtype: ``int64`` or ``string`` for categorical, ``string`` for multivalued, ``float32`` for
        numeric features.
      max_vocabulary: The most frequent values that get an embedding of their own.
      min_count: A value seen less often than this in training shares an out-of-vocabulary bucket,
        so that the buckets are trained and an unseen value is read as a rare one.
      oov_buckets: Hash buckets shared by all values without an embedding of their own.
      log_scale: Take log(1 + x) of a numeric feature before normalising it.
      vocabulary: Name of a vocabulary that several small categorical features share (their values
        are distinguished by the feature's name); empty for one of its own. Each vocabulary costs
        Transform some seconds and the model a table, whatever its size. The first feature's
        ``max_vocabulary``, ``min_count`` and ``oov_buckets`` hold for all that share it. A
        multivalued feature shares none.
      max_values: Of a multivalued feature, how many values of a cell count at most: those that are
        most frequent in training come first, unknown ones last. Values beyond are left out, which
        the run's notes count. Two rare values that share a bucket count once.
    """

    name: str
    kind: Literal["categorical", "multivalued", "numeric"]
    level: Literal["session", "request", "impression"] = "impression"
    dtype: Dtype = "int64"
    max_vocabulary: int = 100_000
    min_count: int = 2
    oov_buckets: int = 8
    log_scale: bool = False
    vocabulary: str = ""
    max_values: int = 8


@dataclasses.dataclass(frozen=True)
class Task:
    """A feedback to predict.

    Attributes:
      name: Canonical label column and name of the model's output.
      kind: ``binary`` (probability) or ``regression`` (expected value in the label's unit).
      parent: For a feedback that can only follow another (pay after click), that feedback: ESMM
        multiplies the conditional probability with the parent's.
      unit: For regression, the divisor that brings the label to a handy unit (1000: ms to s).
      may_be_unknown: Whether an empty cell, or a null of ``to_impressions``, is a label that nobody
        knows. The task then neither learns from the impression nor is judged by it, other tasks
        do. Else such a row is bad. In a :class:`DatasetSpec` it is also true of a regression whose
        column is no ``watch_time``, and of an optional column, unless the column has a ``default``:
        with that the data set says what absence means.
      negative: Of a binary feedback: the likelier it is the worse, as of a dislike or an exit. It
        is fused the other way round, and leaves a simulated user unsatisfied.
    """

    name: str
    kind: Literal["binary", "regression"] = "binary"
    parent: str | None = None
    unit: float = 1.0
    may_be_unknown: bool = False
    negative: bool = False


@dataclasses.dataclass(frozen=True)
class SessionRule:
    """How a user's impressions are cut into sessions.

    Attributes:
      kind: ``explicit`` uses the session column, ``gap`` cuts where the user was away for longer
        than ``gap_minutes``, ``user`` takes the whole history as one session (RMTL's own
        published code does so).
      gap_minutes: Only for ``gap``.
      max_length: A longer session is split into consecutive ones of at most this many
        impressions; none is ever dropped.
    """

    kind: Literal["explicit", "gap", "user"] = "gap"
    gap_minutes: float = 30.0
    max_length: int = 200


@dataclasses.dataclass(frozen=True)
class KnownFile:
    """Published size and digest of a file, to check a user's copy."""

    name: str
    algorithm: Literal["sha256", "md5"]
    digest: str
    size: int | None = None


@dataclasses.dataclass(frozen=True)
class DatasetSpec:
    """Everything MTFX needs to know about a data set.

    Attributes:
      name: Registry name.
      title: One line for ``mtfx datasets``.
      log_files: Glob patterns of the interaction log (``.csv``, ``.csv.gz`` or ``.parquet``).
      columns: The log's columns.
      features: Model inputs, from ``columns``, ``side_tables`` or ``DERIVED_COLUMNS``.
      tasks: Every feedback the data set can predict.
      default_tasks: Those trained when the user names none.
      session_rule: How sessions are cut.
      side_tables: User, item and item-property tables.
      to_impressions: For logs of events rather than impressions: a function from one bucket's
        events (whole users, with an integer ``session`` and every canonical column) to impressions
        with label columns. It must keep ``session`` and not move a row to another time. Its column
        ``feedback_ms`` (int64, Unix ms), if it has one, is when the row's last feedback happened,
        never before the row itself: until then a ``history`` does not know of it.
      slices: Columns by which the evaluation is broken down.
      utc_offset_hours: Local time of the users, for ``hour`` and ``day_of_week``.
      random_log_files: Glob patterns of a log of items shown at random, with the log's columns; the
        simulator's response model is fitted on it. Empty where the data set has none.
      known_files: Published digests.
      source: Where to get it, and its licence.
      history: What models may know of the time before a session; None: nothing. ``History()`` is
        enough for most logs.

    Raises:
      ValueError: at construction, naming the field, if the parts do not fit together.
    """

    name: str
    title: str
    log_files: tuple[str, ...]
    columns: tuple[Column, ...]
    features: tuple[Feature, ...]
    tasks: tuple[Task, ...]
    default_tasks: tuple[str, ...] = ()
    session_rule: SessionRule = SessionRule()
    side_tables: tuple[SideTable, ...] = ()
    to_impressions: Callable[[pl.DataFrame], pl.DataFrame] | None = None
    slices: tuple[str, ...] = ("hour",)
    utc_offset_hours: float = 0.0
    random_log_files: tuple[str, ...] = ()
    known_files: tuple[KnownFile, ...] = ()
    source: str = ""
    history: histories.History | None = None

    def __post_init__(self) -> None:
        self._settle_labels()
        names = [column.name for column in self.all_columns]
        for name in names + [task.name for task in self.tasks]:
            if not _NAME.match(name):
                raise ValueError(f"data set {self.name!r}: {name!r} is not lower snake case")
        if duplicates := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"data set {self.name!r}: columns named twice: {sorted(duplicates)}")
        for role, canonical in CANONICAL_KEYS.items():
            if [column.name for column in self.columns_of(role)] != [canonical]:
                raise ValueError(
                    f"data set {self.name!r} needs exactly one column of role {role!r}, "
                    f"named {canonical!r}"
                )
        if self.session_rule.kind == "explicit" and not self.columns_of("session"):
            raise ValueError(f"data set {self.name!r}: the explicit rule needs a session column")
        known = {*names, *DERIVED_COLUMNS, *(task.name for task in self.tasks)}
        labels = {task.name for task in self.tasks}
        for feature in self.features:
            if feature.name not in known:
                raise ValueError(f"data set {self.name!r}: no column for feature {feature.name!r}")
            if feature.name in labels:
                raise ValueError(f"data set {self.name!r}: feature {feature.name!r} is a label")
        self._check_multivalued()
        for name in self.default_tasks:
            self.task(name)
        for task in self.tasks:
            if task.parent is not None:
                self.task(task.parent)
        if self.history is not None:
            # Any: to a type checker the class has another name inside its own module.
            spec = cast(Any, self)
            object.__setattr__(self, "history", histories.settle(self.history, spec))
            histories.check_names(spec)

    def _settle_labels(self) -> None:
        """Gives columns that tasks predict their role, and says which labels may be unknown."""
        by_task = {task.name: task for task in self.tasks}
        columns = tuple(
            dataclasses.replace(column, role=_label_role(by_task[column.name]))
            if column.role == "context" and column.name in by_task
            else column
            for column in self.columns
        )
        found = {column.name: column for column in columns}
        tasks = []
        for task in self.tasks:
            column = found.get(task.name)
            if task.may_be_unknown and column is not None and column.default is not None:
                raise ValueError(
                    f"data set {self.name!r}: an empty {column.source!r} cannot be both unknown "
                    f"(the task's may_be_unknown) and {column.default!r} (the column's default)"
                )
            if column is not None and column.dtype == "string":
                raise ValueError(
                    f"data set {self.name!r}: task {task.name!r} predicts a number, but its column "
                    "is text; give it dtype 'int64' or 'float32'"
                )
            if task.negative and task.kind != "binary":
                raise ValueError(
                    f"data set {self.name!r}: task {task.name!r} is a regression; only a binary "
                    "feedback can be negative"
                )
            unknown = task.may_be_unknown or _may_lack(task, column)
            tasks.append(dataclasses.replace(task, may_be_unknown=unknown))
        object.__setattr__(self, "columns", columns)
        object.__setattr__(self, "tasks", tuple(tasks))

    @property
    def unknown_labels(self) -> frozenset[str]:
        """The labels that may be unknown."""
        return frozenset(task.name for task in self.tasks if task.may_be_unknown)

    def _check_multivalued(self) -> None:
        columns = {column.name: column for column in self.all_columns}
        for column in columns.values():
            if column.delimiter and (
                column.role != "context" or column.dtype != "string" or column.allowed
            ):
                raise ValueError(
                    f"data set {self.name!r}: column {column.name!r} has a delimiter, so it needs "
                    "the role 'context' and dtype='string', and no allowed values"
                )
        for feature in self.features:
            column = columns.get(feature.name)
            several = column is not None and column.delimiter != ""
            if several != (feature.kind == "multivalued"):
                raise ValueError(
                    f"data set {self.name!r}: feature {feature.name!r} is of kind "
                    f"{feature.kind!r}, but its column has {'a' if several else 'no'} delimiter: a "
                    "multivalued feature needs one, and no other kind may have one"
                )
            shared = {other.vocabulary for other in self.features}
            if several and (
                feature.dtype != "string" or feature.vocabulary or feature.name in shared
            ):
                raise ValueError(
                    f"data set {self.name!r}: multivalued feature {feature.name!r} needs "
                    "dtype='string' and a vocabulary of its own"
                )
            if feature.max_values < 1:
                raise ValueError(
                    f"data set {self.name!r}: max_values of feature {feature.name!r} must be at "
                    f"least 1, got {feature.max_values}"
                )

    def delimiter(self, name: str) -> str:
        """What separates the values of a column; empty for one of single values."""
        return next((c.delimiter for c in self.all_columns if c.name == name), "")

    @property
    def all_columns(self) -> tuple[Column, ...]:
        """The log's columns followed by those of the side tables."""
        return self.columns + tuple(c for table in self.side_tables for c in table.columns)

    def columns_of(self, role: Role) -> tuple[Column, ...]:
        """The log's columns with this role, in order."""
        return tuple(column for column in self.columns if column.role == role)

    def task(self, name: str) -> Task:
        """The task of this name; raises ValueError naming the known ones."""
        for task in self.tasks:
            if task.name == name:
                return task
        known = ", ".join(task.name for task in self.tasks)
        raise ValueError(f"data set {self.name!r} has no task {name!r}; it has: {known}")

    def select_tasks(self, names: tuple[str, ...] = ()) -> tuple[Task, ...]:
        """The tasks to train: those named, else ``default_tasks``, else all of them."""
        chosen = names or self.default_tasks or tuple(task.name for task in self.tasks)
        return tuple(self.task(name) for name in chosen)


def _label_role(task: Task) -> Role:
    return "label" if task.kind == "binary" else "value"


def _may_lack(task: Task, column: Column | None) -> bool:
    """Whether the label of a task that does not say so may be unknown."""
    if column is None:
        return task.kind == "regression"
    if column.default is not None:
        return False
    return column.role == "value" or (column.role in LABEL_ROLES and not column.required)
