"""The join itself, of requests and feedback that are in memory."""

from __future__ import annotations

from typing import NamedTuple

import polars as pl

from components.feedback_join.config import FeedbackJoinConfig
from serving.interaction_log import WATCH_S


class JoinedRequests(NamedTuple):
    """What came of some requests and their feedback.

    Attributes:
      requests: As ``ServedInteractionGen`` reads them.
      counts: By the names of ``FeedbackJoinSummary``'s counters.
      bad: Unusable rows: ``log``, ``request_id`` and ``reason``.
    """

    requests: pl.DataFrame
    counts: dict[str, int]
    bad: pl.DataFrame


def join(
    requests: pl.DataFrame, feedback: pl.DataFrame, config: FeedbackJoinConfig, log_end_ms: int
) -> JoinedRequests:
    """Joins by request id.

    Feedback of one name may be reported again: a user who has clicked has clicked, and players
    report how far they are, so the largest value counts.

    Args:
      requests: Columns of ``serving.interaction_log.REQUEST_SCHEMA``, in any order.
      feedback: Of ``FEEDBACK_SCHEMA``, of these requests.
      config: Settings.
      log_end_ms: Time of the last row of both logs.
    """
    wait_ms = config.wait_minutes * 60_000
    good, bad_requests = _split(requests, _REQUEST_FAULTS, "requests")
    # Delivery at least once repeats rows; of several the first written counts.
    first = good.sort("timestamp_ms", maintain_order=True).unique("request_id", keep="first")
    usable, bad_feedback = _split(feedback, _feedback_faults(config), "feedback")
    times = first.select("request_id", asked_ms="timestamp_ms")
    met = usable.join(times, on="request_id", how="left")
    in_time = pl.col("timestamp_ms") <= pl.col("asked_ms") + wait_ms
    counted = met.filter(in_time)
    wide = first.select("request_id")
    for name in (*config.feedback_names, WATCH_S):
        values = (
            counted.filter(pl.col("name") == name)
            .group_by("request_id")
            .agg(pl.col("value").max().alias(f"value/{name}"))
        )
        wide = wide.join(values, on="request_id", how="left")
    columns = [f"value/{name}" for name in config.feedback_names]
    any_came = pl.any_horizontal(pl.col([*columns, f"value/{WATCH_S}"]).is_not_null())
    joined = first.join(wide, on="request_id", how="left").with_columns(came=any_came)
    young = joined["timestamp_ms"] > log_end_ms - wait_ms
    complete = joined.filter(~young)
    kept = complete if config.missing == "nothing" else complete.filter("came")
    counts = {
        "requests": requests.height,
        "feedback": feedback.height,
        "joined": kept.height,
        "with_feedback": int(kept["came"].sum()),
        "waiting": int(young.sum()),
        "lost": complete.height - kept.height,
        "repeated": good.height - first.height,
        "late": met.filter(~in_time).height,
        "orphaned": met.filter(pl.col("asked_ms").is_null()).height,
    }
    filled = [pl.col(name).fill_null(0.0).cast(pl.Float32) for name in columns]
    result = kept.with_columns(
        feedback=pl.concat_list(filled),
        watch_s=pl.col(f"value/{WATCH_S}").fill_null(0.0).cast(pl.Float32),
    ).drop(*columns, f"value/{WATCH_S}", "came")
    order = ["session_id", "step", "timestamp_ms"]
    return JoinedRequests(result.sort(order), counts, pl.concat([bad_requests, bad_feedback]))


#: What makes a request unusable here; ``ServedInteractionGen`` checks the values themselves.
_REQUEST_FAULTS = (
    (pl.col("request_id").fill_null("") == "", "request_id is missing"),
    (pl.col("timestamp_ms").is_null(), "timestamp_ms is missing"),
    (pl.col("session_id").fill_null("") == "", "session_id is missing"),
    (pl.col("step").is_null(), "step is missing"),
)


def _feedback_faults(config: FeedbackJoinConfig) -> tuple[tuple[pl.Expr, str], ...]:
    names = pl.col("name").is_in([*config.feedback_names, WATCH_S])
    value = pl.col("value")
    return (
        (pl.col("request_id").fill_null("") == "", "request_id is missing"),
        (pl.col("timestamp_ms").is_null(), "timestamp_ms is missing"),
        (~names.fill_null(False), "name is none of the feedbacks"),
        (~(value.is_finite() & (value >= 0)).fill_null(False), "value is negative or no number"),
        ((pl.col("name") != WATCH_S) & (value > 1), "a feedback is 0 or 1"),
    )


def _split(
    rows: pl.DataFrame, faults: tuple[tuple[pl.Expr, str], ...], log: str
) -> tuple[pl.DataFrame, pl.DataFrame]:
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
