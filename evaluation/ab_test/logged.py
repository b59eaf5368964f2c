"""A trial that was served: two arms of a joined log, by user and day."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from mtfx.datasets.logs.arrow_types import in_ms
from mtfx.datasets.rewards import RewardConfig, positive_feedbacks
from mtfx.errors import DataError, UserError, require
from mtfx.evaluation.ab_test.user_totals import ArmLog
from mtfx.serving.plausible_time import EARLIEST_MS, LATEST_MS, main_span, time_fault

_COLUMNS = {
    "request_id": pl.String,
    "user_id": pl.String,
    "timestamp_ms": pl.Int64,
    "behaviour_policy": pl.String,
    "watch_s": pl.Float32,
    "feedback": pl.List(pl.Float32),
}
#: Share of the requests that may be unusable.
_MOST_BAD = 0.01
_DAY_MS = 86_400_000
#: Users named in a message.
_NAMED = 3


class LoggedArms(NamedTuple):
    """Both arms of a log.

    Attributes:
      control: Of the policy in use.
      treatment: Of the other.
      days: Dates (UTC), from the log's first request to its last, without gaps.
      notes: What was left out, a sentence each.
    """

    control: ArmLog
    treatment: ArmLog
    days: tuple[str, ...]
    notes: tuple[str, ...]


def logged_arms(
    directory: str, control: str, treatment: str, feedback_names: Sequence[str]
) -> LoggedArms:
    """Reads a log of `mtfx join-feedback`.

    Args:
      directory: Of Parquet files, or of such directories, one for each join.
      control: The arm of the policy in use, as its requests were logged with.
      treatment: The other arm; requests of further arms are left out.
      feedback_names: Of the log's feedbacks, in order.

    Raises:
      DataError: if the log is missing, damaged or without any feedback, more than 1% of its
        requests are unusable (one whose time is implausible, or years from all others, is), or a
        user is in both arms.
      UserError: if there are no requests of an arm.
    """
    logged = _requests(directory)
    # The joins of two days may both hold what was served around midnight.
    requests = logged.unique("request_id", keep="first", maintain_order=True)
    good, notes = _usable(directory, requests, len(feedback_names))
    if repeated := logged.height - requests.height:
        notes.append(f"{repeated:,} repeated requests are left out.")
    arms = dict(good.group_by("behaviour_policy").len().sort("behaviour_policy").iter_rows())
    for flag, arm in (("--control", control), ("--treatment", treatment)):
        require(
            arm in arms,
            f"{flag} {arm}: {directory} has no requests of this arm",
            "its arms are "
            + ", ".join(f"{name} ({count:,} requests)" for name, count in arms.items()),
        )
    both = good.filter(pl.col("behaviour_policy").is_in([control, treatment]))
    _check_one_arm_each(directory, both)
    positive = positive_feedbacks(RewardConfig(), feedback_names)
    places = [int(place) for place in np.flatnonzero(positive)]
    rows = (
        both.with_columns(
            day=pl.col("timestamp_ms") // _DAY_MS,
            positive=pl.max_horizontal(pl.col("feedback").list.get(place) for place in places) > 0,
        )
        .group_by("behaviour_policy", "user_id", "day")
        .agg(
            pl.col("watch_s").cast(pl.Float64).sum(),
            plays=pl.len().cast(pl.Float64),
            positives=pl.col("positive").sum().cast(pl.Float64),
            interactions=pl.col("feedback").list.sum().sum(),
        )
        .sort("behaviour_policy", "day", "user_id")
    )
    if not rows["watch_s"].sum() and not rows["interactions"].sum():
        raise DataError(
            f"{directory}: none of the {both.height:,} requests has watch time or an interaction: "
            "was the feedback joined?"
        )
    for arm in (control, treatment):
        mine = rows.filter(pl.col("behaviour_policy") == arm)
        if not mine["watch_s"].sum() and not mine["interactions"].sum():
            raise DataError(
                f"{directory}: none of the {arms[arm]:,} requests of {arm} has watch time or an "
                "interaction, and the other arm's have: was the feedback of this one joined?"
            )
    begin, end = int(rows["day"].min()), int(rows["day"].max())  # type: ignore[arg-type]
    others = sum(count for arm, count in arms.items() if arm not in (control, treatment))
    if others:
        notes.append(f"{others:,} requests of other arms are left out.")
    epoch = datetime.date(1970, 1, 1)
    return LoggedArms(
        _arm(rows, control, begin),
        _arm(rows, treatment, begin),
        tuple(str(epoch + datetime.timedelta(days=day)) for day in range(begin, end + 1)),
        tuple(notes),
    )


def _requests(directory: str) -> pl.DataFrame:
    # A join of a day is a directory; one that was interrupted left another under a passing name.
    files = sorted(
        path
        for path in Path(directory).rglob("*.parquet")
        if not any(part.endswith((".partial", ".earlier")) for part in path.parts)
    )
    if not files:
        raise DataError(
            f"{directory} holds no Parquet file of joined requests: run `mtfx join-feedback` first"
        )
    return pl.concat([_read(file) for file in files])


def _read(file: Path) -> pl.DataFrame:
    try:
        found = pl.scan_parquet(file, glob=False).collect_schema()
        if missing := [name for name in _COLUMNS if name not in found]:
            raise DataError(
                f"{file} lacks {', '.join(missing)}: it is no file of `mtfx join-feedback`"
            )
        rows = pl.read_parquet(file, glob=False, columns=list(_COLUMNS))
        times = rows.schema["timestamp_ms"]
        if isinstance(times, pl.Datetime):
            rows = rows.with_columns(timestamp_ms=in_ms(pl.col("timestamp_ms"), times))
        elif times.is_temporal():
            raise DataError(f"{file}: column timestamp_ms is of type {times}; write a timestamp")
        return rows.select(pl.col(name).cast(kind) for name, kind in _COLUMNS.items())
    except (pl.exceptions.PolarsError, OSError) as error:
        raise DataError(f"{file} is damaged or no Parquet file of requests: {error}") from error


def _usable(directory: str, requests: pl.DataFrame, width: int) -> tuple[pl.DataFrame, list[str]]:
    lengths = requests["feedback"].list.len().drop_nulls().unique().sort().to_list()
    if lengths and lengths != [width]:
        raise UserError(
            f"--feedback names {width}, but {directory} has requests with "
            f"{' or '.join(map(str, lengths))} feedbacks",
            "give the names that `mtfx join-feedback` was given, in the same order",
        )
    if not requests.height:
        raise DataError(f"{directory} holds no requests")
    watch, time = pl.col("watch_s"), pl.col("timestamp_ms")
    span = main_span(requests["timestamp_ms"].drop_nulls().to_numpy(), most_stray=_MOST_BAD)
    begin, end = (EARLIEST_MS, LATEST_MS - 1) if span is None else span
    values = (
        (pl.col("user_id").fill_null("") != "")
        & pl.col("behaviour_policy").is_not_null()
        & (watch.is_finite() & (watch >= 0)).fill_null(False)
        & pl.col("feedback").is_not_null()
        & pl.col("feedback").list.eval(pl.element().is_finite()).list.all()
    )
    on_time = time.is_between(begin, end).fill_null(False)
    marked = requests.with_columns(good=values & on_time, off=~on_time)
    good = marked.filter("good").drop("good", "off")
    bad, off = requests.height - good.height, int(marked["off"].sum())
    if bad > _MOST_BAD * requests.height:
        raise DataError(
            f"{directory}: {bad:,} of {requests.height:,} requests lack a user, an arm or a "
            "feedback, have watch times that are negative or no numbers, or (as "
            f"{off:,} do) have no time between 2000 and 2100 that is near the others"
            + _first_fault(marked.filter("off"))
        )
    notes = [f"{bad - off:,} unusable requests are left out."] if bad > off else []
    if off:
        notes.append(
            f"{off:,} requests are left out whose times are no times of this trial "
            f"({_date(begin)} to {_date(end)})."
        )
    return good, notes


def _first_fault(off: pl.DataFrame) -> str:
    faults = (time_fault(time) for time in off["timestamp_ms"].drop_nulls())
    return next((f", such as a {fault}" for fault in faults if fault), "")


def _date(time_ms: int) -> str:
    return str(datetime.datetime.fromtimestamp(time_ms / 1000, datetime.timezone.utc).date())


def _check_one_arm_each(directory: str, rows: pl.DataFrame) -> None:
    arms = rows.group_by("user_id").agg(pl.col("behaviour_policy").n_unique())
    twice = arms.filter(pl.col("behaviour_policy") > 1)["user_id"].sort().to_list()
    if twice:
        raise DataError(
            f"{directory}: {len(twice):,} users were served by both arms, such as "
            f"{', '.join(twice[:_NAMED])}; what they did cannot be put down to one. A user's arm "
            "must not change during a trial: keep its salt and shares"
        )


def _arm(rows: pl.DataFrame, name: str, begin: int) -> ArmLog:
    mine = rows.filter(pl.col("behaviour_policy") == name)
    user = mine["user_id"].rank("dense").cast(pl.Int64) - 1
    values = mine.select("watch_s", "plays", "positives").to_numpy()
    return ArmLog(name, user.to_numpy(), (mine["day"] - begin).to_numpy(), values)
