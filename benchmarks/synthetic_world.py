"""The synthetic video log beside the real one: ``python -m benchmarks.synthetic_world``.

Makes a log for each seed and compares it with the figures of KuaiRand-Pure's real log
(``datasets/synthetic/real_figures.py``): rates, quantiles, what the duration does, and how far
feedbacks agree about items and about users. ``--output-dir`` also keeps the table of
docs/synthetic-data.md and its two pictures. The exit status is 1 if a figure is out of tolerance.

The seeds by default are those on which the profile was judged after it had been calibrated on
others. A log of a million impressions takes five seconds.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import click
import numpy as np
import polars as pl

from mtfx.cli.parameters import Numbers
from mtfx.datasets.logs.in_memory import read_impressions
from mtfx.datasets.registry import load_dataset
from mtfx.datasets.synthetic import SyntheticConfig, real_figures, synthesize
from mtfx.datasets.synthetic.comparison import ComparedFigure, compare
from mtfx.evaluation.reports.kit.figures import COLOURS, GREY, new_panels, save_png

_IMPRESSIONS, _SMALL = 1_000_000, 100_000
_SEEDS = tuple(range(51, 61))
#: Groups that are drawn: of correlations, and of what the duration does.
_CORRELATIONS = ("items, correlation", "users, correlation", "videos, rank correlation")
_BY_DURATION = {
    "click by sixth": "click rate, over the log's own",
    "like by sixth": "like rate, over the log's own",
    "watch_time_ms by sixth": "mean watch time (ms)",
}


@click.command(context_settings={"show_default": True}, help=__doc__)
@click.option("--seeds", type=Numbers(), default=_SEEDS)
@click.option("--impressions", type=click.IntRange(min=1_000), default=_IMPRESSIONS)
@click.option("--output-dir", type=click.Path(path_type=Path), help="Of the table and pictures.")
@click.option("--small", is_flag=True, help=f"{_SMALL:,} impressions, for a quick look.")
def main(seeds: tuple[int, ...], impressions: int, output_dir: Path | None, small: bool) -> None:
    """Prints the table."""
    found = [figures_of(seed, _SMALL if small else impressions) for seed in seeds]
    table = table_of(found)
    click.echo(table)
    if output_dir is not None:
        output_dir.mkdir(parents=True, exist_ok=True)
        (output_dir / "synthetic-figures.md").write_text(table + "\n", encoding="utf-8")
        draw_correlations(found, output_dir / "synthetic-correlations.png")
        draw_by_duration(found, output_dir / "synthetic-by-duration.png")
    out = sum(figure.excess > 1 for figures in found for figure in figures)
    click.echo(f"{out} of {sum(map(len, found))} figures are out of tolerance")
    sys.exit(bool(out))


def figures_of(seed: int, impressions: int) -> list[ComparedFigure]:
    """The figures of one seed's log, which is made in a temporary directory."""
    config = SyntheticConfig(impressions=impressions, seed=seed, format="parquet", with_truth=True)
    with tempfile.TemporaryDirectory() as directory:
        data = Path(directory, "data")
        synthesize(config, data)
        log = read_impressions(load_dataset("synthetic-video"), str(data))
        truth = pl.concat(pl.read_parquet(path) for path in sorted(data.glob("truth_standard_*")))
    return compare(log, truth)


def table_of(found: Sequence[Sequence[ComparedFigure]]) -> str:
    """A Markdown table: the real figure, the mean of the synthetic ones, the farthest of them."""
    lines = [
        "| | real | synthetic, mean | farthest | tolerance |",
        "|---|---|---|---|---|",
    ]
    for same in zip(*found, strict=True):
        first = same[0]
        farthest = max(same, key=lambda figure: figure.excess)
        tolerance = f"{first.tolerance:.0%}" if first.relative else _number(first.tolerance)
        mean = float(np.mean([figure.found for figure in same]))
        cells = " | ".join(map(_number, (first.real, mean, farthest.found)))
        lines.append(f"| {first.group}: {first.name} | {cells} | {tolerance} |")
    return "\n".join(lines)


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:.3g}"


def draw_correlations(found: Sequence[Sequence[ComparedFigure]], path: Path) -> None:
    """Correlations of the real log beside those of all synthetic ones, as a PNG file."""
    figure, panels = new_panels(len(_CORRELATIONS), width=4.4, height=4.6)
    for panel, group in zip(panels, _CORRELATIONS, strict=True):
        pairs = [same for same in zip(*found, strict=True) if same[0].group == group]
        for row, same in enumerate(pairs):
            panel.plot(same[0].real, row, "D", color=GREY, label="" if row else "real log")
            values = [figure.found for figure in same]
            label = "" if row else "synthetic, a seed each"
            panel.plot(values, [row] * len(values), "|", color=COLOURS[0], label=label)
        panel.set_yticks(range(len(pairs)), [same[0].name.replace("_ms", "") for same in pairs])
        panel.invert_yaxis()
        panel.set_title(group)
    panels[0].legend(loc="lower center", bbox_to_anchor=(0.5, -0.22), ncols=2)
    save_png(figure, path)


def draw_by_duration(found: Sequence[Sequence[ComparedFigure]], path: Path) -> None:
    """What the duration does to click, like and watch time, as a PNG file."""
    figure, panels = new_panels(len(_BY_DURATION), width=3.8, height=3.2)
    for panel, (group, title) in zip(panels, _BY_DURATION.items(), strict=True):
        parts = range(1, real_figures.DURATION_PARTS + 1)
        mine = [[f.found for f in figures if f.group == group] for figures in found]
        wanted = [f.real for f in found[0] if f.group == group]
        panel.plot(parts, np.transpose(mine), color=COLOURS[0], linewidth=0.7)
        panel.plot(parts, wanted, "D--", color=GREY, label="real log")
        panel.plot([], [], color=COLOURS[0], label="synthetic, a seed each")
        panel.set_xlabel("sixth of the impressions, by duration")
        panel.set_ylim(bottom=0)
        panel.set_title(title)
    panels[0].legend(loc="lower left")
    save_png(figure, path)


if __name__ == "__main__":
    main()
