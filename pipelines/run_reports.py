"""The reports that later commands read of a run: what is said where one cannot be read."""

from __future__ import annotations

from pathlib import Path

from mtfx.errors import UserError, why_unreadable


def report_error(
    run_dir: str, path: Path, command: str, error: Exception, otherwise: str
) -> UserError:
    """The error about a run's report, after a look at why it could not be read.

    Args:
      run_dir: The run's folder.
      path: The report.
      command: That writes it, such as ``mtfx fusion``.
      error: What reading it raised.
      otherwise: What helps where the command is not to be run (again).
    """
    if isinstance(error, FileNotFoundError):
        return UserError(
            f"--run-dir {run_dir} holds no run of `{command}`: {path} is not there",
            f"run `{command}` first, or {otherwise}",
        )
    return UserError(
        f"{path}, the report of `{command}`, {why_unreadable(error)}",
        f"restore it from a copy, run `{command}` again, or {otherwise}",
    )
