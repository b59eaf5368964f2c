"""The join itself, of requests and feedback that are in memory."""

from __future__ import annotations

from typing import NamedTuple

import polars as pl

from mtfx.components.feedback_join.config import FeedbackJoinConfig
from mtfx.components.feedback_join.log_files import SCHEMAS
from mtfx.serving.interaction_log import FEEDBACK, REQUESTS, WATCH_S
from mtfx.serving.plausible_time import time_faults

#: For so long after it was joined, a request that is repeated and feedback that is late are known.
_REMEMBERED_MS = 86_400_000


class Waiting(NamedTuple):
    """What a join hands to the join of the next log.

    Attributes:
      requests: That may still get feedback; columns of ``SCHEMAS``.
      feedback: Of these, or of requests that are in no log yet; likewise.
      settled: ``request_id`` and ``timestamp_ms`` of requests that are joined or given up.
    """

    requests: pl.DataFrame
    feedback: pl.DataFrame
    settled: pl.DataFrame


class JoinedRequests(NamedTuple):
    """Outcome of some requests and their feedback.

    Attributes:
      requests: As ``ServedInteractionGen`` reads them.
      waiting: For the join of the next log.
      counts: By the names of ``FeedbackJoinSummary``'s counters.
      bad: Unusable rows: ``log``, ``request_id`` and ``reason``.
      orphans: Request ids that feedback named and no request has; some, in order.
      silent: Ids of requests to which no feedback came; some, in order.
    """

    requests: pl.DataFrame
    waiting: Waiting
    counts: dict[str, int]
    bad: pl.DataFrame
    orphans: list[str]
    silent: list[str]


def nothing_waiting() -> Waiting:
    """Of a first log."""
    requests, feedback = (
        pl.DataFrame(pl.from_arrow(schema.empty_table()))
        for schema in (SCHEMAS[REQUESTS], SCHEMAS[FEEDBACK])
    )
    return Waiting(requests, feedback, requests.select("request_id", "timestamp_ms"))


def join(
    requests: pl.DataFrame,
    feedback: pl.DataFrame,
    config: FeedbackJoinConfig,
    log_end_ms: int,
    earlier: Waiting | None = None,
    examples: int = 3,
) -> JoinedRequests:
    """Joins by request id.

    Feedback of one name may be reported again: a user who has clicked has clicked, and players
    report how far they are, so the largest value counts.

    Args:
      requests: Columns of ``mtfx.components.feedback_join.log_files.SCHEMAS``, in any order.
      feedback: Likewise, of these requests.
      config: Settings.
      log_end_ms: Time of the last row of both logs; later ones are of wrong clocks.
      earlier: What the join of the log before left, of these requests' ids.
      examples: Ids to give of orphans and of silent requests.
    """
    before = nothing_waiting() if earlier is None else earlier
    waits_from_ms = log_end_ms - config.wait_ms
    good, bad_requests = _split(requests, _request_faults(log_end_ms), REQUESTS)
    usable, bad_feedback = _split(feedback, _feedback_faults(config, log_end_ms), FEEDBACK)
    # Delivery at least once repeats rows; of several the first written counts.
    all_requests = pl.concat([before.requests, good.select(before.requests.columns)])
    first = (
        all_requests.sort("timestamp_ms", maintain_order=True)
        .unique("request_id", keep="first", maintain_order=True)
        .join(before.settled, on="request_id", how="anti", maintain_order="left")
    )
    all_feedback = pl.concat([before.feedback, usable.select(before.feedback.columns)])
    met = _met(all_feedback, first, before.settled, config.wait_ms)
    joined = _with_feedback(first, met.filter("in_time"), config)
    young = pl.col("timestamp_ms") > waits_from_ms
    complete = joined.filter(~young)
    kept = complete if config.missing == "nothing" else complete.filter("came")
    due = complete.join(before.requests, on="request_id", how="anti")
    orphan = pl.col("asked_ms").is_null()
    orphans = met.filter(orphan & ~young)
    early = met.filter(orphan & young)
    counts = {
        "requests": requests.height,
        "feedback": feedback.height,
        "carried": before.requests.height,
        "carried_feedback": before.feedback.height,
        "due": due.height,
        "answered": int(due["came"].sum()),
        "joined": kept.height,
        "with_feedback": int(kept["came"].sum()),
        "unwatched": int((kept["came"] & kept[f"value/{WATCH_S}"].is_null()).sum()),
        "waiting": joined.height - complete.height,
        "lost": complete.height - kept.height,
        "repeated": all_requests.height - first.height,
        "late": met.filter(~orphan & ~pl.col("in_time")).height,
        "early": early.height,
        "orphaned": orphans.height,
    }
    waiting = Waiting(
        first.filter(young).sort("timestamp_ms", "request_id"),
        met.filter((pl.col("in_time") & (pl.col("asked_ms") > waits_from_ms)) | (orphan & young))
        .select(before.feedback.columns)
        .sort(before.feedback.columns),
        pl.concat([before.settled, complete.select("request_id", "timestamp_ms")])
        .filter(pl.col("timestamp_ms") > waits_from_ms - _REMEMBERED_MS)
        .sort("timestamp_ms", "request_id"),
    )
    columns = [*before.requests.columns, "feedback", "watch_s"]
    order = ["session_id", "step", "timestamp_ms"]
    return JoinedRequests(
        kept.select(columns).sort(order),
        waiting,
        counts,
        pl.concat([bad_requests, bad_feedback]),
        pl.concat([orphans, early])["request_id"].unique().sort().head(examples).to_list(),
        complete.filter(~pl.col("came"))["request_id"].sort().head(examples).to_list(),
    )


