"""``mtfx experiment``: one command per table or figure of the papers."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource
from rich.console import Console

from mtfx.cli.experiment_kinds import (
    KINDS,
    GivenFlags,
    Input,
    kind_of,
    scale_help,
)
from mtfx.cli.logs import output_to_log, require_log
from mtfx.cli.parameters import Names, TrialSetting, describe_settings
from mtfx.cli.shared_flags import Invocation, debug_option
from mtfx.config import settings_of
from mtfx.datasets.registry import DATASETS
from mtfx.experiments.engine.design import Experiment
from mtfx.experiments.registry import EXPERIMENTS
from mtfx.models.config import MODEL_SIZES
from mtfx.models.mtl.registry import BACKBONES
from mtfx.pipelines.code_version import PACKAGES, code_version
from mtfx.trainers.ranking.config import TrainingConfig

if TYPE_CHECKING:
    from mtfx.experiments.engine.report import ExperimentReport

#: Code that decides what a trial results in.
_PACKAGES = tuple(package for package in PACKAGES if package != "pipelines")
#: Of one experiment.
_MOST_SEEDS = 1000


def _epilog() -> str:
    """The list of experiments and settings below the help text, by kind."""
    lines = []
    for key, kind in KINDS.items():
        entries = {name: entry for name, entry in EXPERIMENTS.items() if entry.kind == key}
        settings = settings_of(kind.settings)
        own = [setting for name, setting in settings.items() if name not in kind.setting_flags]
        width = max(map(len, [*entries, *settings]))
        needs = ", ".join("--" + flag.replace("_", "-") for flag in kind.needs)
        lines += ["\b", f"Experiments on {kind.input} ({needs}):"]
        lines += [f"  {name.ljust(width)}  {entry.description}" for name, entry in entries.items()]
        lines += ["", "\b", "Their settings for --set, with the defaults:"]
        lines += [*describe_settings(own, width), ""]
    return "\n".join(lines)


def _default_seeds() -> str:
    """Such as ``5; xmtf-table3 20``."""
    usual = Experiment.seeds
    others = [f"{name} {e.seeds}" for name, e in EXPERIMENTS.items() if e.seeds != usual]
    return "; ".join([str(usual), ", ".join(others)])


@click.command("experiment", epilog=_epilog())
@click.argument("name", type=click.Choice(tuple(EXPERIMENTS)), metavar="NAME")
@click.option("--dataset", help=f"{', '.join(DATASETS)}, or your own as module:ATTRIBUTE.")
@click.option("--data-dir", help="Directory of the log's files.")
@click.option("--world", help="Directory of a world that `mtfx simulator` made.")
@click.option(
    "--output-dir",
    required=True,
    help="For data, trials and the report. Experiments that share it share their trials.",
)
@click.option("--tasks", type=Names(), default=(), help="Binary feedback to predict, by name.")
@click.option(
    "--seeds",
    type=click.IntRange(1, _MOST_SEEDS),
    help="Trainings of each method, each with a seed of its own; fewer than 3 prove little.  "
    f"[default: {_default_seeds()}]",
)
@click.option(
    "--first-seed",
    # TensorFlow's seeds are int32, the last of the experiment's too.
    type=click.IntRange(0, 2**31 - _MOST_SEEDS),
    default=0,
    show_default=True,
    help="Seeds are this and the next ones: choose settings on some, report others.",
)
@click.option(
    "--scale",
    type=click.Choice(MODEL_SIZES),
    default="paper",
    show_default=True,
    help=scale_help(),
)
@click.option(
    "--backbones",
    type=Names(),
    default=(),
    help=f"Of {', '.join(BACKBONES)}; the experiment's own if not given.",
)
@click.option(
    "--epochs",
    type=int,
    help=f"Passes over the training sessions, at most.  [default: {TrainingConfig.epochs}]",
)
@click.option(
    "--batch-size",
    type=int,
    help="Per training step: impressions of a log, or transitions of a world.  [default: "
    + " or ".join(str(settings_of(kind.settings)["batch_size"].default) for kind in KINDS.values())
    + "]",
)
@click.option(
    "--set",
    "settings",
    type=TrialSetting(),
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
@click.option("--gap-minutes", type=float, help="Away for longer than this: a new session.")
@click.option(
    "--max-bad-rows",
    type=float,
    default=0.01,
    show_default=True,
    help="Share of a file's rows that may be quarantined before the run fails.",
)
@click.option("--beam-workers", type=int, default=1, show_default=True, help="Beam's processes.")
@debug_option
@click.pass_context
def experiment_command(context: click.Context, /, **values: Any) -> int:
    """Repeat a table or figure of a paper, on your data or in your simulated world.

    A ranking experiment prepares a log as `mtfx ranking` does, a fusion experiment takes a world
    that `mtfx simulator` made, and learns from logs of it or online. Then it trains every method
    once per seed, and writes OUTPUT/NAME/report.md and report.json: means with 95% confidence
    intervals, paired differences between methods with the p of a t-test, and the paper's figures
    beside them.

    A finished trial is never repeated: run the same command again after an interruption, with more
    seeds, or another experiment in the same output directory. One that fails is reported at the
    end, with its log; the others go on.
    """
    given = frozenset(
        name
        for name in values
        if context.get_parameter_source(name) not in (ParameterSource.DEFAULT, None)
    )
    name, flags = values["name"], GivenFlags(values, given)
    chosen = kind_of(name, flags).read(EXPERIMENTS[name], flags)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    threads = values["threads"] or max((cores or 1) // values["workers"], 1)
    invocation = context.ensure_object(Invocation)
    report = _run(name, chosen, values["output_dir"], values["workers"], threads, invocation)
    return 1 if report.outcomes.failures else 0


def _run(
    name: str,
    chosen: Input,
    output_dir: str,
    workers: int,
    threads: int,
    invocation: Invocation,
) -> ExperimentReport:
    """Runs the experiment, shown on the terminal, with all other output in the log."""
    log_path = Path(output_dir, "logs", "mtfx.log")
    require_log(log_path, "--output-dir", output_dir)
    invocation.output_dir, invocation.log_file = Path(output_dir), log_path
    with output_to_log(log_path) as terminal:
        # A file or a pipe has no width of its own, and the tables need more than 80 columns.
        console = Console(file=terminal, width=None if terminal.isatty() else 120)
        data = chosen.prepare(output_dir, console)
        from mtfx.experiments.engine.progress import trial_progress
        from mtfx.experiments.engine.report import print_report
        from mtfx.experiments.engine.run import run_experiment

        report = run_experiment(
            name,
            EXPERIMENTS[name],
            chosen.options,
            data,
            output_dir,
            workers,
            threads,
            trial_progress(console),
            shlex.join(["mtfx", *sys.argv[1:]]),
            code_version(_PACKAGES),
        )
        print_report(console, report, Path(output_dir, name))
    return report
