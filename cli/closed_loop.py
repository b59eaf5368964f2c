"""``mtfx closed-loop``: days of service, logging and training on this machine."""

from __future__ import annotations

from typing import Any

import click

from mtfx.cli.flags import Flags
from mtfx.cli.progress import stage_progress
from mtfx.cli.shared_flags import Invocation, console_and_log, debug_option
from mtfx.pipelines.rehearsal.config import ClosedLoopConfig

_FLAGS = Flags(
    ClosedLoopConfig,
    (
        "output_dir",
        "days",
        "sessions",
        "first_impressions",
        "exploration_share",
        "epochs",
        "train_steps",
        "drift_threshold",
        "poisoned_day",
        "seed",
    ),
)


@click.command("closed-loop")
@_FLAGS
@debug_option
@click.pass_obj
def closed_loop_command(invocation: Invocation, /, **values: Any) -> None:
    """Rehearse the daily loop: serve with exploration, log, retrain, bless, push, serve.

    A synthetic service whose users' true behaviour is known: every day is ranked by the stand-in
    server with the ranker that was pushed last, logged, joined with its feedback and trained on.
    The table shows what each day's ranker is truly worth.
    """
    config = _FLAGS.build(values)
    invocation.output_dir = config.output_dir
    log = config.output_dir / "logs" / "mtfx.log"
    with console_and_log(invocation, log, config.output_dir) as console:
        with console.status("loading TensorFlow and TFX"):
            from mtfx.evaluation.reports.closed_loop import draw_loop, render_loop, write_loop
            from mtfx.pipelines.rehearsal.closed_loop import run_closed_loop
        with stage_progress(console) as progress:
            days = run_closed_loop(
                config, progress, lambda day, what: console.print(f"day {day}: {what}")
            )
        console.print(render_loop(days))
        for day in days:
            if day.reason:
                console.print(f"day {day.span}: {day.reason}", soft_wrap=True)
        console.print(f"table: {write_loop(config.output_dir, days)}", soft_wrap=True)
        console.print(f"figure: {draw_loop(config.output_dir, days)}", soft_wrap=True)
