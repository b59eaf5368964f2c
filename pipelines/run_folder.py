"""A finished run's folder: paths of its outputs, and errors about its reports and models.

ML Metadata and reports keep whole paths, but a run's folder may be renamed, restored from a backup,
mounted elsewhere or copied. What a run made lies below its folder, wherever that is now, so the
paths follow the folder: those of reports here, those of ML Metadata in
``mtfx.pipelines.moved_run``.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from mtfx.errors import UserError, require, why_unreadable

#: What a run's paths have below its folder, the artifacts of its fusion first.
_PARTS = (
    re.compile(r".*/(fusion/pipeline/[^/]+/[^/]+/\d+(?:/.*)?)\Z", re.DOTALL),
    re.compile(r".*/(pipeline/[^/]+/[^/]+/\d+(?:/.*)?)\Z", re.DOTALL),
    re.compile(r".*/(serving/[^/]+/\d+)\Z", re.DOTALL),
)


def in_run(run_dir: str | os.PathLike[str], path: str) -> str:
    """Where an output of a run lies now.

    Args:
      run_dir: The run's folder.
      path: As the run recorded it, below the folder's name of that time.

    Returns:
      ``path`` itself if it is below ``run_dir``, or none of a run's outputs.
    """
    root = os.path.abspath(run_dir)
    if not path or "://" in path or path.startswith(root + os.sep):
        return path
    found = [os.path.join(root, m.group(1)) for part in _PARTS if (m := part.match(path))]
    return next((place for place in found if os.path.exists(place)), (found or [path])[0])


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


def require_model(flag: str, uri: str, hint: str) -> None:
    """Refuses a flag that names no exported model, where that can be seen from this machine.

    Args:
      flag: Such as ``--base-model``.
      uri: A Trainer's artifact; empty for none.
      hint: Where such an artifact is.

    Raises:
      UserError: naming flag and artifact.
    """
    require(
        not uri or "://" in uri or Path(uri, "Format-Serving", "saved_model.pb").is_file(),
        f"{flag} {uri} holds no Format-Serving/saved_model.pb",
        hint,
    )
