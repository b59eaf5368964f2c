"""Checks of a whole join: it is worthless if rows are unusable or feedback meets no request."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import NamedTuple

from mtfx.components.feedback_join.config import FeedbackJoinConfig, FeedbackJoinSummary
from mtfx.errors import DataError
from mtfx.serving.interaction_log import FEEDBACK, REQUESTS

#: Ids of each kind that a message has.
_NAMED = 3


class Examples(NamedTuple):
    """Some ids, for messages.

    Attributes:
      orphans: That feedback names and no request has.
      silent: Of requests to which no feedback came.
    """

    orphans: list[str]
    silent: list[str]


def check(
    summary: FeedbackJoinSummary,
    examples: Examples,
    config: FeedbackJoinConfig,
    quarantine: Path,
    kept: Path,
) -> None:
    """Refuses a join that would teach something false.

    Args:
      summary: Its counts.
      examples: For the message.
      config: Its limits.
      quarantine: Where the unusable rows are listed, if there are any.
      kept: Where this list is copied to.

    Raises:
      DataError: with the counts, and the flag that allows more.
    """
    _check_rows(summary, config, quarantine, kept)
    if config.min_feedback_share and summary.due and not summary.feedback:
        raise DataError(
            f"the feedback log is empty, though feedback of {summary.due:,} requests was due: was "
            "it written elsewhere? If the users did nothing, allow it with --min-feedback 0"
        )
    orphaned = summary.orphaned + summary.early
    usable = summary.feedback + summary.carried_feedback - _bad(summary, FEEDBACK)
    if orphaned > config.max_orphan_share * usable:
        raise DataError(
            f"{orphaned:,} of {usable:,} feedbacks name a request that is not in the log, such as "
            f"{_some(examples.orphans)}; requests without feedback are such as "
            f"{_some(examples.silent) or 'none'}. Do both logs use the same ids, and begin at the "
            "same time? --max-orphan-feedback allows a larger share"
        )
    if summary.answered < config.min_feedback_share * summary.due:
        raise DataError(
            f"to {summary.answered:,} of {summary.due:,} requests any feedback came "
            f"({summary.feedback:,} feedbacks are logged, of which {summary.late:,} came too late "
            f"and {orphaned:,} name no request); requests without are such as "
            f"{_some(examples.silent)}. Is feedback lost? --min-feedback allows a smaller share"
        )


def _check_rows(
    summary: FeedbackJoinSummary, config: FeedbackJoinConfig, quarantine: Path, kept: Path
) -> None:
    for log, rows in ((REQUESTS, summary.requests), (FEEDBACK, summary.feedback)):
        bad = _bad(summary, log)
        if bad > config.max_bad_share * rows:
            shutil.copyfile(quarantine, kept)
            reasons = ", ".join(f"{reason} ({n:,})" for reason, n in summary.bad.items())
            raise DataError(
                f"{bad:,} of {rows:,} rows of the {log} log are unusable: {reasons}; they are "
                f"listed in {kept}. Mend the log, or allow a larger share with --max-bad-rows"
            )


def _bad(summary: FeedbackJoinSummary, log: str) -> int:
    return sum(number for reason, number in summary.bad.items() if reason.startswith(f"{log}: "))


def _some(ids: list[str]) -> str:
    return ", ".join(ids[:_NAMED])
