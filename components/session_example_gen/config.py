"""Configuration of SessionExampleGen, carried as JSON in the component's execution properties."""

from __future__ import annotations

import dataclasses

from mtfx.config import Config
from mtfx.datasets.history import DEFAULT_LENGTH, LONGEST
from mtfx.datasets.logs.sessions import SPLITS
from mtfx.datasets.registry import load_dataset
from mtfx.datasets.spec import DatasetSpec

#: Shares of train, eval and test that leave everything in train.
WHOLE = (1.0, 0.0, 0.0)


@dataclasses.dataclass(frozen=True)
class SessionExampleGenConfig(Config):
    """How a log becomes session examples.

    Attributes:
      dataset: Registry name or ``module:ATTRIBUTE`` of the data set.
      quarantine_dir: Where the rejected rows are written, one CSV per run.
      split_fractions: Shares of sessions in train, eval and test, by session start time (RMTL
        §3.1.1: 6:2:2). ``(1, 0, 0)`` splits nothing: a day that is only looked at is one split.
      max_bad_rows: Share of a file's rows that may be quarantined before the run fails.
      gap_minutes: Overrides the session rule's gap.
      max_session_length: Overrides the session rule's longest session, in impressions.
      shards: Files per split; 0 derives it from the size of the log.
      earlier: Folders of earlier deliveries, below the component's ``data_dir`` and in order, that
        are read together with the component's own span: a rolling window of days.
      history_length: How many of a user's earlier impressions a session has at most; 0: none, and
        no watch share. A data set without a history has none at all.
      history_deliveries: Folders of deliveries before those, likewise: sessions look back on their
        impressions, and statistics count them, but none of their sessions is written.
      code_version: Recorded, and part of the cache key: new code makes new examples.
      description_version: Likewise, of the user's own description of the data set.
    """

    dataset: str
    quarantine_dir: str
    split_fractions: tuple[float, float, float] = (0.6, 0.2, 0.2)
    max_bad_rows: float = 0.01
    gap_minutes: float | None = None
    max_session_length: int | None = None
    shards: int = 0
    earlier: tuple[str, ...] = ()
    history_length: int = DEFAULT_LENGTH
    history_deliveries: tuple[str, ...] = ()
    code_version: str = ""
    description_version: str = ""

    def __post_init__(self) -> None:
        if self.split_fractions == WHOLE:
            pass
        elif len(self.split_fractions) != 3 or any(f <= 0 for f in self.split_fractions):
            raise ValueError("split fractions must be three positive shares: train, eval, test")
        if abs(sum(self.split_fractions) - 1) > 1e-6:
            raise ValueError(f"split fractions sum to {sum(self.split_fractions)}, not 1")
        if not 0 <= self.max_bad_rows <= 1:
            raise ValueError(f"max_bad_rows is a share from 0 to 1, not {self.max_bad_rows}")
        if not 0 <= self.history_length <= LONGEST:
            raise ValueError(
                f"history_length is a number from 0 to {LONGEST}, not {self.history_length}"
            )

    def spec(self) -> DatasetSpec:
        """The data set with this configuration's session rule."""
        spec = load_dataset(self.dataset)
        changes: dict = {}
        if self.gap_minutes is not None:
            changes.update(kind="gap", gap_minutes=self.gap_minutes)
        if self.max_session_length is not None:
            changes["max_length"] = self.max_session_length
        rule = dataclasses.replace(spec.session_rule, **changes)
        return dataclasses.replace(spec, session_rule=rule)

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that are written."""
        return SPLITS[:1] if self.split_fractions == WHOLE else SPLITS
