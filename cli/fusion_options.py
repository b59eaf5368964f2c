"""Options and the start of a run that commands on a blessed ranking model share."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from mtfx.cli.invocation import Invocation
from mtfx.cli.logs import output_to_log, require_log
from mtfx.cli.parameters import Numbers
from mtfx.pipelines.fusion_config import RESPONSES, FusionPipelineConfig

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

run_dir_option: Decorator = click.option(
    "--run-dir", required=True, help="Output directory of `mtfx ranking`; outputs go there too."
)
response_option: Decorator = click.option(
    "--response",
    type=click.Choice(RESPONSES),
    default="auto",
    show_default=True,
    help="Simulated users' responses: the truth behind synthetic data, or fitted to the log.",
)
users_option: Decorator = click.option(
    "--users", type=int, default=1000, show_default=True, help="Simulated users."
)
pool_option: Decorator = click.option(
    "--pool", type=int, default=300, show_default=True, help="Items of each user."
)
candidate_buckets_option: Decorator = click.option(
    "--candidate-buckets",
    type=Numbers(),
    default=(),
    help="Numbers of candidates, such as 128,512, that XLA compiles the served ranker for: for "
    "GPUs. A request is padded to the next. On a CPU, TF Serving needs "
    "--xla_cpu_compilation_enabled for it.  [default: none, without XLA]",
)
max_return_drop_option: Decorator = click.option(
    "--max-return-drop",
    type=float,
    default=0.0,
    show_default=True,
    help="How far the lower bound of a policy's estimated return may fall below the current "
    "policy's, or below what the log earned where there is no current one; in units of reward.",
)
seed_option: Decorator = click.option(
    "--seed", type=int, default=0, show_default=True, help="Of everything random."
)
cache_option: Decorator = click.option(
    "--cache/--no-cache", default=True, help="Skip stages whose inputs are unchanged."
)


@contextlib.contextmanager
def started(invocation: Invocation, config: FusionPipelineConfig) -> Iterator[Console]:
    """Checks the ranking run and sends all output to its log while the context lasts.

    Args:
      invocation: Told where the log is.
      config: What is going to run.

    Yields:
      A console for what the user shall see.

    Raises:
      UserError: if there is no ranking run, or its directory cannot be written.
    """
    config.check()
    require_log(config.log_path, "--run-dir", config.run_dir)
    invocation.output_dir, invocation.log_file = Path(config.run_dir), config.log_path
    with output_to_log(config.log_path) as terminal:
        yield Console(file=terminal, width=None if terminal.isatty() else 120)
