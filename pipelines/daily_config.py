"""Configuration of the daily loop: what both pipelines run with, day after day."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import TYPE_CHECKING

from mtfx.config import Config
from mtfx.errors import require
from mtfx.pipelines.config import RankingPipelineConfig
from mtfx.pipelines.fusion_config import FusionPipelineConfig
from mtfx.pipelines.served_log import ServedLog
from mtfx.pipelines.spans import available_spans, has_span, span_folders

if TYPE_CHECKING:
    from mtfx.components.strict_distribution_validator.config import DriftThresholds


@dataclasses.dataclass(frozen=True)
class DailyConfig(Config):
    """A daily loop.

    Attributes:
      ranking: Of the ranking pipeline. Its data's pattern has ``{SPAN}``; span, window and base
        model are set for each day.
      fusion: Of the fusion pipeline, likewise.
      served_dir: Directory of served requests, a folder for each day, that `mtfx join-feedback`
        wrote: policies learn from them, once there are any; from the simulator until then.
      served_pattern: Files below it, with {SPAN} in a folder's name.
      window: Days that models are trained on; BatchRL-MTF (section 3.4) takes the last three.
      history_days: Days before those that passed, which sessions look back on, at most: for the
        user's earlier impressions, and counts by day.
      drift_threshold: How far a column's distribution may move in a day, from 0 to 1, beyond what
        samples of that size show by chance. By default 0.05 for numbers and the hour, 0.1 for
        shares.
      label_drift: By what factor the odds of a binary label may change in a day, likewise. By
        default 1.2.
      rows_drift: By what factor the number of impressions may change in a day. By default 1.5.
    """

    ranking: RankingPipelineConfig
    fusion: FusionPipelineConfig
    served_dir: str = ""
    served_pattern: str = "day-{SPAN}/*.parquet"
    window: int = 3
    history_days: int = 14
    drift_threshold: float | None = None
    label_drift: float | None = None
    rows_drift: float | None = None

    def __post_init__(self) -> None:
        require(self.window >= 1, f"--window must be at least 1 day, got {self.window}")
        require(
            self.history_days >= 0, f"--history-days must not be negative, got {self.history_days}"
        )
        for flag, pattern in (
            ("--pattern", self.ranking.data.pattern),
            ("--served-pattern", self.served_pattern),
        ):
            require(
                has_span(pattern),
                f"{flag} {pattern!r} has no {{SPAN}}, by which the days are distinguished",
                "for example 'day-{SPAN}/*'",
            )
        require(
            self.drift_threshold is None or 0 < self.drift_threshold <= 1,
            f"--drift-threshold is a distance from 0 to 1, got {self.drift_threshold}",
        )
        for flag, factor in (
            ("--label-drift", self.label_drift),
            ("--rows-drift", self.rows_drift),
        ):
            require(
                factor is None or 1 < factor < float("inf"),
                f"{flag} is a factor above 1, got {factor}",
                "1.25 lets odds or rows grow by a quarter or fall by a fifth",
            )

    @property
    def output_dir(self) -> str:
        """Absolute; of both pipelines, their metadata and ``daily.json``."""
        return os.path.abspath(self.ranking.output_dir)

    @property
    def log_path(self) -> Path:
        """The log of every run."""
        return self.ranking.log_path

    @property
    def thresholds(self) -> DriftThresholds:
        """How far a day may move. Imports TFX."""
        from mtfx.components.strict_distribution_validator.config import DriftThresholds

        asked = {
            "jensen_shannon": self.drift_threshold,
            "l_infinity": self.drift_threshold,
            "label_odds": self.label_drift,
            "rows": self.rows_drift,
        }
        return DriftThresholds(**{name: value for name, value in asked.items() if value})

    def check(self) -> None:
        """Checks what does not depend on the day, before anything slow starts.

        Raises:
          UserError: naming the flag and what is wrong with it.
        """
        data = self.ranking.data
        require(
            "://" in data.data_dir or Path(data.data_dir).is_dir(),
            f"--data-dir {data.data_dir} is not a directory",
        )
        require(
            not self.served_dir or "://" in self.served_dir or Path(self.served_dir).is_dir(),
            f"--served-dir {self.served_dir} is not a directory",
            "`mtfx join-feedback` makes its folders",
        )

    def ranking_of(
        self, span: int, earlier: tuple[int, ...], base_model: str, past: tuple[int, ...] = ()
    ) -> RankingPipelineConfig:
        """The ranking pipeline of a day.

        Args:
          span: The day.
          earlier: Days that are read together with it.
          base_model: Artifact to begin with.
          past: Days before those, which sessions look back on.
        """
        data = dataclasses.replace(
            self.ranking.data, span=span, earlier_spans=earlier, history_spans=past
        )
        return dataclasses.replace(self.ranking, data=data, base_model=base_model)

    def fusion_of(self, served: tuple[int, ...], base_policy: str) -> FusionPipelineConfig:
        """The fusion pipeline of a day.

        Args:
          served: Days whose served requests it learns from; none learns from the simulator.
          base_policy: Artifact to begin with.
        """
        log = None
        if served:
            log = ServedLog(self.served_dir, self.served_pattern, served[-1], served[:-1])
        return dataclasses.replace(self.fusion, served=log, base_policy=base_policy)

    def served_spans(self) -> tuple[int, ...]:
        """Days of which there are served requests."""
        if not self.served_dir:
            return ()
        return available_spans(self.served_dir, self.served_pattern)

    def shown_dir(self, span: int) -> str | None:
        """Folder of the features that the service sent on a day; None where it logged none."""
        if not self.served_dir:
            return None
        [folder] = span_folders(self.served_pattern, (span,))
        path = Path(self.served_dir, folder, "shown")
        return str(path) if any(path.glob("*.gz")) else None
