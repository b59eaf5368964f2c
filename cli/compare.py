"""``mtfx compare``: two policies on two groups of users."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console

from mtfx.cli.fusion_options import seed_option
from mtfx.cli.invocation import Invocation, debug_option
from mtfx.cli.logs import output_to_log, require_log
from mtfx.cli.parameters import Names

#: As ``mtfx.evaluation.ab_test.trial`` has them; the command's help is to import nothing slow.
_METRICS = ("watch_s", "positive_rate", "plays")


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
@click.option(
    "--metric",
    type=click.Choice(_METRICS),
    default="watch_s",
    show_default=True,
    help="Decides; the others are reported.",
)
@click.option(
    "--alpha",
    type=float,
    default=0.05,
    show_default=True,
    help="Chance of a difference where there is none, on any day at all.",
)
@click.option(
    "--effect",
    type=float,
    default=0.03,
    show_default=True,
    help="Relative difference that is hoped for; to be chosen before the trial.",
)
@click.option(
    "--treatment-share",
    type=float,
    default=0.5,
    show_default=True,
    help="Share of the users that were to get the treatment.",
)
@click.option(
    "--min-users",
    type=int,
    default=100,
    show_default=True,
    help="Nothing is decided while a group has fewer.",
)
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
    metric: str,
    alpha: float,
    effect: float,
    treatment_share: float,
    min_users: int,
    seed: int,
    output_dir: str,
) -> None:
    """Compare two policies on two groups of users, day by day.

    Users are divided by a hash of their ids. Watch time and plays per user and day and the share
    of plays with a positive interaction are compared; the confidence sequence may be looked at
    every day, and the first day on which it excludes no difference decides.
    """
    from mtfx.pipelines.compare import CompareOptions, run_compare, trial_settings

    options = CompareOptions(
        control=control,
        treatment=treatment,
        output_dir=output_dir,
        run_dir=run_dir,
        interactions=interactions,
        feedback_names=feedback_names,
        days=days,
        seed=seed,
        settings=trial_settings(
            metric=metric,
            alpha=alpha,
            effect=effect,
            treatment_share=treatment_share,
            min_users=min_users,
        ),
    )
    log = Path(output_dir, "compare.log")
    require_log(log, "--output-dir", output_dir)
    invocation.log_file = log
    with output_to_log(log) as terminal:
        console = Console(file=terminal, width=None if terminal.isatty() else 120)
        with console.status("comparing") as status:
            from mtfx.evaluation.reports.ab_test import render_trial
            from mtfx.evaluation.reports.kit.pages import PAGE_FILE

            report = run_compare(
                options,
                lambda policy, sessions: status.update(f"{sessions:,} sessions under {policy}"),
            )
        console.print(render_trial(report))
        console.print(f"report: {Path(output_dir, PAGE_FILE)}", soft_wrap=True)
