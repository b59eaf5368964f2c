"""``mtfx synthesize``: a data set of any size, with a known ground truth."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console

from datasets.synthetic.config import FORMATS, PROFILES, SyntheticConfig
from pipelines.commands.invocation import Invocation, debug_option
from pipelines.progress import RowProgress


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
@debug_option
@click.pass_obj
def synthesize_command(
    invocation: Invocation,
    profile: str,
    impressions: int,
    output_dir: Path,
    seed: int,
    users: int | None,
    items: int | None,
    file_format: str,
    with_truth: bool,
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
    from datasets.synthetic import synthesize

    console = Console()
    with RowProgress(console, f"{profile} log", impressions) as progress:
        synthesize(config, str(output_dir), progress.advance)
    for path in sorted(output_dir.iterdir()):
        if path.is_file():
            console.print(f"  {path}  {path.stat().st_size / 1e6:,.1f} MB", highlight=False)
    console.print(
        f"next: mtfx ranking --dataset synthetic-{profile} --data-dir {output_dir} "
        "--output-dir run --model-size small",
        highlight=False,
        soft_wrap=True,
    )
