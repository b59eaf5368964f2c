"""``mtfx synthesize``: a data set of any size, with a known ground truth."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from mtfx.cli.progress import RowProgress
from mtfx.cli.shared_flags import debug_option
from mtfx.datasets.registry import load_dataset
from mtfx.datasets.synthetic.config import FORMATS, PROFILES, SyntheticConfig
from mtfx.errors import require

if TYPE_CHECKING:
    from mtfx.datasets.synthetic import SynthesisSummary


class _Count(click.ParamType):
    """A positive number that may be written with separators: ``1,000,000`` or ``1_000_000``."""

    name = "N"

    def convert(
        self, value: int | str, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        plain = str(value).replace(",", "").replace("_", "")
        if not plain.isdecimal() or int(plain) == 0:
            self.fail(f"{value!r} is not a positive whole number", param, ctx)
        return int(plain)


@click.command("synthesize")
@click.option(
    "--profile",
    type=click.Choice(PROFILES),
    default="video",
    show_default=True,
    help="video has KuaiRand's files and label rates, shop RetailRocket's.",
)
@click.option(
    "--impressions",
    type=_Count(),
    default=100_000,
    show_default=True,
    help="Rows of the log.",
)
@click.option(
    "--output-dir",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    help="Directory of the files.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Same seed, same files.")
@click.option("--users", type=_Count(), help="Users; by default in proportion to the rows.")
@click.option("--items", type=_Count(), help="Items; by default they grow with the rows.")
@click.option(
    "--format",
    "file_format",
    type=click.Choice(FORMATS),
    default="csv",
    show_default=True,
    help="Of every file.",
)
@click.option(
    "--with-truth", is_flag=True, help="Also write the true probability of each feedback."
)
@click.option("--workers", type=_Count(), default=1, show_default=True, help="Threads.")
@click.option(
    "--days-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Also cut the log into a folder for each day, day-1, day-2, ..., for `mtfx daily`.",
)
@debug_option
def synthesize_command(
    profile: str,
    impressions: int,
    output_dir: Path,
    seed: int,
    users: int | None,
    items: int | None,
    file_format: str,
    with_truth: bool,
    workers: int,
    days_dir: Path | None,
) -> None:
    """Make a data set: files like the published ones, from a known user model."""
    config = SyntheticConfig(
        profile=profile,  # type: ignore[arg-type]
        impressions=impressions,
        seed=seed,
        users=users,
        items=items,
        format=file_format,  # type: ignore[arg-type]
        with_truth=with_truth,
    )
    require(
        days_dir is None or not days_dir.exists() or not any(days_dir.iterdir()),
        f"--days-dir {days_dir} is not empty",
        "name another directory for the days",
    )
    from mtfx.datasets.synthetic import synthesize

    console = Console(highlight=False)
    with RowProgress(console, f"{profile} log", impressions) as progress:
        summary = synthesize(config, output_dir, progress.advance, workers)
    if not progress.rows:
        console.print(f"{output_dir} already holds this data set", soft_wrap=True)
    console.print(_describe(summary))
    if days_dir is not None:
        from mtfx.datasets.logs.deliveries import deliver_by_day

        with console.status("cutting the log into days"):
            days = deliver_by_day(load_dataset(f"synthetic-{profile}"), output_dir, days_dir)
        console.print(f"{len(days)} days in {days_dir}", soft_wrap=True)
    console.print(
        f"next: mtfx ranking --dataset synthetic-{profile} --data-dir {output_dir} "
        "--output-dir run --model-size small",
        soft_wrap=True,
    )


def _describe(summary: SynthesisSummary) -> Group:
    table = Table(box=None, pad_edge=False)
    for heading in ("file", "rows", "MB"):
        table.add_column(heading, justify="left" if heading == "file" else "right")
    for path in summary.files:
        size = path.stat().st_size / 1e6
        table.add_row(str(path), f"{summary.rows[path.name]:,}", f"{size:,.1f}")
    rates = ", ".join(f"{name} {rate:.2%}" for name, rate in summary.rates.items())
    counts = f"{summary.users:,} users, {summary.items:,} items; {rates}"
    return Group(table, Text(counts))
