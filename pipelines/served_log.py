"""A log of served requests that policies learn from, in place of the simulator's sessions."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from mtfx.config import Config
from mtfx.errors import require
from mtfx.files import UNREADABLE, read_json
from mtfx.pipelines.run_folder import in_run, report_error
from mtfx.pipelines.spans import check_spans


@dataclasses.dataclass(frozen=True)
class ServedLog(Config):
    """A log of served requests with their feedback, as ``mtfx join-feedback`` writes it.

    Attributes:
      data_dir: Directory of served requests that `mtfx join-feedback` wrote: learn from those, not
        from the simulator. The run has to have served them.
      pattern: Files of it to read; {SPAN} in a folder's name stands for the number of a delivery,
        such as 'day-{SPAN}/*.parquet'.
      span: Number for {SPAN}.
      earlier_spans: Deliveries that are read together with it, in order: a rolling window.
    """

    data_dir: str
    pattern: str = "*.parquet"
    span: int = 1
    earlier_spans: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        check_spans(self.pattern, self.span, self.earlier_spans, "day-{SPAN}/*.parquet")


def check_served(served: ServedLog, run_dir: str, simulator: str) -> None:
    """Checks a served log on this machine, before anything slow starts.

    Args:
      served: The log.
      run_dir: The run that is to have served it.
      simulator: Of that run's last fusion, from :func:`last_simulator`.

    Raises:
      UserError: naming the flag and what to do first.
    """
    require(
        "://" in served.data_dir or Path(served.data_dir).is_dir(),
        f"--served-log {served.data_dir} is not a directory",
        "`mtfx join-feedback` makes it of a service's two logs",
    )
    require(
        bool(simulator),
        f"--served-log needs a ranker that served it, and {run_dir} has exported none",
        "run `mtfx fusion` without --served-log first, and serve what it pushes",
    )


def last_simulator(run_dir: str, report_dir: Path) -> str:
    """Simulator of a run's last fusion, which says what served states hold.

    Args:
      run_dir: The run.
      report_dir: Where its fusion reported.

    Returns:
      The artifact's directory; empty if the run has no report of a fusion.

    Raises:
      UserError: if there is a report that does not tell.
    """
    path = report_dir / "summary.json"
    if not path.is_file():
        return ""
    try:
        return in_run(run_dir, str(read_json(path)["simulator"]))
    except UNREADABLE as error:
        otherwise = "leave --served-log out"
        raise report_error(run_dir, path, "mtfx fusion", error, otherwise) from error
