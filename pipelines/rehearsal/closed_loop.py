"""The whole loop on one machine: serve with exploration, log, retrain, bless, push, serve.

Users are a simulator's with the known truth behind a synthetic data set, so that the value of every
ranker that served can be computed and not only estimated.
"""

from __future__ import annotations

import dataclasses
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
from tfx.orchestration import metadata
from tfx.orchestration.metadata import sqlite_metadata_connection_config

from mtfx.components.blessed_models import (
    EXAMPLES,
    TRANSFORM_GRAPH,
    LatestBlessedRankingStrategy,
)
from mtfx.components.feedback_join.config import FeedbackJoinConfig
from mtfx.components.feedback_join.pipeline import join_feedback
from mtfx.datasets.synthetic import SyntheticConfig, synthesize
from mtfx.environments.simulator.dynamics import Simulator
from mtfx.environments.simulator.fitting.raw_requests import WorldRequests
from mtfx.environments.simulator.user_groups import user_groups
from mtfx.environments.simulator.value import session_figures
from mtfx.errors import StageError
from mtfx.evaluation.reports.closed_loop import LoopDay, loop_day
from mtfx.evaluation.reports.daily import Day
from mtfx.models.export.policy import SavedPolicy
from mtfx.pipelines import local_runner
from mtfx.pipelines.daily import run_days
from mtfx.pipelines.daily_config import DailyConfig
from mtfx.pipelines.daily_state import DailyState
from mtfx.pipelines.rehearsal.config import ClosedLoopConfig
from mtfx.pipelines.rehearsal.service import ServedDay, SimulatedService, write_log
from mtfx.serving.client import GrpcRankerClient
from mtfx.serving.exploration import ExplorationPlan
from mtfx.serving.stand_in_server import StandInServer

_LOG_FILE = "log_standard_day_synthetic.csv"
_DAY_MS = 86_400_000
#: Unix time of day 0: 2022-06-01, after the end of the synthetic log.
_START_MS = 1_654_012_800_000
#: More than any return.
_ANY_DROP = 1e9
#: Sessions on whose truth rankers are compared, of another seed than those served.
_VALUE_SEED = 1_000_003

Told = Callable[[int, str], None]


def run_closed_loop(
    config: ClosedLoopConfig, observer: local_runner.StageObserver, on_day: Told
) -> list[LoopDay]:
    """Runs the loop.

    Args:
      config: What to run.
      observer: Notified of each stage of each pipeline.
      on_day: Notified of each day.

    Returns:
      A row for each day that was served.

    Raises:
      StageError: if the first models cannot be trained or are not blessed.
    """
    daily = config.daily
    _first_log(config)
    # The first ranker is there to be served and learned from, and may be worse than exploration.
    lenient = dataclasses.replace(daily.fusion, max_return_drop=_ANY_DROP)
    [first] = run_days(dataclasses.replace(daily, fusion=lenient), (0,), observer, on_day)
    if not first.ranker:
        why = first.reason or first.ranking.reason or first.policy.reason
        raise StageError(first.stage or "day 0", f"the first ranker was not pushed: {why}")
    found: list[LoopDay] = []
    loop = _Loop(config, daily)
    with loop.server:
        for day in range(1, config.days + 1):
            ranker = loop.serving_day()
            on_day(day, f"serving {config.sessions:,} sessions")
            served = loop.serve(day)
            on_day(day, f"{served.requests:,} requests served")
            if day == config.poisoned_day:
                on_day(day, "its log is damaged on purpose")
                _poison(config.logs / f"day-{day}" / _LOG_FILE)
            [trained] = run_days(config.daily_of(day), (day,), observer, on_day)
            loop.server.versions.refresh()
            values = loop.values(ranker)
            found.append(loop_day(trained, ranker.span, _policy_arm(served), values, found))
            on_day(day, f"watch time of its ranker: {values.mean():.1f} s a session")
    return found


class _Loop:
    """The service, and the truth about it."""

    def __init__(self, config: ClosedLoopConfig, daily: DailyConfig) -> None:
        self._config, self._daily = config, daily
        artifacts = _first_artifacts(daily)
        simulator_dir = daily.fusion.served_simulator
        self._requests = WorldRequests(
            simulator_dir, artifacts[EXAMPLES][0].uri, artifacts[TRANSFORM_GRAPH][0].uri
        )
        self._simulator = Simulator(self._requests.world, daily.fusion.simulator)
        plan = ExplorationPlan(config.exploration_share)
        self._service = SimulatedService(self._simulator, self._requests, plan, config.seed)
        self.server = StandInServer(os.path.join(daily.output_dir, "serving", "ranker"))

    def serving_day(self) -> Day:
        """The day whose ranker is served."""
        days = DailyState.read(self._daily.output_dir).days
        return max((day for day in days.values() if day.ranker), key=lambda day: day.span)

    def serve(self, day: int) -> ServedDay:
        """Serves a day, and writes its two logs."""
        config = self._config
        raw = config.output_dir / "raw" / f"day-{day}"
        shutil.rmtree(raw, ignore_errors=True)
        client = GrpcRankerClient(f"localhost:{self.server.grpc_port}", timeout_s=60.0)
        try:
            served = self._service.serve(
                day, config.sessions, _START_MS + day * _DAY_MS, client, raw
            )
        finally:
            client.close()
        write_log(served.impressions, config.logs / "day-0", config.logs / f"day-{day}", _LOG_FILE)
        join_feedback(
            str(raw),
            str(config.served / f"day-{day}"),
            FeedbackJoinConfig(self._requests.world.feedback_names, wait_minutes=10.0),
            config.daily.ranking.beam_pipeline_args,
        )
        return served

    def values(self, day: Day) -> np.ndarray:
        """True watch time of a day's ranker in s, float64 `[session]`.

        The sessions are the same for every ranker, of users that were never served: no policy has
        learnt from them.
        """
        predictions = self._requests.predictions(day.ranker)
        world = dataclasses.replace(self._requests.world, predictions=predictions)
        simulator = Simulator(world, self._daily.fusion.simulator)
        policy = SavedPolicy(os.path.join(day.ranker_policy, "Format-Serving"))
        judged = user_groups(world.user_ids).evaluation
        users = np.resize(judged, self._config.value_sessions)
        fusion = policy.fusion(world.num_predictions)
        return session_figures(simulator, fusion, policy, users, _VALUE_SEED, 1.0).watch_s


def _first_log(config: ClosedLoopConfig) -> None:
    synthetic = SyntheticConfig(
        profile="video", impressions=config.first_impressions, seed=config.seed
    )
    synthesize(synthetic, config.logs / "day-0")


def _first_artifacts(daily: DailyConfig) -> dict[str, list]:
    """The session examples and the transform that the first simulator was built from."""
    connection = sqlite_metadata_connection_config(str(daily.ranking.metadata_path))
    with metadata.Metadata(connection) as handle:
        return LatestBlessedRankingStrategy().resolve_artifacts(handle.store, {})


def _policy_arm(served: ServedDay) -> np.ndarray:
    return served.watch_s[served.arms == "policy"]


def _poison(path: Path) -> None:
    """A day whose client reports every view as a click and every watch time in microseconds."""
    rows = pl.read_csv(path, glob=False)
    rows.with_columns(is_click=1, play_time_ms=pl.col("play_time_ms") * 1000).write_csv(path)
