"""``mtfx ranking``: the ranking pipeline, from raw logs to a blessed, pushed model."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import click
from rich.console import Console

from mtfx.cli.invocation import Invocation, debug_option
from mtfx.cli.logs import output_to_log, require_log
from mtfx.cli.parameters import Names, Setting, describe_settings
from mtfx.cli.progress import stage_progress
from mtfx.datasets.registry import DATASETS
from mtfx.models.config import MODEL_SIZES
from mtfx.models.loss_weighting.registry import LOSS_WEIGHTINGS
from mtfx.models.mtl.registry import BACKBONES
from mtfx.pipelines.beam_args import local_beam_args
from mtfx.pipelines.config import RankingPipelineConfig
from mtfx.pipelines.method_options import METHODS, RMTL_SETTINGS, MethodOptions
from mtfx.pipelines.options import (
    STRATEGIES,
    TRAINER_DEFAULTS,
    BlessingOptions,
    DataOptions,
    ModelOptions,
    TrainingOptions,
)
from mtfx.trainers.ranking.settings import Value

_NAMES = ", ".join(DATASETS)


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
    return "\n".join([*heading, *describe_settings(RMTL_SETTINGS, max(map(len, RMTL_SETTINGS)))])


def _default(name: str, text: str) -> str:
    return f"{text}  [default: {TRAINER_DEFAULTS[name]:g}]"


@click.command("ranking", epilog=_settings())
@click.option("--dataset", required=True, help=f"{_NAMES}, or your own as module:ATTRIBUTE.")
@click.option("--data-dir", required=True, help="Directory of the log's files.")
@click.option(
    "--output-dir", required=True, help="For artifacts, report, logs and the pushed model."
)
@click.option("--tasks", type=Names(), default=(), help="Feedback to predict, by name.")
@click.option(
    "--backbone",
    type=click.Choice(list(BACKBONES)),
    default="mmoe",
    show_default=True,
    help="The multi-task model; see `mtfx backbones`.",
)
@click.option(
    "--model-size",
    type=click.Choice(MODEL_SIZES),
    default="paper",
    show_default=True,
    help="RMTL's layer sizes, or small ones for some 100,000 impressions.",
)
@click.option(
    "--epochs", type=int, help=_default("epochs", "Passes over the training sessions, at most.")
)
@click.option(
    "--batch-size", type=int, help=_default("batch_size", "Impressions per training step.")
)
@click.option(
    "--learning-rate", type=float, help=_default("learning_rate", "Adam's learning rate.")
)
@click.option(
    "--patience",
    type=int,
    help=_default("patience", "Stop after this many epochs without a better AUC."),
)
@click.option(
    "--task-weight",
    "task_weights",
    type=_Weight(),
    multiple=True,
    help="Weight of a task's loss; may be given for several tasks.",
)
@click.option(
    "--loss-weighting",
    type=click.Choice(list(LOSS_WEIGHTINGS)),
    default="constant",
    show_default=True,
    help="How tasks are balanced while training; see `mtfx backbones`.",
)
@click.option(
    "--method",
    type=click.Choice(METHODS),
    default="supervised",
    show_default=True,
    help="rmtl: pretrain, train critics on sessions, retrain with the weights they give.",
)
@click.option("--set", "settings", type=Setting(), multiple=True, help="RMTL's; see below.")
@click.option("--critics", "critic_path", default="", help="Of an earlier RMTL run, for this one.")
@click.option(
    "--base-model",
    default="",
    help="Artifact of an earlier ranking model whose weights training begins with: warm start.",
)
@click.option("--mixed-precision/--full-precision", default=None, help="Compute in bfloat16.")
@click.option(
    "--strategy",
    type=click.Choice(STRATEGIES),
    help="tf.distribute strategy: one device, all local ones, or the cluster in TF_CONFIG.",
)
@click.option("--jit-compile/--no-jit-compile", default=None, help="Compile steps with XLA.")
@click.option(
    "--deterministic/--fast", default=None, help="Repeat every sum in the same order; slower."
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of everything random.")
@click.option(
    "--split",
    type=_Shares(),
    default=(0.6, 0.2, 0.2),
    help="Shares of sessions by start time.  [default: 0.6,0.2,0.2]",
)
@click.option("--gap-minutes", type=float, help="Away for longer than this: a new session.")
@click.option("--max-session-length", type=int, help="Longer sessions are split in several.")
@click.option(
    "--max-bad-rows",
    type=float,
    default=0.01,
    show_default=True,
    help="Share of a file's rows that may be quarantined before the run fails.",
)
@click.option(
    "--pattern",
    default="*",
    show_default=True,
    help="Files of the data directory to read, such as 'day-{SPAN}/*'.",
)
@click.option("--span", type=int, default=1, show_default=True, help="Number for {SPAN}.")
@click.option("--schema", "schema_file", help="A curated TFX schema in text form.")
@click.option("--min-auc", type=float, help="A model below this is not blessed.")
@click.option("--max-auc-drop", type=float, help="Allowed loss against the last blessed model.")
@click.option("--min-r-squared", type=float, help="The same for the R² of regression tasks.")
@click.option("--beam-workers", type=int, default=1, show_default=True, help="Beam's processes.")
@click.option("--beam-arg", "beam_args", multiple=True, help="Passed to Beam; may be repeated.")
@click.option("--cache/--no-cache", default=True, help="Skip stages whose inputs are unchanged.")
@debug_option
@click.pass_obj
def ranking_command(
    invocation: Invocation,
    dataset: str,
    data_dir: str,
    output_dir: str,
    tasks: tuple[str, ...],
    backbone: str,
    model_size: str,
    epochs: int | None,
    batch_size: int | None,
    learning_rate: float | None,
    patience: int | None,
    task_weights: tuple[tuple[str, float], ...],
    loss_weighting: str,
    method: str,
    settings: tuple[tuple[str, Value], ...],
    critic_path: str,
    base_model: str,
    mixed_precision: bool | None,
    strategy: str | None,
    jit_compile: bool | None,
    deterministic: bool | None,
    seed: int,
    split: tuple[float, float, float],
    gap_minutes: float | None,
    max_session_length: int | None,
    max_bad_rows: float,
    pattern: str,
    span: int,
    schema_file: str | None,
    min_auc: float | None,
    max_auc_drop: float | None,
    min_r_squared: float | None,
    beam_workers: int,
    beam_args: tuple[str, ...],
    cache: bool,
) -> None:
    """Train, evaluate and push a multi-task ranking model.

    Reads a log of impressions, cuts it into sessions, validates and transforms them, trains the
    model, evaluates it per task and slice, and pushes it if it passes. Run the same command again
    to continue where an earlier run stopped; what has not changed is not done twice.
    """
    config = RankingPipelineConfig(
        data=DataOptions(
            dataset=dataset,
            data_dir=data_dir,
            tasks=tasks,
            pattern=pattern,
            span=span,
            split_fractions=split,
            gap_minutes=gap_minutes,
            max_session_length=max_session_length,
            max_bad_rows=max_bad_rows,
            schema_file=schema_file,
        ),
        output_dir=output_dir,
        model_options=ModelOptions(
            backbone=backbone,
            size=model_size,  # type: ignore[arg-type]
            task_weights=task_weights,
            loss_weighting=loss_weighting,  # type: ignore[arg-type]
        ),
        training_options=TrainingOptions(
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=learning_rate,
            patience=patience,
            mixed_precision=mixed_precision,
            strategy=strategy,  # type: ignore[arg-type]
            jit_compile=jit_compile,
            deterministic=deterministic,
        ),
        blessing_options=BlessingOptions(min_auc, max_auc_drop, min_r_squared),
        method_options=MethodOptions(method, settings, critic_path),  # type: ignore[arg-type]
        base_model=base_model,
        seed=seed,
        beam_pipeline_args=local_beam_args(beam_workers, beam_args),
        enable_cache=cache,
    )
    config.check()
    run(config, invocation)


def run(config: RankingPipelineConfig, invocation: Invocation) -> None:
    """Runs the pipeline, its stages shown on the terminal and all other output in the log."""
    require_log(config.log_path, "--output-dir", config.output_dir)
    invocation.output_dir, invocation.log_file = Path(config.output_dir), config.log_path
    with output_to_log(config.log_path) as terminal:
        # A file or a pipe has no width of its own, and the tables need more than 80 columns.
        console = Console(file=terminal, width=None if terminal.isatty() else 120)
        with console.status("loading TensorFlow and TFX"):
            from mtfx.evaluation.reports.ranking import render_summary
            from mtfx.pipelines.ranking import run_ranking
        with stage_progress(console) as progress:
            summary = run_ranking(config, progress, shlex.join(["mtfx", *sys.argv[1:]]))
        console.print(render_summary(summary))
