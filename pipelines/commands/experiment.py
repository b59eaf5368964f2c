"""``mtfx experiment``: one command per table or figure of the papers."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console

from datasets.registry import DATASETS
from experiments.design import Design, ExperimentOptions
from experiments.registry import EXPERIMENTS
from experiments.settings import SETTINGS, Value, parse_setting
from models.sizes import BACKBONE_NAMES, MODEL_SIZES
from pipelines.beam_args import local_beam_args
from pipelines.code_version import PACKAGES, code_version
from pipelines.commands.invocation import Invocation, debug_option
from pipelines.commands.parameters import Names, Setting, describe_settings
from pipelines.errors import UserError, require
from pipelines.logs import output_to_log
from pipelines.options import DataOptions
from pipelines.progress import stage_progress

if TYPE_CHECKING:
    from experiments.report import ExperimentReport

#: Code that decides what a trial results in.
_PACKAGES = tuple(package for package in PACKAGES if package != "pipelines")
#: Settings that have flags of their own.
_FLAGS = {"scale": "--scale", "epochs": "--epochs", "batch_size": "--batch-size"}


def _default(name: str, text: str) -> str:
    return f"{text}  [default: {SETTINGS[name].default}]"


def _experiments() -> str:
    """The list of experiments and settings below the help text."""
    width = max(map(len, [*EXPERIMENTS, *SETTINGS]))
    lines = ["\b", "Experiments:"]
    lines += [f"  {name.ljust(width)}  {entry.description}" for name, entry in EXPERIMENTS.items()]
    lines += ["", "\b", "Settings for --set, with their defaults:"]
    lines += describe_settings([name for name in SETTINGS if name not in _FLAGS], width)
    return "\n".join(lines)


@click.command("experiment", epilog=_experiments())
@click.argument("name", type=click.Choice(tuple(EXPERIMENTS)), metavar="NAME")
@click.option(
    "--dataset",
    required=True,
    help=f"{', '.join(DATASETS)}, or your own as module:ATTRIBUTE.",
)
@click.option("--data-dir", required=True, help="Directory of the log's files.")
@click.option(
    "--output-dir",
    required=True,
    help="For data, trials and the report. Experiments that share it share their trials.",
)
@click.option("--tasks", type=Names(), default=(), help="Binary feedback to predict, by name.")
@click.option(
    "--seeds",
    type=click.IntRange(1, 1000),
    default=5,
    show_default=True,
    help="Trainings of each method, with seeds 0, 1, 2, ...; fewer than 3 prove little.",
)
@click.option(
    "--scale",
    type=click.Choice(MODEL_SIZES),
    default="paper",
    show_default=True,
    help="RMTL's layer sizes, or small ones for some 100,000 impressions.",
)
@click.option(
    "--backbones",
    type=Names(),
    default=(),
    help=f"Of {', '.join(BACKBONE_NAMES)}; the experiment's own if not given.",
)
@click.option(
    "--epochs", type=int, help=_default("epochs", "Passes over the training sessions, at most.")
)
@click.option(
    "--batch-size", type=int, help=_default("batch_size", "Impressions per training step.")
)
@click.option(
    "--set",
    "settings",
    type=Setting(_FLAGS),
    multiple=True,
    help="Another setting of the trials, listed below; may be repeated.",
)
@click.option(
    "--workers",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Trials run side by side, each in a process that holds the data in memory.",
)
@click.option(
    "--threads",
    type=click.IntRange(1),
    help="TensorFlow's threads of each.  [default: the machine's cores over --workers]",
)
@click.option(
    "--max-bad-rows",
    type=float,
    default=0.01,
    show_default=True,
    help="Share of a file's rows that may be quarantined before the run fails.",
)
@click.option("--beam-workers", type=int, default=1, show_default=True, help="Beam's processes.")
@debug_option
@click.pass_obj
def experiment_command(
    invocation: Invocation,
    name: str,
    dataset: str,
    data_dir: str,
    output_dir: str,
    tasks: tuple[str, ...],
    seeds: int,
    scale: str,
    backbones: tuple[str, ...],
    epochs: int | None,
    batch_size: int | None,
    settings: tuple[tuple[str, Value], ...],
    workers: int,
    threads: int | None,
    max_bad_rows: float,
    beam_workers: int,
) -> int:
    """Repeat a table or figure of a paper on your data.

    Prepares the data as `mtfx ranking` does, trains every method of the experiment once per seed,
    and writes OUTPUT/NAME/report.md and report.json: means with 95% confidence intervals, paired
    differences between methods with the p of a t-test, and the paper's figures beside them.

    A finished training is never repeated: run the same command again after an interruption, with
    more seeds, or another experiment in the same output directory. One that fails is reported at
    the end, with its log; the others go on.
    """
    data = DataOptions(dataset, data_dir, tasks, max_bad_rows=max_bad_rows)
    options = ExperimentOptions(
        dataset=data.dataset,
        tasks=_binary_tasks(data),
        seeds=tuple(range(seeds)),
        backbones=backbones,
        settings=_merged(settings, {"epochs": epochs, "batch_size": batch_size, "scale": scale}),
    )
    _check(name, options, data, output_dir)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    threads = threads or max((cores or 1) // workers, 1)
    report = _run(name, options, data, output_dir, workers, threads, beam_workers, invocation)
    return 1 if report.outcomes.failures else 0


def _binary_tasks(data: DataOptions) -> tuple[str, ...]:
    tasks = data.selected_tasks()
    for task in tasks:
        require(
            task.kind == "binary",
            f"--tasks: {task.name} is a {task.kind} task, and the figures are of binary ones",
            "name binary tasks only; `mtfx datasets` lists them",
        )
    return tuple(task.name for task in tasks)


def _merged(
    settings: tuple[tuple[str, Value], ...], flags: dict[str, Value | None]
) -> tuple[tuple[str, Value], ...]:
    """The settings of ``--set`` and of the flags that were given."""
    merged = dict(settings)
    require(len(merged) == len(settings), "--set gives a setting twice", "give each once")
    for name, value in flags.items():
        if value is not None:
            try:
                merged[name] = parse_setting(name, value)
            except ValueError as error:
                raise UserError(f"{_FLAGS[name]}: {error}") from error
    return tuple(sorted(merged.items()))


def _check(name: str, options: ExperimentOptions, data: DataOptions, output_dir: str) -> None:
    """Checks flags and files before anything slow starts."""
    unknown = set(options.backbones) - set(BACKBONE_NAMES)
    require(
        not unknown,
        f"--backbones: no {', '.join(sorted(unknown))}; there are: {', '.join(BACKBONE_NAMES)}",
        "`mtfx backbones` describes them",
    )
    require(
        len(set(options.backbones)) == len(options.backbones),
        f"--backbones names one twice: {', '.join(options.backbones)}",
    )
    require(
        os.path.abspath(output_dir) != os.path.abspath(data.data_dir),
        f"--output-dir and --data-dir are the same directory: {output_dir}",
        "outputs must not mix with the input files",
    )
    design: Design = EXPERIMENTS[name].design(options)
    if any(getattr(trial, "backbone", "") == "esmm" for trial in design.trials):
        for task in data.selected_tasks():
            require(
                task.parent is None or task.parent in options.tasks,
                f"backbone esmm needs task {task.parent!r}, because {task.name!r} can only "
                "follow it",
                f"add {task.parent} to --tasks, or leave esmm out with --backbones",
            )
    data.check_files()


def _run(
    name: str,
    options: ExperimentOptions,
    data: DataOptions,
    output_dir: str,
    workers: int,
    threads: int,
    beam_workers: int,
    invocation: Invocation,
) -> ExperimentReport:
    """Runs the experiment, shown on the terminal, with all other output in the log."""
    log_path = Path(output_dir, "logs", "mtfx.log")
    try:
        log_path.parent.mkdir(parents=True, exist_ok=True)
        log_path.touch()
    except OSError as error:
        raise UserError(
            f"--output-dir {output_dir} cannot be written: {error.strerror}",
            "choose a directory of your own, on a disk with space",
        ) from error
    invocation.output_dir, invocation.log_file = Path(output_dir), log_path
    with output_to_log(log_path) as terminal:
        # A file or a pipe has no width of its own, and the tables need more than 80 columns.
        console = Console(file=terminal, width=None if terminal.isatty() else 120)
        with console.status("loading TensorFlow and TFX"):
            from pipelines.prepared_data import prepare_data
        with stage_progress(console) as stages:
            prepared = prepare_data(data, output_dir, stages, local_beam_args(beam_workers, ()))
        from experiments.console import print_report
        from experiments.progress import trial_progress
        from experiments.run import run_experiment

        report = run_experiment(
            name,
            EXPERIMENTS[name],
            options,
            prepared,
            output_dir,
            workers,
            threads,
            trial_progress(console),
            shlex.join(["mtfx", *sys.argv[1:]]),
            code_version(_PACKAGES),
        )
        print_report(console, report, Path(output_dir, name))
    return report
