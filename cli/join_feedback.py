"""``mtfx join-feedback``: a service's logs of requests and of feedback become one."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from mtfx.cli.invocation import Invocation, debug_option
from mtfx.cli.logs import output_to_log, require_log
from mtfx.cli.parameters import Names
from mtfx.components.feedback_join.config import MISSING, FeedbackJoinConfig, FeedbackJoinSummary
from mtfx.errors import require
from mtfx.pipelines.beam_args import local_beam_args


@click.command("join-feedback")
@click.option(
    "--log-dir",
    required=True,
    help="With requests/ and feedback/, as mtfx.serving.interaction_log writes them.",
)
@click.option("--output-dir", required=True, help="For the joined requests; one directory a day.")
@click.option(
    "--feedback",
    "feedback_names",
    type=Names(),
    required=True,
    help="Names of the feedbacks, in the order of the fusion's transitions.",
)
@click.option(
    "--wait-minutes",
    type=float,
    default=60.0,
    show_default=True,
    help="Later feedback does not count; younger requests wait for the next log's join.",
)
@click.option(
    "--earlier-output",
    default="auto",
    show_default=True,
    help="The join of the log before, whose waiting requests are taken: its directory; 'auto', the "
    "one whose name comes before (day-2 before day-3); or 'none'.",
)
@click.option(
    "--missing",
    type=click.Choice(MISSING),
    default="nothing",
    show_default=True,
    help="What a request without feedback means: the user did nothing, or it was lost.",
)
@click.option(
    "--max-bad-rows",
    type=float,
    default=0.01,
    show_default=True,
    help="Share of a log's rows that may be unusable before the join fails.",
)
@click.option(
    "--max-orphan-feedback",
    type=float,
    default=0.1,
    show_default=True,
    help="Share of the feedback that may name a request that is not in the log.",
)
@click.option(
    "--min-feedback",
    type=float,
    default=0.001,
    show_default=True,
    help="Share of the requests to which some feedback must have come; 0 allows a log without any.",
)
@click.option("--beam-workers", type=int, default=1, show_default=True, help="Beam's processes.")
@click.option("--beam-arg", "beam_args", multiple=True, help="Passed to Beam; may be repeated.")
@debug_option
@click.pass_obj
def join_feedback_command(
    invocation: Invocation,
    /,
    log_dir: str,
    output_dir: str,
    feedback_names: tuple[str, ...],
    wait_minutes: float,
    earlier_output: str,
    missing: str,
    max_bad_rows: float,
    max_orphan_feedback: float,
    min_feedback: float,
    beam_workers: int,
    beam_args: tuple[str, ...],
) -> None:
    """Join served requests with the feedback that came later.

    The result is what the fusion pipeline reads as a log of served requests. What is late, repeated
    or without a request is counted; unusable rows are listed in quarantine.csv. Requests at the
    log's end wait in --output-dir for the join of the next log, which takes them from there.
    """
    for flag, share in (
        ("--max-bad-rows", max_bad_rows),
        ("--max-orphan-feedback", max_orphan_feedback),
        ("--min-feedback", min_feedback),
    ):
        require(0 <= share <= 1, f"{flag} is a share from 0 to 1, got {share}")
    config = FeedbackJoinConfig(
        feedback_names=feedback_names,
        wait_minutes=wait_minutes,
        missing=missing,  # type: ignore[arg-type]
        max_bad_share=max_bad_rows,
        max_orphan_share=max_orphan_feedback,
        min_feedback_share=min_feedback,
    )
    # Beside the directory, not in it: a join takes the place of an earlier one whole.
    log = Path(f"{output_dir.rstrip('/')}.log")
    require_log(log, "--output-dir", output_dir)
    invocation.log_file = log
    with output_to_log(log) as terminal:
        console = Console(file=terminal, width=None if terminal.isatty() else 120)
        with console.status("loading Beam"):
            from mtfx.components.feedback_join.pipeline import join_feedback
        with console.status("joining"):
            found = join_feedback(
                log_dir,
                output_dir,
                config,
                local_beam_args(beam_workers, beam_args),
                earlier_output,
            )
        console.print(_table(found))
        for note in found.notes:
            console.print(f"note: {note}", soft_wrap=True, markup=False)
        console.print(f"joined requests: {output_dir}", soft_wrap=True)


def _table(found: FeedbackJoinSummary) -> Table:
    table = Table(title="Requests and feedback", show_header=False)
    for name, value in (
        ("requests logged", found.requests),
        (f"waited in {found.earlier or 'an earlier join'}", found.carried),
        ("joined", found.joined),
        ("… with feedback", found.with_feedback),
        ("… but no watch_s, read as 0 s", found.unwatched),
        ("wait for the next run", found.waiting),
        ("left out, no feedback", found.lost),
        ("repeated", found.repeated),
        ("feedback logged", found.feedback),
        ("… too late", found.late),
        ("… without a request", found.orphaned),
        ("… wait for their request", found.early),
        *((f"unusable, {reason}", number) for reason, number in found.bad.items()),
    ):
        table.add_row(name, f"{value:,}")
    return table
