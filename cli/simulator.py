"""``mtfx simulator``: the simulator of a blessed ranking model's users, beside the log."""

from __future__ import annotations

from typing import Any, cast

import click

from mtfx.cli.flags import Flags
from mtfx.cli.progress import stage_progress
from mtfx.cli.shared_flags import Invocation, cache_option, debug_option, seed_option, started
from mtfx.errors import require
from mtfx.pipelines.fusion_config import FusionPipelineConfig

#: What candidates may be ranked by; ``mtfx.environments.simulator.fitting.config`` has them too.
PREDICTIONS = ("model", "true")


_FLAGS = Flags(FusionPipelineConfig, ("run_dir", "leave_out", "response", "users", "pool"))


@click.command("simulator")
@_FLAGS
@click.option(
    "--predictions",
    type=click.Choice(PREDICTIONS),
    default="model",
    show_default=True,
    help="What candidates are ranked by: the ranking model's predictions, or the simulated users' "
    "true probabilities (for experiments: what fusion could do with a ranker without error).",
)
@seed_option
@cache_option
@debug_option
@click.pass_obj
def simulator_command(
    invocation: Invocation, /, predictions: str, seed: int, cache: bool, **values: Any
) -> None:
    """Fit a simulator of a ranking model's users and compare it with the log.

    Takes the latest blessed model of `mtfx ranking`, fits how its users respond, and simulates the
    log's held-out sessions. `mtfx fusion` with the same options takes the simulator from the cache.
    """
    config = _FLAGS.build(values, seed=seed, enable_cache=cache)
    require(
        (config.response, predictions) != ("published", "true"),
        "--response published and --predictions true exclude each other",
        "its users answer with the ranking model's predictions, which then nobody would see",
    )
    with started(invocation, config) as console:
        with console.status("loading TensorFlow and TFX"):
            from mtfx.evaluation.reports.simulator import render_simulator_report
            from mtfx.pipelines.simulator import run_simulator
        with stage_progress(console) as progress:
            run = run_simulator(config, progress, cast(Any, predictions))
        console.print(render_simulator_report(run.report))
        console.print(f"report: {run.page}", soft_wrap=True)
        console.print(f"SavedModel: {run.saved_model}", soft_wrap=True)
