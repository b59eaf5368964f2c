"""``mtfx headroom``: what could be gained in a simulator by fusing its predictions better."""

from __future__ import annotations

from pathlib import Path

import click

from mtfx.cli.shared_flags import Invocation, console_and_log, debug_option, seed_option
from mtfx.errors import require


@click.command("headroom")
@click.option("--run-dir", help="Run of `mtfx ranking` whose last `mtfx fusion` made a simulator.")
@click.option("--simulator", help="Directory of a simulator, in place of --run-dir.")
@click.option(
    "--sessions",
    type=click.IntRange(min=2),
    default=2_000,
    show_default=True,
    help="First requests, and whole sessions, that are valued.",
)
@click.option(
    "--samples",
    type=click.IntRange(min=1),
    default=32,
    show_default=True,
    help="Responses of a user to an item that its worth is the mean of.",
)
@seed_option
@click.option("--output-dir", required=True, help="Where headroom.json and headroom.png go.")
@debug_option
@click.pass_obj
def headroom_command(
    invocation: Invocation,
    /,
    run_dir: str | None,
    simulator: str | None,
    sessions: int,
    samples: int,
    seed: int,
    output_dir: str,
) -> None:
    """Show what fusing a simulator's predictions better could gain at most.

    Candidates are ranked by equal weights, by the best formula, by the best sum of increasing
    functions, by the best function of any form, and by the truth. Each is fitted to what items are
    truly worth, which a service does not know, and valued on other users. If the best function is
    worth little more than equal weights, no policy can be; if the truth is worth much more, better
    predictions would help.
    """
    require((run_dir is None) != (simulator is None), "give either --run-dir or --simulator")
    log = Path(output_dir, "headroom.log")
    with console_and_log(invocation, log, output_dir) as console:
        with console.status("loading TensorFlow") as status:
            from mtfx.evaluation.reports.headroom import headroom_table
            from mtfx.pipelines.headroom import HeadroomOptions, run_headroom

            options = HeadroomOptions(output_dir, run_dir, simulator, sessions, samples, seed)
            result = run_headroom(options, status.update)
        console.print(headroom_table(result.rows, result.caveat))
        for path in result.paths:
            console.print(str(path), soft_wrap=True)
