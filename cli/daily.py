"""``mtfx daily``: both pipelines on the last days' logs, day after day."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from mtfx.agents.registry import AGENTS
from mtfx.agents.search.registry import SEARCHES
from mtfx.cli.fusion_options import candidate_buckets_option, max_return_drop_option
from mtfx.cli.invocation import Invocation, debug_option
from mtfx.cli.logs import output_to_log, require_log
from mtfx.cli.parameters import HyperParameter, Names
from mtfx.cli.progress import stage_progress
from mtfx.datasets.registry import DATASETS
from mtfx.datasets.rewards import REWARD_PRESETS
from mtfx.evaluation.ope.registry import ESTIMATORS
from mtfx.models.config import MODEL_SIZES
from mtfx.models.fusion.config import FORMULAS
from mtfx.models.mtl.registry import BACKBONES
from mtfx.pipelines.beam_args import local_beam_args
from mtfx.pipelines.config import RankingPipelineConfig
from mtfx.pipelines.daily_config import DailyConfig
from mtfx.pipelines.fusion_config import FusionPipelineConfig
from mtfx.pipelines.options import BlessingOptions, DataOptions, ModelOptions, TrainingOptions


@click.command("daily")
@click.option(
    "--dataset",
    required=True,
    help=f"{', '.join(DATASETS)}, or your own as module:ATTRIBUTE.",
)
@click.option("--data-dir", required=True, help="Directory of the log, a folder for each day.")
@click.option(
    "--pattern",
    default="day-{SPAN}/*",
    show_default=True,
    help="Files of a day; {SPAN} stands for its number, {SPAN:8} for one of eight digits.",
)
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
@click.option(
    "--window", type=int, default=3, show_default=True, help="Days that models are trained on."
)
@click.option(
    "--served-dir",
    default="",
    help="Directory of served requests, a folder for each day, that `mtfx join-feedback` wrote: "
    "policies learn from them, once there are any; from the simulator until then.",
)
@click.option(
    "--served-pattern",
    default="day-{SPAN}/*.parquet",
    show_default=True,
    help="Files of --served-dir.",
)
@click.option(
    "--drift-threshold",
    type=float,
    help="How far a column's distribution may move in a day, from 0 to 1, beyond what samples of "
    "that size show by chance.  [default: 0.05 for numbers and the hour, 0.1 for shares]",
)
@click.option(
    "--label-drift",
    type=float,
    help="By what factor the odds of a binary label may change in a day, likewise.  [default: 1.2]",
)
@click.option(
    "--rows-drift",
    type=float,
    help="By what factor the number of impressions may change in a day.  [default: 1.5]",
)
@click.option(
    "--max-bad-rows",
    type=float,
    default=0.01,
    show_default=True,
    help="Share of a file's rows that may be quarantined before the day is refused.",
)
@click.option("--tasks", type=Names(), default=(), help="Feedback to predict, by name.")
@click.option("--backbone", type=click.Choice(list(BACKBONES)), default="mmoe", show_default=True)
@click.option("--model-size", type=click.Choice(MODEL_SIZES), default="paper", show_default=True)
@click.option("--epochs", type=int, help="Passes over the window's training sessions, at most.")
@click.option("--batch-size", type=int, help="Impressions per training step.")
@click.option("--min-auc", type=float, help="A ranking model below this is not blessed.")
@click.option("--max-auc-drop", type=float, help="Allowed loss against the last blessed model.")
@click.option("--method", type=click.Choice(list(AGENTS)), default="bcq", show_default=True)
@click.option(
    "--baselines",
    type=Names(),
    default=("constant",),
    help=f"Compared in the simulator: {', '.join((*SEARCHES, *AGENTS))}.  [default: constant]",
)
@click.option(
    "--fusion", "formula", type=click.Choice(list(FORMULAS)), default="formula2", show_default=True
)
@click.option(
    "--reward", type=click.Choice(tuple(REWARD_PRESETS)), default="default", show_default=True
)
@click.option("--users", type=int, default=1000, show_default=True, help="Simulated users.")
@click.option("--pool", type=int, default=300, show_default=True, help="Items of each user.")
@click.option("--candidates", type=int, default=100, show_default=True, help="Items per request.")
@click.option(
    "--sessions", type=int, default=10_000, show_default=True, help="Simulated ones to learn from."
)
@click.option("--eval-sessions", type=int, default=2000, show_default=True)
@click.option("--train-steps", type=int, help="Of the policy.  [default: 300000, BatchRL-MTF's]")
@click.option("--set", "settings", type=HyperParameter(), multiple=True, help="As `mtfx fusion`.")
@click.option(
    "--estimator", type=click.Choice(ESTIMATORS), default="conservative", show_default=True
)
@max_return_drop_option
@candidate_buckets_option
@click.option("--seed", type=int, default=0, show_default=True, help="Of everything random.")
@click.option("--beam-workers", type=int, default=1, show_default=True, help="Beam's processes.")
@click.option("--beam-arg", "beam_args", multiple=True, help="Passed to Beam; may be repeated.")
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
    require_log(config.log_path, "--output-dir", values["output_dir"])
    invocation.output_dir, invocation.log_file = Path(config.output_dir), config.log_path
    with output_to_log(config.log_path) as terminal:
        console = Console(file=terminal, width=None if terminal.isatty() else 120)
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
    beam = local_beam_args(values["beam_workers"], values["beam_args"])
    ranking = RankingPipelineConfig(
        data=DataOptions(
            dataset=values["dataset"],
            data_dir=values["data_dir"],
            tasks=values["tasks"],
            pattern=values["pattern"],
            max_bad_rows=values["max_bad_rows"],
        ),
        output_dir=values["output_dir"],
        model_options=ModelOptions(backbone=values["backbone"], size=values["model_size"]),
        training_options=TrainingOptions(epochs=values["epochs"], batch_size=values["batch_size"]),
        blessing_options=BlessingOptions(values["min_auc"], values["max_auc_drop"]),
        seed=values["seed"],
        beam_pipeline_args=beam,
    )
    fusion = FusionPipelineConfig(
        run_dir=values["output_dir"],
        method=values["method"],
        baselines=values["baselines"],
        formula=values["formula"],
        reward=values["reward"],
        users=values["users"],
        pool=values["pool"],
        candidates=values["candidates"],
        sessions=values["sessions"],
        eval_sessions=values["eval_sessions"],
        train_steps=values["train_steps"],
        settings=values["settings"],
        estimator=values["estimator"],
        max_return_drop=values["max_return_drop"],
        candidate_buckets=values["candidate_buckets"],
        seed=values["seed"],
        beam_pipeline_args=beam,
    )
    return DailyConfig(
        ranking=ranking,
        fusion=fusion,
        served_dir=values["served_dir"],
        served_pattern=values["served_pattern"],
        window=values["window"],
        drift_threshold=values["drift_threshold"],
        label_drift=values["label_drift"],
        rows_drift=values["rows_drift"],
    )
