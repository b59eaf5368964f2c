"""Configuration and outcome of the join, as plain data."""

from __future__ import annotations

import dataclasses
from typing import Literal, get_args

from mtfx.config import Config

#: What a request without any feedback means: that the user did nothing, or that it was lost.
Missing = Literal["nothing", "lost"]
MISSING: tuple[Missing, ...] = get_args(Missing)


@dataclasses.dataclass(frozen=True)
class FeedbackJoinConfig(Config):
    """How feedback meets its request.

    Attributes:
      feedback_names: Names of the feedbacks, in the order of the fusion's transitions; watch_s
        comes besides.
      wait_minutes: Minutes after its request until which feedback counts; later it is left out, and
        counted. A request younger than that at the log's end waits for the next log's join.
      missing: What a request without feedback means: the user did nothing, as where clients report
        only what happened, or it was lost, as where every item that is shown is reported. What is
        lost is left out.
      max_bad_share: Share of the rows of a log that may be unusable before the join fails.
      max_orphan_share: Share of the feedback that may name a request that is not in the log. More
        says that requests and feedback are of two services, or that one side's ids have changed.
      min_feedback_share: Share of the requests to which some feedback must have come. Fewer says
        that feedback is lost; 0 takes a log without any for one of users who did nothing.
      files: Files to write at most; also how many parts are joined side by side.
    """

    feedback_names: tuple[str, ...]
    wait_minutes: float = 60.0
    missing: Missing = "nothing"
    max_bad_share: float = 0.01
    max_orphan_share: float = 0.1
    min_feedback_share: float = 0.001
    files: int = 16

    def __post_init__(self) -> None:
        if not self.feedback_names or len(set(self.feedback_names)) != len(self.feedback_names):
            raise ValueError(f"feedback names must be distinct, not {self.feedback_names}")
        if not 0 < self.wait_minutes < float("inf"):
            raise ValueError(f"wait_minutes must be positive, got {self.wait_minutes}")
        if self.missing not in MISSING:
            raise ValueError(f"missing is one of {', '.join(MISSING)}, not {self.missing!r}")
        for name in ("max_bad_share", "max_orphan_share", "min_feedback_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is a share from 0 to 1, not {getattr(self, name)}")
        if self.files < 1:
            raise ValueError(f"files must be at least 1, got {self.files}")

    @property
    def wait_ms(self) -> int:
        """``wait_minutes`` in ms."""
        return round(self.wait_minutes * 60_000)


@dataclasses.dataclass(frozen=True)
class FeedbackJoinSummary:
    """Outcome of the logs.

    Attributes:
      requests: Rows of the request log.
      feedback: Rows of the feedback log.
      carried: Requests that had waited since the join of the log before.
      carried_feedback: Feedback rows, likewise.
      due: Requests of this log for whose feedback the time is over.
      answered: Of these, the ones with any.
      joined: Requests written.
      with_feedback: Of those, the ones with any.
      unwatched: Of these, the ones of which no watch time was reported, which is read as 0 s.
      waiting: Requests too young, which the next log's join takes.
      lost: Requests left out because no feedback came.
      repeated: Rows that repeat a request, of this log or of one that is joined already.
      late: Feedback rows that came too late.
      early: Feedback rows that wait for a request, which the next log may have.
      orphaned: Feedback rows whose request is in no log.
      bad: Unusable rows by reason.
      first_ms: Time of the log's first row, without those of wrong clocks; 0 for an empty log.
      last_ms: Likewise of the last.
      earlier: Name of the directory of the join that this one goes on from; empty for none.
      earlier_state: What waited there, as a digest.
      state: What waits here, as a digest.
      notes: What the reader should know besides, a sentence each.
    """

    requests: int = 0
    feedback: int = 0
    carried: int = 0
    carried_feedback: int = 0
    due: int = 0
    answered: int = 0
    joined: int = 0
    with_feedback: int = 0
    unwatched: int = 0
    waiting: int = 0
    lost: int = 0
    repeated: int = 0
    late: int = 0
    early: int = 0
    orphaned: int = 0
    bad: dict[str, int] = dataclasses.field(default_factory=dict)
    first_ms: int = 0
    last_ms: int = 0
    earlier: str = ""
    earlier_state: str = ""
    state: str = ""
    notes: tuple[str, ...] = ()
