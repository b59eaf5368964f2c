"""``mtfx closed-loop``: days of service, logging and training on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from rich.console import Console

from mtfx.cli.fusion_options import seed_option
from mtfx.cli.invocation import Invocation, debug_option
from mtfx.cli.logs import output_to_log, require_log
from mtfx.cli.progress import stage_progress
from mtfx.pipelines.rehearsal.config import ClosedLoopConfig


@click.command("closed-loop")
@click.option(
    "--output-dir",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    help="For logs, artifacts and the report.",
)
@click.option("--days", type=int, default=5, show_default=True, help="Days that are served.")
@click.option("--sessions", type=int, default=300, show_default=True, help="Served a day.")
@click.option(
    "--first-impressions", type=int, default=6000, show_default=True, help="Of the first log."
)
@click.option(
    "--exploration-share",
    type=float,
    default=0.3,
    show_default=True,
    help="Share of the users whose requests try actions out.",
)
@click.option("--epochs", type=int, default=3, show_default=True, help="Of the ranking model.")
@click.option("--train-steps", type=int, default=1000, show_default=True, help="Of the policy.")
@click.option(
    "--drift-threshold",
    type=float,
    default=0.5,
    show_default=True,
    help="How far the first served day may move: far, as another policy shows items. Later days "
    "have the defaults of `mtfx daily`.",
)
@click.option("--poisoned-day", type=int, help="Damage this day's log, to see it refused.")
@seed_option
@debug_option
@click.pass_obj
def closed_loop_command(invocation: Invocation, /, **values: Any) -> None:
    """Rehearse the daily loop: serve with exploration, log, retrain, bless, push, serve.

    A synthetic service whose users' true behaviour is known: every day is ranked by the stand-in
    server with the ranker that was pushed last, logged, joined with its feedback and trained on.
    The table shows what each day's ranker is truly worth.
    """
    config = ClosedLoopConfig(**values)
    log = config.output_dir / "logs" / "mtfx.log"
    require_log(log, "--output-dir", config.output_dir)
    invocation.output_dir, invocation.log_file = config.output_dir, log
    with output_to_log(log) as terminal:
        console = Console(file=terminal, width=None if terminal.isatty() else 120)
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
