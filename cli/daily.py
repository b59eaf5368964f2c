"""``mtfx daily``: both pipelines on the last days' logs, day after day."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Any

import click

from mtfx.cli.flags import Flags
from mtfx.cli.progress import stage_progress
from mtfx.cli.shared_flags import (
    DATASET_HELP,
    Invocation,
    beam_args,
    beam_options,
    console_and_log,
    debug_option,
    model_size_option,
    seed_option,
)
from mtfx.evaluation.config import Thresholds
from mtfx.models.config import ModelConfig
from mtfx.pipelines.config import RankingPipelineConfig
from mtfx.pipelines.daily_config import DailyConfig
from mtfx.pipelines.fusion_config import FLAGS, FusionPipelineConfig
from mtfx.pipelines.options import DataOptions
from mtfx.trainers.ranking.config import TrainingConfig

_DATA = Flags(
    DataOptions,
    ("dataset", "data_dir", "pattern", "history_length", "max_bad_rows", "tasks"),
    defaults={"pattern": "day-{SPAN}/*"},
    helps=DATASET_HELP,
)
_MODEL = Flags(
    ModelConfig,
    ("backbone",),
    make=ModelConfig.of_size,
)
_TRAINING = Flags(TrainingConfig, ("epochs", "batch_size"))
_BLESSING = Flags(Thresholds, ("min_auc", "max_auc_drop", "min_r_squared", "allow_worse_than_rate"))
_DAILY = Flags(
    DailyConfig,
    (
        "window",
        "history_days",
        "served_dir",
        "served_pattern",
        "drift_threshold",
        "label_drift",
        "rows_drift",
    ),
)
_FUSION = Flags(
    FusionPipelineConfig,
    (
        "method",
        "baselines",
        "formula",
        "leave_out",
        "reward",
        "users",
        "pool",
        "candidates",
        "sessions",
        "eval_sessions",
        "train_steps",
        "settings",
        "estimator",
        "max_return_drop",
        "keep_simulator",
        "candidate_buckets",
    ),
    FLAGS,
    defaults={"baselines": ("constant",)},
    helps={"settings": "A hyper-parameter of the agent, as of `mtfx fusion`."},
)


@click.command("daily")
@_DATA
@click.option(
    "--output-dir", required=True, help="For artifacts, reports, logs and the pushed models."
)
@click.option(
    "--span", type=int, required=True, help="The scheduled day. Never 'the latest': it may be late."
)
@click.option(
    "--from",
    "start",
    type=int,
    help="Back-fill from this day on.  [default: the day after the last that was run]",
)
@_DAILY
@_MODEL
@model_size_option
@_TRAINING
@_BLESSING
@_FUSION
@seed_option
@beam_options
@debug_option
@click.pass_obj
def daily_command(invocation: Invocation, /, span: int, start: int | None, **values: Any) -> None:
    """Check a day's log, train both models on the last days, push what is blessed.

    Run it once a day, from cron or Kubeflow, with the day's number. A day whose log is missing or
    does not pass leaves yesterday's models serving and ends with exit code 1 and the reason; the
    next day's window leaves it out. Mended, the same command runs it again. Days that were missed
    are run first.
    """
    config = _config(values)
    config.check()
    invocation.output_dir = Path(config.output_dir)
    with console_and_log(invocation, config.log_path, values["output_dir"]) as console:
        with console.status("loading TensorFlow and TFX"):
            from mtfx.evaluation.reports.daily import render_days, write_daily_report
            from mtfx.pipelines.daily import days_to_run, run_days
            from mtfx.pipelines.daily_state import DailyState
        spans = days_to_run(config, span, start)
        with stage_progress(console) as progress:
            days = run_days(
                config,
                spans,
                progress,
                lambda number, what: console.print(f"day {number}: {what}"),
                shlex.join(["mtfx", *sys.argv[1:]]),
            )
        state = DailyState.read(config.output_dir)
        every = [day for _, day in sorted(state.days.items())]
        console.print(render_days(every))
        page = write_daily_report(config.output_dir, every)
        console.print(f"report: {page}", soft_wrap=True)
    if any(not day.passed for day in days):
        raise SystemExit(1)


def _config(values: dict[str, Any]) -> DailyConfig:
    shared = {"seed": values["seed"], "beam_pipeline_args": beam_args(values)}
    ranking = RankingPipelineConfig(
        data=_DATA.build(values),
        output_dir=values["output_dir"],
        model=_MODEL.build(values, size=values["model_size"]),
        training=_TRAINING.build(values),
        thresholds=_BLESSING.build(values),
        **shared,
    )
    fusion = _FUSION.build(values, run_dir=values["output_dir"], **shared)
    return _DAILY.build(values, ranking=ranking, fusion=fusion)
