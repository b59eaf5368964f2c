"""What became of the days of a daily loop, as plain data."""

from __future__ import annotations

import dataclasses
from typing import Literal

#: ``done``: its log passed and its models were trained, blessed or not. ``checked``: its log passed
#: after newer days had run, so it only widens their windows. ``refused``: its log is missing or did
#: not pass. ``failed``: its log passed, but a later stage did not.
Status = Literal["done", "checked", "refused", "failed"]


@dataclasses.dataclass(frozen=True)
class Model:
    """A model that a day trained.

    Attributes:
      artifact: Of the Trainer.
      blessed: Whether it passed.
      pushed: Directory that it was pushed to; empty if it was not.
      figures: What it was judged by, by name.
      reason: Why it was not blessed, or a note.
    """

    artifact: str = ""
    blessed: bool = False
    pushed: str = ""
    figures: dict[str, float] = dataclasses.field(default_factory=dict)
    reason: str = ""


@dataclasses.dataclass(frozen=True)
class Day:
    """A day.

    Attributes:
      span: Its number.
      status: What became of it.
      fingerprint: Of its files; another one makes it worth trying again.
      reason: Why it was refused or failed, in full.
      stage: The stage that failed.
      sessions: Of its log.
      impressions: Of its log, without the duplicates.
      checks: How many figures were compared with those of the last day that passed.
      nearest: The one of them that came nearest to its bar, in words.
      statistics: URI of its log's statistics.
      window: Days whose logs the models were trained on.
      served_window: Days whose served requests the policy was trained on; none where it learned
        from the simulator.
      served_refused: Whether its served requests did not pass.
      ranking: The ranking model.
      policy: The fusion policy.
      ranker: Directory of the ranker that was pushed: the day's ranking model with the day's
        policy, or with the last blessed one where that was not blessed; empty if none was.
      ranker_policy: Artifact of the policy in it.
      seconds: Wall clock.
    """

    span: int
    status: Status
    fingerprint: str = ""
    reason: str = ""
    stage: str = ""
    sessions: int = 0
    impressions: int = 0
    checks: int = 0
    nearest: str = ""
    statistics: str = ""
    window: tuple[int, ...] = ()
    served_window: tuple[int, ...] = ()
    served_refused: bool = False
    ranking: Model = dataclasses.field(default_factory=Model)
    policy: Model = dataclasses.field(default_factory=Model)
    ranker: str = ""
    ranker_policy: str = ""
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        """Whether its log may be trained on."""
        return self.status != "refused"
