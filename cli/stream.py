"""``mtfx stream``: training on sessions as they arrive."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from mtfx.cli.flags import Flags
from mtfx.cli.shared_flags import Invocation, console_and_log, debug_option, seed_option
from mtfx.pipelines.fusion_config import FLAGS, FusionPipelineConfig

_AGENT = Flags(
    FusionPipelineConfig,
    ("method", "settings"),
    FLAGS,
    defaults={"method": "xmtf"},
    helps={"settings": "A hyper-parameter of the agent, as of `mtfx fusion`."},
)


@click.command("stream")
@click.option(
    "--interactions",
    required=True,
    help="Directory where files of finished sessions arrive, as InteractionGen writes them.",
)
@click.option("--output-dir", required=True, help="For checkpoints, policies and rankers.")
@_AGENT
@click.option(
    "--run-dir",
    help="Joins every policy with this run's ranking model: rankers that TF Serving can load.",
)
@click.option(
    "--export-every", type=int, default=1000, show_default=True, help="Sessions between exports."
)
@click.option(
    "--steps-per-transition",
    type=float,
    default=1.0,
    show_default=True,
    help="Training steps for each new transition.",
)
@click.option(
    "--candidates", type=int, default=100, show_default=True, help="Of a request, that are kept."
)
@click.option(
    "--idle-minutes",
    type=float,
    default=0.0,
    show_default=True,
    help="Stop when no file has come for so long; 0 stops after the files that are there.",
)
@click.option(
    "--poll-seconds", type=float, default=5.0, show_default=True, help="Between looks for files."
)
@seed_option
@debug_option
@click.pass_obj
def stream_command(invocation: Invocation, /, **values: Any) -> None:
    """Train a fusion policy on sessions as they arrive, and export it again and again.

    Each finished session is added to the replay buffer and trained on. Every so many sessions there
    is a checkpoint, from which the same command goes on after it was stopped, and a new version of
    the policy; with --run-dir also of the ranker. These versions are not judged: what TF Serving
    shall load without a blessing is your decision.

    Files must appear whole: write them under another name, and rename them.
    """
    output_dir = Path(values["output_dir"])
    log = output_dir / "logs" / "mtfx.log"
    invocation.output_dir = output_dir
    with console_and_log(invocation, log, output_dir) as console:
        with console.status("loading TensorFlow"):
            from mtfx.pipelines.streaming import StreamOptions, StreamProgress, run_stream
        bar = Progress(
            SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), console=console
        )
        with bar:
            task = bar.add_task("waiting for sessions")

            def show(progress: StreamProgress) -> None:
                bar.update(
                    task,
                    description=f"{progress.sessions:,} sessions, {progress.steps:,} steps, "
                    f"{progress.exports} exports",
                )

            done = run_stream(StreamOptions(**values), show)
        console.print(_summary(done, output_dir))


def _summary(done: Any, output_dir: Path) -> Table:
    table = Table(title="Stream", show_header=False)
    rows = (
        ("sessions", f"{done.sessions:,}"),
        ("transitions", f"{done.transitions:,}"),
        ("training steps", f"{done.steps:,}"),
        ("files", f"{done.files:,}, and {len(done.skipped):,} that could not be read"),
        *(("not read", reason) for reason in done.skipped.values()),
        ("records left out", f"{done.bad_records:,}"),
        ("exports", f"{done.exports:,} in {output_dir / 'policies'}"),
    )
    for name, value in rows:
        table.add_row(name, value)
    return table
