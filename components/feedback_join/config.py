"""Configuration and outcome of the join, as plain data."""

from __future__ import annotations

import dataclasses
from typing import Literal, get_args

#: What a request without any feedback means: that the user did nothing, or that it was lost.
Missing = Literal["nothing", "lost"]
MISSING: tuple[Missing, ...] = get_args(Missing)


@dataclasses.dataclass(frozen=True)
class FeedbackJoinConfig:
    """How feedback meets its request.

    Attributes:
      feedback_names: Of the F feedbacks, in the transitions' order; ``watch_s`` comes besides.
      wait_minutes: Feedback counts until so long after its request; later it is left out, and
        counted. A request younger than that at the log's end waits for the next run.
      missing: Whether a request without any feedback is one to which the user did nothing, as where
        clients report nothing else than what happened, or one whose feedback was lost, as where
        every item that is shown is reported. What is lost is left out.
      max_bad_share: Share of the rows of a log that may be unusable before the join fails.
      files: Files to write at most; also how many parts are joined side by side.
    """

    feedback_names: tuple[str, ...]
    wait_minutes: float = 60.0
    missing: Missing = "nothing"
    max_bad_share: float = 0.01
    files: int = 16

    def __post_init__(self) -> None:
        if not self.feedback_names or len(set(self.feedback_names)) != len(self.feedback_names):
            raise ValueError(f"feedback names must be distinct, not {self.feedback_names}")
        if not 0 < self.wait_minutes < float("inf"):
            raise ValueError(f"wait_minutes must be positive, got {self.wait_minutes}")
        if self.missing not in MISSING:
            raise ValueError(f"missing is one of {', '.join(MISSING)}, not {self.missing!r}")
        if not 0 <= self.max_bad_share <= 1:
            raise ValueError(f"max_bad_share is a share from 0 to 1, not {self.max_bad_share}")
        if self.files < 1:
            raise ValueError(f"files must be at least 1, got {self.files}")


@dataclasses.dataclass(frozen=True)
class FeedbackJoinSummary:
    """What came of the logs.

    Attributes:
      requests: Rows of the request log.
      feedback: Rows of the feedback log.
      joined: Requests written.
      with_feedback: Of those, the ones with any.
      waiting: Requests too young, which the next run joins.
      lost: Requests left out because no feedback came.
      repeated: Rows that repeat a request.
      late: Feedback rows that came too late.
      orphaned: Feedback rows whose request is not in the log.
      bad: Unusable rows by reason.
    """

    requests: int = 0
    feedback: int = 0
    joined: int = 0
    with_feedback: int = 0
    waiting: int = 0
    lost: int = 0
    repeated: int = 0
    late: int = 0
    orphaned: int = 0
    bad: dict[str, int] = dataclasses.field(default_factory=dict)
