"""The command line: ``mtfx``, or ``python -m mtfx.cli``."""

from __future__ import annotations

import os
import sys
import traceback
from pathlib import Path
from typing import NoReturn

import click
from rich.console import Console

import mtfx
from mtfx.cli.choices import backbones_command, datasets_command
from mtfx.cli.closed_loop import closed_loop_command
from mtfx.cli.compare import compare_command
from mtfx.cli.compile import compile_command
from mtfx.cli.cut_days import cut_days_command
from mtfx.cli.daily import daily_command
from mtfx.cli.experiment import experiment_command
from mtfx.cli.explain import explain_command
from mtfx.cli.failures import append_traceback, explain
from mtfx.cli.fusion import fusion_command
from mtfx.cli.headroom import headroom_command
from mtfx.cli.join_feedback import join_feedback_command
from mtfx.cli.logs import write_errors_to
from mtfx.cli.ranking import ranking_command
from mtfx.cli.shared_flags import Invocation, debug_option
from mtfx.cli.simulator import simulator_command
from mtfx.cli.stream import stream_command
from mtfx.cli.synthesize import synthesize_command
from mtfx.pipelines.code_version import package_version


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_version(), prog_name="mtfx")
@debug_option
def cli() -> None:
    """Multi-task ranking for recommenders: from interaction logs to a served model."""


_COMMANDS = (
    synthesize_command,
    ranking_command,
    simulator_command,
    fusion_command,
    headroom_command,
    stream_command,
    explain_command,
    join_feedback_command,
    compare_command,
    cut_days_command,
    daily_command,
    closed_loop_command,
    compile_command,
    experiment_command,
    datasets_command,
    backbones_command,
)
for _command in _COMMANDS:
    cli.add_command(_command)


def make_modules_importable() -> None:
    """Lets this process and Beam's worker processes import modules of the current directory.

    It comes last, and MTFX first, so that nobody's ``mtfx.py`` takes its place.
    """
    here = os.getcwd()
    if here not in sys.path and "" not in sys.path:
        sys.path.append(here)
    # Not resolved: in a checkout it is src/, which has links to the folders.
    ours = str(Path(mtfx.__file__).parent.parent)
    given = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    paths = dict.fromkeys(path for path in (ours, *given, here) if path)
    os.environ["PYTHONPATH"] = os.pathsep.join(paths)


def main(arguments: list[str] | None = None, invocation: Invocation | None = None) -> int:
    """Runs a command.

    Args:
      arguments: The command line without the program's name; None takes the process's.
      invocation: Filled in by the command.

    Returns:
      The exit code: 0, 1 for an error, 2 for wrong usage, 130 when interrupted.
    """
    make_modules_importable()
    invocation = Invocation() if invocation is None else invocation
    try:
        result = cli.main(args=arguments, prog_name="mtfx", standalone_mode=False, obj=invocation)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort as error:
        return _fail(error.__cause__ or KeyboardInterrupt(), invocation)
    except (Exception, KeyboardInterrupt) as error:
        return _fail(error, invocation)
    return result if isinstance(result, int) else 0


def program() -> NoReturn:
    """The program ``mtfx``: runs the process's command line and ends the process."""
    invocation = Invocation()
    exit_code = main(invocation=invocation)
    if invocation.log_file is not None:
        # TensorFlow complains while Python shuts down, when its modules are half gone.
        write_errors_to(invocation.log_file)
    sys.exit(exit_code)


def _fail(error: BaseException, invocation: Invocation) -> int:
    if isinstance(error, EOFError):
        error = KeyboardInterrupt()
    failure = explain(error, invocation.output_dir, invocation.log_file)
    if invocation.log_file is not None:
        append_traceback(error, invocation.log_file)
    console = Console(stderr=True, highlight=False)
    if invocation.debug:
        console.print("".join(traceback.format_exception(error)), markup=False, soft_wrap=True)
    console.print("[bold red]error:[/] ", end="")
    console.print(failure.message, markup=False, soft_wrap=True)
    if failure.hint:
        console.print("[bold]hint:[/] ", end="")
        console.print(failure.hint, markup=False, soft_wrap=True)
    return failure.exit_code


if __name__ == "__main__":
    program()
