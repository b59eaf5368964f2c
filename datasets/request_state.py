"""Contents of a state of the fusion MDP: what of a request it is made of, and the numbers' names.

A state is a pure function of the request and of its candidates' predictions (BatchRL-MTF, section
5: the user's profile and the interactions before; xMTF: the user, the views, the mean predictions).
It holds no embedding of any model and no statistic of any training run, so it exists for a user
whom nobody has seen, and means the same after every retraining. Plain data; the numbers themselves
are computed in ``mtfx.models.request_state``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from mtfx.config import Config
from mtfx.datasets import history
from mtfx.datasets.columns import DERIVED_COLUMNS, Dtype
from mtfx.datasets.labels import UNKNOWN
from mtfx.datasets.spec import DatasetSpec
from mtfx.serving.request_fields import TIMESTAMP_MS, Level, RequestField

_USER = "user_id"
#: Numbers onto which the categories of the profile, and of the context, are projected.
PROFILE_BUCKETS, CONTEXT_BUCKETS = 16, 4


@dataclasses.dataclass(frozen=True)
class RequestColumn(Config):
    """A column of a request.

    Attributes:
      name: Its name.
      dtype: Its type.
    """

    name: str
    dtype: Dtype


@dataclasses.dataclass(frozen=True)
class RequestStateConfig(Config):
    """What of a request its state is made of.

    Attributes:
      counts: The user's counts up to the day before, int64, one value each.
      numbers: Numeric columns of the profile.
      profile: Categories of the profile.
      context: Categories of the circumstances, such as the tab; where a request has a value for
        each candidate, the first counts.
      feedback: Binary feedbacks of the earlier impressions.
      watch_share: Whether earlier impressions say which share of the item was watched.
      feedback_time: Whether they say when their feedback came.
      length: H, earlier impressions that count, the newest ones.
      gap_minutes: A pause longer than this begins a new session.
      utc_offset_hours: Local time of the users.

    Raises:
      ValueError: at construction, naming the field.
    """

    counts: tuple[str, ...] = ()
    numbers: tuple[RequestColumn, ...] = ()
    profile: tuple[RequestColumn, ...] = ()
    context: tuple[RequestColumn, ...] = ()
    feedback: tuple[str, ...] = ()
    watch_share: bool = False
    feedback_time: bool = False
    length: int = history.DEFAULT_LENGTH
    gap_minutes: float = 30.0
    utc_offset_hours: float = 0.0

    def __post_init__(self) -> None:
        if self.length < 1:
            raise ValueError(f"length must be at least 1, got {self.length}")
        if not self.gap_minutes > 0:
            raise ValueError(f"gap_minutes must be positive, got {self.gap_minutes}")
        if twice := sorted({name for name in self.names if self.names.count(name) > 1}):
            raise ValueError(f"columns of a request named twice: {', '.join(twice)}")

    @property
    def attribute_names(self) -> tuple[str, ...]:
        """Names of the numbers that stay as they are while a session lasts, A of them."""
        names = [*self.counts, *(column.name for column in self.numbers)]
        if self.profile:
            names += [f"profile_{bucket}" for bucket in range(PROFILE_BUCKETS)]
        if self.context:
            names += [f"context_{bucket}" for bucket in range(CONTEXT_BUCKETS)]
        return tuple(names)

    @property
    def past_names(self) -> tuple[str, ...]:
        """Names of what is known of an earlier impression, V of them."""
        return (*self.feedback, *([history.WATCH_SHARE] if self.watch_share else []))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the numbers that the request gives, S0 of them; the mean predictions follow."""
        return (
            *self.attribute_names,
            "hour_sin",
            "hour_cos",
            "age_of_newest",
            "history_impressions",
            *(f"history_{name}" for name in self.past_names),
            "session_views",
            *(f"session_{name}" for name in self.past_names),
        )

    @property
    def fields(self) -> tuple[RequestField, ...]:
        """What of a request is read; all of it may be left out."""
        past: dict[str, Dtype] = {history.TIME: "int64"}
        if self.feedback_time:
            past[history.PREFIX + history.FEEDBACK_MS] = "int64"
        for name in self.past_names:
            past[history.PREFIX + name] = "float32" if name == history.WATCH_SHARE else "int64"
        return (
            *(RequestField(name, "int64", "user", default=0) for name in self.counts),
            *(_field(column, "user") for column in (*self.numbers, *self.profile)),
            RequestField(TIMESTAMP_MS, "int64", "context"),
            *(_field(column, "context") for column in self.context),
            *(
                RequestField(
                    name, dtype, "history", default=None if name == history.TIME else UNKNOWN
                )
                for name, dtype in past.items()
            ),
        )

    def state_names(self, prediction_names: Sequence[str]) -> tuple[str, ...]:
        """Names of a whole state's numbers, S of them."""
        return (*self.names, *(f"mean_{name}" for name in prediction_names))


def _field(column: RequestColumn, level: Level) -> RequestField:
    default = "" if column.dtype == "string" else 0
    return RequestField(column.name, column.dtype, level, default=default)


def request_state_config(
    spec: DatasetSpec, context: Sequence[str] = (), length: int = history.DEFAULT_LENGTH
) -> RequestStateConfig:
    """The state of a data set's requests.

    Args:
      spec: The data set. One without a history has no counts; the feedback of earlier impressions
        is read from a request all the same.
      context: Features that describe the circumstances, as
        ``mtfx.datasets.feature_roles.feature_roles`` finds them; numbers, and what follows from the
        request's time, are left out.
      length: H.
    """
    has_counts = spec.history is not None
    spec = requested(spec)
    known = tuple(f"{_USER}_{task.name}_known" for task in history.binary_tasks(spec))
    counts = tuple(name for name in history.session_statistics(spec) if name not in known)
    of_user = [f for f in spec.features if f.level == "session" and f.name != _USER]
    circumstances = [
        f for f in spec.features if f.name in context and f.name not in DERIVED_COLUMNS
    ]
    return RequestStateConfig(
        counts=counts if has_counts else (),
        numbers=tuple(RequestColumn(f.name, f.dtype) for f in of_user if f.kind == "numeric"),
        profile=tuple(RequestColumn(f.name, f.dtype) for f in of_user if f.kind != "numeric"),
        context=tuple(RequestColumn(f.name, f.dtype) for f in circumstances if f.kind != "numeric"),
        feedback=tuple(task.name for task in history.binary_tasks(spec)),
        watch_share=history.has_watch_share(spec),
        feedback_time=history.has_feedback_time(spec),
        length=length,
        gap_minutes=spec.session_rule.gap_minutes,
        utc_offset_hours=spec.utc_offset_hours,
    )


def requested(spec: DatasetSpec) -> DatasetSpec:
    """The data set with the history that its requests bring, also where no model reads one."""
    return dataclasses.replace(spec, history=spec.history or history.History())
