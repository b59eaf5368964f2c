"""``mtfx join-feedback``: a service's logs of requests and of feedback become one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from rich.table import Table

from mtfx.cli.flags import Flags
from mtfx.cli.shared_flags import Invocation, beam_args, beam_options, console_and_log, debug_option
from mtfx.components.feedback_join.config import FeedbackJoinConfig, FeedbackJoinSummary

_FLAGS = Flags(
    FeedbackJoinConfig,
    (
        "feedback_names",
        "wait_minutes",
        "missing",
        "max_bad_share",
        "max_orphan_share",
        "min_feedback_share",
    ),
    {
        "feedback_names": "--feedback",
        "max_bad_share": "--max-bad-rows",
        "max_orphan_share": "--max-orphan-feedback",
        "min_feedback_share": "--min-feedback",
    },
)


@click.command("join-feedback")
@click.option(
    "--log-dir",
    required=True,
    help="With requests/ and feedback/, as mtfx.serving.interaction_log writes them.",
)
@click.option("--output-dir", required=True, help="For the joined requests; one directory a day.")
@_FLAGS
@click.option(
    "--earlier-output",
    default="auto",
    show_default=True,
    help="The join of the log before, whose waiting requests are taken: its directory; 'auto', the "
    "one whose name comes before (day-2 before day-3); or 'none'.",
)
@beam_options
@debug_option
@click.pass_obj
def join_feedback_command(
    invocation: Invocation, /, log_dir: str, output_dir: str, earlier_output: str, **values: Any
) -> None:
    """Join served requests with the feedback that came later.

    The result is what the fusion pipeline reads as a log of served requests. What is late, repeated
    or without a request is counted; unusable rows are listed in quarantine.csv. Requests at the
    log's end wait in --output-dir for the join of the next log, which takes them from there.
    """
    config = _FLAGS.build(values)
    # Beside the directory, not in it: a join takes the place of an earlier one whole.
    log = Path(f"{output_dir.rstrip('/')}.log")
    with console_and_log(invocation, log, output_dir) as console:
        with console.status("loading Beam"):
            from mtfx.components.feedback_join.pipeline import join_feedback
        with console.status("joining"):
            found = join_feedback(log_dir, output_dir, config, beam_args(values), earlier_output)
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