def _met(
    feedback: pl.DataFrame, first: pl.DataFrame, settled: pl.DataFrame, wait_ms: int
) -> pl.DataFrame:
    """Feedback with its request's time, null without one, and whether it counts."""
    times = pl.concat(
        [
            first.select("request_id", asked_ms="timestamp_ms", open=pl.lit(True)),
            settled.select("request_id", asked_ms="timestamp_ms", open=pl.lit(False)),
        ]
    )
    in_time = pl.col("open") & (pl.col("timestamp_ms") <= pl.col("asked_ms") + wait_ms)
    return feedback.join(times, on="request_id", how="left").with_columns(
        in_time=in_time.fill_null(False)
    )


def _with_feedback(
    first: pl.DataFrame, counted: pl.DataFrame, config: FeedbackJoinConfig
) -> pl.DataFrame:
    """Requests with ``feedback``, ``watch_s`` and whether any ``came``."""
    wide = first
    for name in (*config.feedback_names, WATCH_S):
        values = (
            counted.filter(pl.col("name") == name)
            .group_by("request_id")
            .agg(pl.col("value").max().alias(f"value/{name}"))
        )
        wide = wide.join(values, on="request_id", how="left", maintain_order="left")
    columns = [f"value/{name}" for name in config.feedback_names]
    filled = [pl.col(name).fill_null(0.0).cast(pl.Float32) for name in columns]
    watch = pl.col(f"value/{WATCH_S}")
    return wide.with_columns(
        came=pl.any_horizontal(pl.col([*columns, f"value/{WATCH_S}"]).is_not_null()),
        feedback=pl.concat_list(filled),
        watch_s=watch.fill_null(0.0).cast(pl.Float32),
    )


#: Of rows: what makes one unusable, and what to say of it.
_Faults = tuple[tuple[pl.Expr, str], ...]


def _key_faults(log_end_ms: int) -> _Faults:
    time = pl.col("timestamp_ms")
    return (
        (pl.col("request_id").fill_null("") == "", "request_id is missing"),
        (time.is_null(), "timestamp_ms is missing"),
        *(
            (time.is_between(low, high, closed="left"), f"timestamp_ms: {reason}")
            for low, high, reason in time_faults()
        ),
        (time > log_end_ms, "timestamp_ms is long after the log's end"),
    )


def _request_faults(log_end_ms: int) -> _Faults:
    """``ServedInteractionGen`` checks the values themselves."""
    return (
        *_key_faults(log_end_ms),
        (pl.col("session_id").fill_null("") == "", "session_id is missing"),
        (pl.col("step").is_null(), "step is missing"),
    )


def _feedback_faults(config: FeedbackJoinConfig, log_end_ms: int) -> _Faults:
    names = pl.col("name").is_in([*config.feedback_names, WATCH_S])
    value = pl.col("value")
    return (
        *_key_faults(log_end_ms),
        (~names.fill_null(False), "name is none of the feedbacks"),
        (~(value.is_finite() & (value >= 0)).fill_null(False), "value is negative or no number"),
        ((pl.col("name") != WATCH_S) & (value > 1), "a feedback is 0 or 1"),
    )


def _split(rows: pl.DataFrame, faults: _Faults, log: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The good rows, and what is wrong with the others."""
    reason = pl.lit(None, pl.String)
    for condition, text in reversed(faults):
        reason = pl.when(condition).then(pl.lit(text)).otherwise(reason)
    marked = rows.with_columns(reason=reason)
    bad = marked.filter(pl.col("reason").is_not_null())
    return (
        marked.filter(pl.col("reason").is_null()).drop("reason"),
        bad.select(pl.lit(log).alias("log"), "request_id", "reason"),
    )
