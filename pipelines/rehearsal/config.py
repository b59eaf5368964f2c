"""Configuration of the closed loop."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path

from mtfx.errors import require
from mtfx.evaluation.config import Thresholds
from mtfx.models.config import ModelConfig
from mtfx.pipelines.config import RankingPipelineConfig
from mtfx.pipelines.daily_config import DailyConfig
from mtfx.pipelines.fusion_config import FusionPipelineConfig
from mtfx.pipelines.options import DataOptions
from mtfx.trainers.ranking.config import TrainingConfig


@dataclasses.dataclass(frozen=True)
class ClosedLoopConfig:
    """A closed loop; its defaults take some minutes a day on two cores.

    Attributes:
      output_dir: For logs, artifacts and the report.
      days: Days that are served, after day 0, whose log a synthetic policy wrote.
      sessions: Sessions served a day.
      first_impressions: Impressions of day 0's log.
      users: Users of the service.
      pool: Items of each.
      candidates: Items per request.
      exploration_share: Share of the users whose requests try actions out.
      epochs: Passes over the ranking model's training sessions, at most.
      train_steps: Training steps of the policy.
      value_sessions: Sessions on whose truth rankers are compared.
      drift_threshold: How far the first served day may move: far, as another policy chose what it
        shows, and its users come at other hours. Later days have the daily loop's defaults.
      label_drift: By what factor a label's odds may change on that day, for the same reason.
      rows_drift: By what factor its impressions may: day 0 is a log of weeks.
      poisoned_day: A day whose log is damaged on purpose, to see it refused. By default none.
      seed: Of everything random.
    """

    output_dir: Path
    days: int = 5
    sessions: int = 300
    first_impressions: int = 6000
    users: int = 100
    pool: int = 150
    candidates: int = 50
    exploration_share: float = 0.3
    epochs: int = 3
    train_steps: int = 1000
    value_sessions: int = 1000
    drift_threshold: float = 0.5
    label_drift: float = 4.0
    rows_drift: float = 10.0
    poisoned_day: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("days", "sessions", "value_sessions"):
            flag = "--" + name.replace("_", "-")
            require(getattr(self, name) >= 1, f"{flag} must be at least 1")
        require(
            0 <= self.exploration_share <= 1,
            f"--exploration-share is a share from 0 to 1, got {self.exploration_share}",
        )
        require(
            self.poisoned_day is None or 1 <= self.poisoned_day <= self.days,
            f"--poisoned-day {self.poisoned_day} is none of the days 1 to {self.days}",
        )

    @property
    def logs(self) -> Path:
        """Of impressions, a folder a day."""
        return self.output_dir / "logs_by_day"

    @property
    def served(self) -> Path:
        """Of served requests with their feedback, a folder a day."""
        return self.output_dir / "served"

    def daily_of(self, day: int) -> DailyConfig:
        """What runs on a served day, from 1."""
        if day == 1:
            return self.daily
        return dataclasses.replace(
            self.daily, drift_threshold=None, label_drift=None, rows_drift=None
        )

    @functools.cached_property
    def daily(self) -> DailyConfig:
        """What runs on the first days, of which each is of another world than the one before."""
        run = str(self.output_dir / "run")
        return DailyConfig(
            ranking=RankingPipelineConfig(
                data=DataOptions(
                    "synthetic-video",
                    str(self.logs),
                    pattern="day-{SPAN}/*",
                    tasks=("click", "long_view"),
                ),
                output_dir=run,
                model=ModelConfig.of_size("small"),
                training=TrainingConfig(epochs=self.epochs, batch_size=256),
                thresholds=Thresholds(min_auc=0.5, max_auc_drop=0.05),
                seed=self.seed,
            ),
            fusion=FusionPipelineConfig(
                run_dir=run,
                baselines=("constant",),
                users=self.users,
                pool=self.pool,
                candidates=self.candidates,
                sessions=self.sessions * 2,
                eval_sessions=self.sessions,
                train_steps=self.train_steps,
                settings=(("hidden_units", (64, 64)),),
                seed=self.seed,
            ),
            served_dir=str(self.served),
            drift_threshold=self.drift_threshold,
            label_drift=self.label_drift,
            rows_drift=self.rows_drift,
        )
