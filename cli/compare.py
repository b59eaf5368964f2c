"""``mtfx compare``: two policies on two groups of users."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from mtfx.cli.flags import Flags
from mtfx.cli.parameters import Names
from mtfx.cli.shared_flags import Invocation, console_and_log, debug_option, seed_option
from mtfx.evaluation.ab_test.trial import TrialSettings

_TRIAL = Flags(TrialSettings, ("metric", "alpha", "effect", "treatment_share", "min_users"))


@click.command("compare")
@click.option("--run-dir", help="Run of `mtfx fusion`: compares in its simulator.")
@click.option(
    "--interactions",
    help="Joined requests as they were served, in place of --run-dir; one directory or more in it.",
)
@click.option(
    "--control",
    required=True,
    help="The policy in use: `constant`, a method of the run, or a directory; of a log, an arm.",
)
@click.option("--treatment", required=True, help="The other, likewise.")
@click.option(
    "--feedback",
    "feedback_names",
    type=Names(),
    default=(),
    help="Names of the log's feedbacks, as given to `mtfx join-feedback`.",
)
@click.option("--days", type=int, default=14, show_default=True, help="Simulated days.")
@_TRIAL
@seed_option
@click.option(
    "--output-dir", required=True, help="Where comparison.json and index.html with its figure go."
)
@debug_option
@click.pass_obj
def compare_command(
    invocation: Invocation,
    /,
    run_dir: str | None,
    interactions: str | None,
    control: str,
    treatment: str,
    feedback_names: tuple[str, ...],
    days: int,
    seed: int,
    output_dir: str,
    **values: Any,
) -> None:
    """Compare two policies on two groups of users, day by day.

    Users are divided by a hash of their ids. Watch time and plays per user and day and the share
    of plays with a positive interaction are compared; the confidence sequence may be looked at
    every day, and the first day on which it excludes no difference decides.
    """
    from mtfx.pipelines.compare import CompareOptions, run_compare

    options = CompareOptions(
        control=control,
        treatment=treatment,
        output_dir=output_dir,
        run_dir=run_dir,
        interactions=interactions,
        feedback_names=feedback_names,
        days=days,
        seed=seed,
        settings=_TRIAL.build(values),
    )
    log = Path(output_dir, "compare.log")
    with console_and_log(invocation, log, output_dir) as console:
        with console.status("comparing") as status:
            from mtfx.evaluation.reports.ab_test import render_trial
            from mtfx.evaluation.reports.kit.pages import PAGE_FILE

            report = run_compare(
                options,
                lambda policy, sessions: status.update(f"{sessions:,} sessions under {policy}"),
            )
        console.print(render_trial(report))
        console.print(f"report: {Path(output_dir, PAGE_FILE)}", soft_wrap=True)
