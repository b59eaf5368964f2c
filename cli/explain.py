"""``mtfx explain``: what each prediction contributes to an exported ranker's scores."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console

from mtfx.cli.logs import output_to_log
from mtfx.cli.parameters import Names
from mtfx.cli.shared_flags import Invocation, debug_option
from mtfx.errors import UserError, require


@click.command("explain")
@click.option("--run-dir", help="Run whose last fusion is explained, with users of its simulator.")
@click.option("--ranker", help="Directory of an exported ranker, in place of --run-dir.")
@click.option(
    "--requests",
    type=click.Path(path_type=Path),
    help="CSV or JSON file of users' states, or directory of a request log, in place of simulated "
    "users.",
)
@click.option("--simulator", help="Directory of a simulator whose users' states are taken.")
@click.option("--user", "users", type=Names(), default=(), help="Users of simulator or log.")
@click.option("--points", type=int, default=201, show_default=True, help="Points of a curve.")
@click.option(
    "--seed", type=int, default=0, show_default=True, help="Of what simulated users are offered."
)
@click.option(
    "--output-dir",
    required=True,
    type=click.Path(path_type=Path),
    help="Where curves.png and curves.json go.",
)
@debug_option
@click.pass_obj
def explain_command(
    invocation: Invocation,
    run_dir: str | None,
    ranker: str | None,
    requests: Path | None,
    simulator: str | None,
    users: tuple[str, ...],
    points: int,
    seed: int,
    output_dir: Path,
) -> None:
    """Draw how a ranker's score depends on each prediction, for some users.

    One panel per prediction: its contribution to the score over the values that it may have, at
    the users' states. Of xMTF these are its cells, inner stage and both stages; of a formula, what
    it weighs, without and with its weight. Also counts where a curve falls, which none should.
    """
    require((run_dir is None) != (ranker is None), "give either --run-dir or --ranker")
    require(requests is None or simulator is None, "--requests and --simulator exclude each other")
    require(
        requests is None or requests.is_dir() or not users,
        "--user is for users of a simulator or a log; a file of --requests names its own",
    )
    require(
        ranker is None or requests is not None or simulator is not None,
        "--ranker needs states to draw curves at",
        "give --requests FILE or LOG, or --simulator DIR, the policy's world",
    )
    require(points >= 2, f"--points must be at least 2, got {points}")
    try:
        output_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"--output-dir {output_dir} cannot be made: {error.strerror}") from error
    invocation.log_file = output_dir / "explain.log"
    with output_to_log(invocation.log_file) as terminal:
        console = Console(file=terminal, width=None if terminal.isatty() else 120)
        with console.status("loading TensorFlow and the ranker"):
            from mtfx.environments.simulator.config import SimulatorConfig
            from mtfx.evaluation.reports.fusion_curves import (
                CurveSource,
                render_curves,
                write_curves,
            )
            from mtfx.pipelines.explain import ranker_of_run, read_requests, simulated_states

            candidates = SimulatorConfig.candidates
            if run_dir is not None:
                ranker, found, candidates = ranker_of_run(run_dir)
                simulator = simulator or found
            assert ranker is not None
            source = CurveSource(ranker)
            if requests is not None:
                states = read_requests(requests, source.state_names, users)
            else:
                assert simulator is not None
                states = simulated_states(simulator, source.state_names, users, candidates, seed)
            curves = source.curves(states.users, states.states, points)
        paths = write_curves(output_dir, curves)
        console.print(render_curves(curves))
        for path in paths:
            console.print(str(path), soft_wrap=True)
