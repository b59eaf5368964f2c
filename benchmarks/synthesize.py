"""Speed of making synthetic data: ``python -m benchmarks.synthesize --profile shop``.

Prints impressions per second of wall and of processor time, writing included, and the peak memory
of the process. On a busy machine compare the processor times.
"""

from __future__ import annotations

import os
import platform
import resource
import tempfile
import time
from pathlib import Path

import click

from mtfx.datasets.synthetic import PUBLISHED, SyntheticConfig, synthesize
from mtfx.datasets.synthetic.config import FORMATS, PROFILES


@click.command(help=__doc__)
@click.option("--profile", type=click.Choice(PROFILES), default="shop", show_default=True)
@click.option("--impressions", type=int, help="Default: the published size.")
@click.option("--format", "file_format", type=click.Choice(FORMATS), default="csv")
@click.option("--workers", type=int, default=1, show_default=True)
@click.option("--with-truth", is_flag=True, help="Also write the true probabilities.")
@click.option("--small", is_flag=True, help="100,000 impressions, for a quick look.")
def main(
    profile, impressions: int | None, file_format, workers: int, with_truth: bool, small: bool
) -> None:
    """Runs the benchmark once, in a temporary directory."""
    impressions = 100_000 if small else impressions
    config = SyntheticConfig(
        profile=profile,
        impressions=impressions or PUBLISHED[profile].impressions,
        format=file_format,
        with_truth=with_truth,
    )
    with tempfile.TemporaryDirectory() as directory:
        processor = time.process_time()
        summary = synthesize(config, Path(directory) / "data", workers=workers)
        processor = time.process_time() - processor
        size = sum(path.stat().st_size for path in summary.files)
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    threads = os.environ.get("POLARS_MAX_THREADS", "all")
    click.echo(f"{platform.machine()}, {os.cpu_count()} processors, polars threads: {threads}")
    click.echo(
        f"{profile}, {file_format}: {config.impressions:,} impressions, {summary.users:,} users, "
        f"{sum(summary.rows.values()):,} rows, {size / 1e6:,.0f} MB"
    )
    click.echo(
        f"{summary.seconds:.1f} s wall, {config.impressions / summary.seconds:,.0f} impressions/s; "
        f"{processor:.1f} s of processors, {config.impressions / processor:,.0f} impressions/s"
    )
    click.echo(f"peak memory {peak_mb:,.0f} MB")


if __name__ == "__main__":
    main()
