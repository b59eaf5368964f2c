"""Speed of SessionExampleGen beside a plain single-process sessionisation in Polars.

    python -m benchmarks.session_example_gen --events 2700000 --workers 2

Prints events/s of the whole component (read, check, join properties as of the impression,
sessionise, label, split, count by day, look back, encode, write) and of Polars reading the same
events and cutting the same sessions, nothing else. It is run without earlier impressions and with
50 of them (``--history-length``), side by side with the ratio of their times, which should stay
below 1.5. Read the ratios rather than the seconds: they move less between machines. Of a machine
that others use too, the processor's seconds say more than the clock's.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import tempfile
import time
from typing import TYPE_CHECKING

import polars as pl

from mtfx.datasets.history import DEFAULT_LENGTH
from mtfx.datasets.synthetic import SyntheticConfig, synthesize

if TYPE_CHECKING:
    from mtfx.components.session_example_gen.summary import IngestionSummary

_GAP_MS = 30 * 60_000


def sessionise_with_polars(path: str) -> int:
    """Reads the events and numbers their sessions; returns how many there are."""
    events = pl.read_csv(path, columns=["timestamp", "visitorid", "event", "itemid"])
    ordered = events.unique().sort("visitorid", "timestamp", "itemid")
    new = (pl.col("visitorid") != pl.col("visitorid").shift(1)) | (
        pl.col("timestamp").diff() > _GAP_MS
    )
    sessions = ordered.with_columns(session=new.fill_null(True).cum_sum())
    return int(sessions["session"].max() or 0)  # type: ignore[arg-type]


def run_component(
    data_dir: str, output: str, workers: int, history_length: int
) -> IngestionSummary:
    """Runs the component's executor; returns what it counted."""
    from tfx.dsl.components.base import base_beam_executor
    from tfx.types import standard_artifacts
    from tfx.utils import proto_utils

    from mtfx.components.session_example_gen import summary
    from mtfx.components.session_example_gen.component import SessionExampleGen
    from mtfx.components.session_example_gen.config import SessionExampleGenConfig
    from mtfx.components.session_example_gen.executor import Executor
    from mtfx.pipelines.beam_args import local_beam_args

    quarantine = os.path.join(output, "quarantine")
    config = SessionExampleGenConfig("synthetic-shop", quarantine, history_length=history_length)
    component = SessionExampleGen(data_dir, config)
    properties = {
        key: proto_utils.proto_to_json(value) if hasattr(value, "DESCRIPTOR") else value
        for key, value in component.spec.exec_properties.items()
    }
    examples = standard_artifacts.Examples()
    examples.uri = os.path.join(output, "examples")
    context = base_beam_executor.BaseBeamExecutor.Context(
        beam_pipeline_args=list(local_beam_args(workers)),
        tmp_dir=os.path.join(output, "tmp"),
        unique_id="benchmark",
    )
    Executor(context).Do({}, {"examples": [examples]}, properties)
    return summary.IngestionSummary.read(examples.uri)


def processor_seconds() -> float:
    """Time of the processors that this process and its finished workers have taken."""
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description="Speed of SessionExampleGen beside Polars.")
    parser.add_argument("--events", type=int, default=2_700_000, help="views to synthesize")
    parser.add_argument("--workers", type=int, default=1, help="Beam worker processes")
    parser.add_argument("--small", action="store_true", help="100,000 views, for a quick look")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument(
        "--history-length",
        type=int,
        nargs="+",
        default=[0, DEFAULT_LENGTH],
        help="earlier impressions of a session, at most; each is a run, compared with the first",
    )
    parser.add_argument("--data-dir", help="keep and reuse the synthetic data set here")
    arguments = parser.parse_args()
    events_wanted = 100_000 if arguments.small else arguments.events
    scratch = tempfile.mkdtemp(prefix="mtfx-benchmark-")
    data_dir = arguments.data_dir or os.path.join(scratch, "data")
    try:
        # The first run of a process imports TFX and builds Beam's own tables.
        tiny = os.path.join(scratch, "tiny")
        synthesize(SyntheticConfig(profile="shop", impressions=2_000), tiny)
        run_component(tiny, os.path.join(scratch, "warm"), arguments.workers, DEFAULT_LENGTH)
        synthesize(SyntheticConfig(profile="shop", impressions=events_wanted), data_dir)
        events_csv = os.path.join(data_dir, "events.csv")
        events = pl.scan_csv(events_csv).select(pl.len()).collect().item()
        print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores")
        print(f"{events:,} events, {os.path.getsize(events_csv) / 1e6:.0f} MB")
        for repeat in range(arguments.repeats):
            begin = time.perf_counter()
            sessions = sessionise_with_polars(events_csv)
            polars_seconds = time.perf_counter() - begin
            print(
                f"Polars, one process: {polars_seconds:6.1f} s  {events / polars_seconds:12,.0f} "
                f"events/s  {sessions:,} sessions"
            )
            measured: list[tuple[float, float]] = []
            for length in arguments.history_length:
                output = os.path.join(scratch, f"run-{repeat}-{length}")
                begin, spent = time.perf_counter(), processor_seconds()
                summary = run_component(data_dir, output, arguments.workers, length)
                seconds, spent = time.perf_counter() - begin, processor_seconds() - spent
                measured.append((seconds, spent))
                shutil.rmtree(output)
                print(
                    f"SessionExampleGen, {arguments.workers} worker(s), history {length:4}: "
                    f"{seconds:6.1f} s  {events / seconds:12,.0f} events/s  "
                    f"{sum(summary.sessions.values()):,} sessions, "
                    f"{summary.history.get('with_history', 0):,} with a history  "
                    f"ratio {seconds / polars_seconds:.1f}"
                )
                if len(measured) > 1:
                    first = measured[0]
                    print(
                        f"history {length} by {arguments.history_length[0]}: "
                        f"{seconds / first[0]:.2f} (clock), {spent / first[1]:.2f} (processor)"
                    )
    finally:
        shutil.rmtree(scratch)


if __name__ == "__main__":
    main()
