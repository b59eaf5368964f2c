"""Flags, the record of an invocation and the start of a run, which commands share."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from mtfx.cli.logs import output_to_log, require_log
from mtfx.datasets.registry import DATASETS
from mtfx.models.config import MODEL_SIZES
from mtfx.pipelines.beam_args import local_beam_args
from mtfx.pipelines.fusion_config import FusionPipelineConfig

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


@dataclasses.dataclass
class Invocation:
    """Filled in while a command runs, to explain a failure with.

    Attributes:
      debug: Whether to show tracebacks.
      output_dir: Directory whose finished stages a re-run would take up.
      log_file: Where the full output goes.
    """

    debug: bool = False
    output_dir: Path | None = None
    log_file: Path | None = None


#: The help of ``--dataset``, which names what there is.
DATASET_HELP = {"dataset": f"{', '.join(DATASETS)}, or your own as module:ATTRIBUTE."}

model_size_option: Decorator = click.option(
    "--model-size",
    type=click.Choice(MODEL_SIZES),
    default="small",
    show_default=True,
    help="Layer sizes: small ones, which logs of some 100,000 impressions ask for, or RMTL's.",
)
seed_option: Decorator = click.option(
    "--seed", type=int, default=0, show_default=True, help="Of everything random."
)
cache_option: Decorator = click.option(
    "--cache/--no-cache", default=True, help="Skip stages whose inputs are unchanged."
)


def _set_debug(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    if value:
        context.ensure_object(Invocation).debug = True


def debug_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds ``--debug`` to a command; it may stand before or after the command's name."""
    return click.option(
        "--debug",
        is_flag=True,
        expose_value=False,
        callback=_set_debug,
        help="Show the full traceback of an error.",
    )(command)


def beam_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds ``--beam-workers`` and ``--beam-arg``, whose values :func:`beam_args` takes."""
    command = click.option(
        "--beam-arg", "beam_args", multiple=True, help="Passed to Beam; may be repeated."
    )(command)
    return click.option(
        "--beam-workers", type=int, default=1, show_default=True, help="Beam's processes."
    )(command)


def beam_args(values: dict[str, Any]) -> tuple[str, ...]:
    """Beam's arguments by the values of :func:`beam_options`."""
    return local_beam_args(values["beam_workers"], values["beam_args"])


@contextlib.contextmanager
def console_and_log(
    invocation: Invocation, log: Path, output_dir: str | Path, flag: str = "--output-dir"
) -> Iterator[Console]:
    """Sends all output to a log while the context lasts.

    Args:
      invocation: Receives the log's path.
      log: Its file.
      output_dir: Directory of the outputs.
      flag: By which that was given.

    Yields:
      A console for what the user shall see.

    Raises:
      UserError: if the directory cannot be written.
    """
    require_log(log, flag, output_dir)
    invocation.log_file = log
    with output_to_log(log) as terminal:
        # A file or a pipe has no width of its own, and the tables need more than 80 columns.
        yield Console(file=terminal, width=None if terminal.isatty() else 120)


@contextlib.contextmanager
def started(invocation: Invocation, config: FusionPipelineConfig) -> Iterator[Console]:
    """Checks the ranking run and sends all output to its log while the context lasts.

    Args:
      invocation: Receives the log's path.
      config: What is going to run.

    Yields:
      A console for what the user shall see.

    Raises:
      UserError: if there is no ranking run, or its directory cannot be written.
    """
    config.check()
    invocation.output_dir = Path(config.run_dir)
    with console_and_log(invocation, config.log_path, config.run_dir, "--run-dir") as console:
        yield console
