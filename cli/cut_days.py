"""``mtfx cut-days``: a log of many days becomes a folder a day, as ``mtfx daily`` takes it."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console

from mtfx.cli.shared_flags import debug_option
from mtfx.datasets.registry import DATASETS
from mtfx.errors import require
from mtfx.pipelines.options import DataOptions


@click.command("cut-days")
@click.option(
    "--dataset",
    required=True,
    help=f"{', '.join(DATASETS)}, or your own as module:ATTRIBUTE.",
)
@click.option("--data-dir", required=True, help="Directory of the log.")
@click.option(
    "--output-dir",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    help="For the folders day-20220425, day-20220426, ...; must be new or empty.",
)
@click.option(
    "--day-column",
    default="",
    help="Column of the log that holds a row's date, as 20220425 or 2022-04-25.  [default: the "
    "row's time, in the data set's time zone]",
)
@debug_option
def cut_days_command(dataset: str, data_dir: str, output_dir: Path, day_column: str) -> None:
    """Cut a log into a folder for each day, for `mtfx daily`.

    Each folder has the day's rows of every log, and every other file of the directory.
    """
    data = DataOptions(dataset, data_dir)
    data.check_files()
    require("://" not in data_dir, f"--data-dir {data_dir} is not a directory on this machine")
    require(
        not output_dir.exists() or not any(output_dir.iterdir()),
        f"--output-dir {output_dir} is not empty",
        "name another directory for the days",
    )
    from mtfx.datasets.logs.deliveries import deliver_by_day

    console = Console(highlight=False)
    with console.status("cutting the log into days"):
        days = deliver_by_day(data.spec(), data_dir, output_dir, dates=True, day_column=day_column)
    console.print(f"{len(days)} days in {output_dir}, {days[0]} to {days[-1]}", soft_wrap=True)
    console.print(
        f"next: mtfx daily --dataset {dataset} --data-dir {output_dir} --output-dir run "
        f"--from {days[0]} --span {days[-1]}",
        soft_wrap=True,
    )
