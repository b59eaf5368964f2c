"""``mtfx ranking``: the ranking pipeline, from raw logs to a blessed, pushed model."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Any

import click

from mtfx.cli.flags import Flags
from mtfx.cli.parameters import TrialSetting, describe_settings
from mtfx.cli.progress import stage_progress
from mtfx.cli.shared_flags import (
    DATASET_HELP,
    Invocation,
    beam_args,
    beam_options,
    cache_option,
    console_and_log,
    debug_option,
    model_size_option,
    seed_option,
)
from mtfx.config import settings_of
from mtfx.evaluation.config import Thresholds
from mtfx.models.config import ModelConfig
from mtfx.pipelines.config import RankingPipelineConfig
from mtfx.pipelines.method_options import MethodOptions
from mtfx.pipelines.options import DataOptions
from mtfx.trainers.ranking.config import TrainingConfig
from mtfx.trainers.ranking.settings import RmtlSettings


class _Shares(click.ParamType):
    name = "TRAIN,EVAL,TEST"

    def convert(
        self,
        value: str | tuple[float, float, float],
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> tuple[float, float, float]:
        if isinstance(value, tuple):
            return value
        try:
            train, evaluation, test = (float(share) for share in value.split(","))
        except ValueError:
            self.fail(f"{value!r} is not three numbers, such as 0.6,0.2,0.2", param, ctx)
        return train, evaluation, test


class _Weight(click.ParamType):
    name = "TASK=WEIGHT"

    def convert(
        self,
        value: str | tuple[str, float],
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> tuple[str, float]:
        if isinstance(value, tuple):
            return value
        task, _, weight = value.partition("=")
        try:
            return task, float(weight)
        except ValueError:
            self.fail(f"{value!r} is not of the form click=0.5", param, ctx)


def _settings() -> str:
    """The list of RMTL's settings below the help text."""
    heading = ["\b", "Settings for --set, with their defaults:"]
    settings = settings_of(RmtlSettings())
    return "\n".join([*heading, *describe_settings(settings.values(), max(map(len, settings)))])


_DATA = Flags(
    DataOptions,
    (
        "dataset",
        "data_dir",
        "tasks",
        "pattern",
        "span",
        "split_fractions",
        "gap_minutes",
        "max_session_length",
        "history_length",
        "max_bad_rows",
        "schema_file",
    ),
    {"split_fractions": "--split", "schema_file": "--schema"},
    types={"split_fractions": _Shares()},
    helps=DATASET_HELP,
)
_MODEL = Flags(
    ModelConfig,
    ("backbone", "task_weights", "loss_weighting"),
    {"task_weights": "--task-weight"},
    types={"task_weights": _Weight()},
    make=ModelConfig.of_size,
)
_TRAINING = Flags(
    TrainingConfig,
    (
        "epochs",
        "batch_size",
        "learning_rate",
        "patience",
        "mixed_precision",
        "strategy",
        "jit_compile",
        "deterministic",
    ),
    {
        "mixed_precision": "--mixed-precision/--full-precision",
        "deterministic": "--deterministic/--fast",
    },
)
_METHOD = Flags(
    MethodOptions,
    ("name", "settings", "critic_path"),
    {"name": "--method", "settings": "--set", "critic_path": "--critics"},
    types={"settings": TrialSetting(RmtlSettings())},
)
_BLESSING = Flags(Thresholds, ("min_auc", "max_auc_drop", "min_r_squared", "allow_worse_than_rate"))


@click.command("ranking", epilog=_settings())
@_DATA
@click.option(
    "--output-dir", required=True, help="For artifacts, report, logs and the pushed model."
)
@_MODEL
@model_size_option
@_TRAINING
@_METHOD
@Flags(RankingPipelineConfig, ("base_model", "compare_trees"))
@_BLESSING
@seed_option
@beam_options
@cache_option
@debug_option
@click.pass_obj
def ranking_command(
    invocation: Invocation, /, output_dir: str, seed: int, cache: bool, **values: Any
) -> None:
    """Train, evaluate and push a multi-task ranking model.

    Reads a log of impressions, cuts it into sessions, validates and transforms them, trains the
    model, evaluates it per task and slice, and pushes it if it passes. Run the same command again
    to continue where an earlier run stopped; what has not changed is not done twice.
    """
    config = RankingPipelineConfig(
        data=_DATA.build(values),
        output_dir=output_dir,
        model=_MODEL.build(values, size=values["model_size"]),
        training=_TRAINING.build(values),
        thresholds=_BLESSING.build(values),
        method_options=_METHOD.build(values),
        base_model=values["base_model"],
        compare_trees=values["compare_trees"],
        seed=seed,
        beam_pipeline_args=beam_args(values),
        enable_cache=cache,
    )
    config.check()
    run(config, invocation)


def run(config: RankingPipelineConfig, invocation: Invocation) -> None:
    """Runs the pipeline, its stages shown on the terminal and all other output in the log."""
    invocation.output_dir = Path(config.output_dir)
    with console_and_log(invocation, config.log_path, config.output_dir) as console:
        with console.status("loading TensorFlow and TFX"):
            from mtfx.evaluation.reports.ranking import render_summary
            from mtfx.pipelines.ranking import run_ranking
        with stage_progress(console) as progress:
            summary = run_ranking(config, progress, shlex.join(["mtfx", *sys.argv[1:]]))
        console.print(render_summary(summary))
