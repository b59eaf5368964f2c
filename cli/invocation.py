"""The current invocation, as the commands and the entry point know it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click


@dataclasses.dataclass
class Invocation:
    """Filled in while a command runs, for whoever has to explain a failure.

    Attributes:
      debug: Whether to show tracebacks.
      output_dir: Directory whose finished stages a re-run would take up.
      log_file: Where the full output goes.
    """

    debug: bool = False
    output_dir: Path | None = None
    log_file: Path | None = None


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
