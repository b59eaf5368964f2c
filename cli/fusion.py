"""``mtfx fusion``: the fusion pipeline, from a blessed ranking model to a blessed ranker."""

from __future__ import annotations

import shlex
import sys
import textwrap
from typing import Any

import click

from mtfx.agents.registry import AGENTS
from mtfx.agents.search.registry import SEARCHES
from mtfx.cli.fusion_options import (
    cache_option,
    candidate_buckets_option,
    max_return_drop_option,
    pool_option,
    response_option,
    run_dir_option,
    seed_option,
    started,
    users_option,
)
from mtfx.cli.invocation import Invocation, debug_option
from mtfx.cli.parameters import HyperParameter, Names
from mtfx.cli.progress import stage_progress
from mtfx.datasets.rewards import REWARD_PRESETS
from mtfx.evaluation.ope.registry import ESTIMATORS
from mtfx.models.fusion.config import FORMULAS
from mtfx.pipelines.beam_args import local_beam_args
from mtfx.pipelines.fusion_config import EXPLORATIONS, FusionPipelineConfig, ServedLog
from mtfx.pipelines.fusion_settings import settings_help
from mtfx.pipelines.infra_validation import DEFAULT_TAG, PLATFORMS, InfraValidation


def _settings_table() -> str:
    width = max(map(len, AGENTS)) + 4
    return "\n".join(
        textwrap.fill(
            "  ".join(settings_help(method)),
            width=98,
            initial_indent=f"  {method}".ljust(width),
            subsequent_indent=" " * width,
            break_long_words=False,
            break_on_hyphens=False,
        )
        for method in AGENTS
    )


_EPILOG = f"""\b
Baselines:
{chr(10).join(f"  {name:<10} {entry.summary}" for name, entry in SEARCHES.items())}
  and any method: {", ".join(AGENTS)}

\b
Settings for --set are the method's hyper-parameters, for example:
  rho=0.1                  of bcq: the largest perturbation
  hidden_units=(64,64)     layers of every network, the baselines' too
  gamma=0.9                discount of the reward: of every method, estimate and simulated return
  monotonicity_weight=0.4  of xmtf: λ
  cells.family=mlp         of xmtf: the paper's cells, monotone by a loss, not by construction
  outer=actor_critic       of xmtf: the paper's outer stage; offline it leaves the log

\b
All of them, with their defaults:
{_settings_table()}
"""


@click.command("fusion", epilog=_EPILOG)
@run_dir_option
@click.option(
    "--method",
    type=click.Choice(list(AGENTS)),
    default="bcq",
    show_default=True,
    help="How the policy is learned from logged interactions.",
)
@click.option(
    "--baselines",
    type=Names(),
    default=("constant", "bo", "td3"),
    help=f"Compared in the simulator: {', '.join((*SEARCHES, *AGENTS))}.  "
    "[default: constant,bo,td3]",
)
@click.option(
    "--fusion",
    "formula",
    type=click.Choice(list(FORMULAS)),
    default="formula2",
    show_default=True,
    help="formula1: Σ w·o; formula2: Σ w·log(o + β); formula3: Π o^w. The baselines' with xmtf.",
)
@click.option(
    "--reward",
    type=click.Choice(tuple(REWARD_PRESETS)),
    default="default",
    show_default=True,
    help="What the reward weighs most: watch time, play integrity or interactions.",
)
@click.option(
    "--exploration",
    type=click.Choice(EXPLORATIONS),
    default="mixed",
    show_default=True,
    help="Policy whose interactions are learned from.",
)
@response_option
@users_option
@pool_option
@click.option("--candidates", type=int, default=100, show_default=True, help="Items per request.")
@click.option(
    "--sessions", type=int, default=10_000, show_default=True, help="Sessions to learn from."
)
@click.option(
    "--eval-sessions", type=int, default=2000, show_default=True, help="Sessions to compare on."
)
@click.option("--train-steps", type=int, help="Training steps.  [default: 300000, BatchRL-MTF's]")
@click.option("--batch-size", type=int, help="Transitions per step.  [default: 256; 1024 of xmtf]")
@click.option("--set", "settings", type=HyperParameter(), multiple=True, help="See below.")
@click.option(
    "--estimator",
    type=click.Choice(ESTIMATORS),
    default="conservative",
    show_default=True,
    help="Off-policy estimator whose lower bound decides on the blessing.",
)
@max_return_drop_option
@click.option(
    "--ope-penalty",
    type=float,
    help="Conservative estimator: what actions beyond the log cost, in units of reward; larger is "
    "more careful.  [default: 0.05]",
)
@click.option(
    "--served-log",
    default="",
    help="Directory of served requests that `mtfx join-feedback` wrote: learn from those, not from "
    "the simulator. The run has to have served them.",
)
@click.option(
    "--pattern",
    default="*.parquet",
    show_default=True,
    help="Files of --served-log to read, such as 'day-{SPAN}/*.parquet'.",
)
@click.option("--span", type=int, default=1, show_default=True, help="Number for {SPAN}.")
@click.option(
    "--base-policy",
    default="",
    help="Artifact of an earlier policy whose networks training begins with: warm start.",
)
@candidate_buckets_option
@click.option(
    "--infra-validator",
    type=click.Choice(PLATFORMS),
    default="none",
    show_default=True,
    help="Whether TF Serving itself loads the ranker and answers its warm-up requests before it is "
    "pushed: in this machine's Docker, or as a pod of Kubeflow Pipelines. Not by default, as many "
    "machines have neither.",
)
@click.option(
    "--serving-tag",
    default=DEFAULT_TAG,
    show_default=True,
    help="Of the image tensorflow/serving that --infra-validator starts.",
)
@seed_option
@click.option("--beam-workers", type=int, default=1, show_default=True, help="Beam's processes.")
@click.option("--beam-arg", "beam_args", multiple=True, help="Passed to Beam; may be repeated.")
@cache_option
@debug_option
@click.pass_obj
def fusion_command(
    invocation: Invocation,
    run_dir: str,
    method: str,
    baselines: tuple[str, ...],
    formula: str,
    reward: str,
    exploration: str,
    response: str,
    users: int,
    pool: int,
    candidates: int,
    sessions: int,
    eval_sessions: int,
    train_steps: int | None,
    batch_size: int | None,
    settings: tuple[tuple[str, Any], ...],
    estimator: str,
    max_return_drop: float,
    ope_penalty: float | None,
    served_log: str,
    pattern: str,
    span: int,
    base_policy: str,
    candidate_buckets: tuple[int, ...],
    infra_validator: str,
    serving_tag: str,
    seed: int,
    beam_workers: int,
    beam_args: tuple[str, ...],
    cache: bool,
) -> None:
    """Learn how to fuse a ranking model's predictions into one score.

    Takes the latest blessed model of `mtfx ranking`, fits a simulator of its users, logs simulated
    sessions under an exploration policy, learns personalised fusion weights from them, judges the
    policy by off-policy evaluation, and pushes it with the ranking model as one ranker if it is
    not worse than the current one.
    """
    config = FusionPipelineConfig(
        run_dir=run_dir,
        method=method,
        baselines=baselines,
        formula=formula,
        reward=reward,
        exploration=exploration,
        response=response,
        users=users,
        pool=pool,
        candidates=candidates,
        sessions=sessions,
        eval_sessions=eval_sessions,
        train_steps=train_steps,
        batch_size=batch_size,
        settings=settings,
        estimator=estimator,
        max_return_drop=max_return_drop,
        ope_penalty=ope_penalty,
        served=ServedLog(served_log, pattern, span) if served_log else None,
        base_policy=base_policy,
        candidate_buckets=candidate_buckets,
        infra_validation=InfraValidation(infra_validator, serving_tag),
        seed=seed,
        beam_pipeline_args=local_beam_args(beam_workers, beam_args),
        enable_cache=cache,
    )
    with started(invocation, config) as console:
        with console.status("loading TensorFlow and TFX"):
            from mtfx.evaluation.reports.fusion import render_fusion_summary
            from mtfx.evaluation.reports.kit.pages import PAGE_FILE
            from mtfx.pipelines.fusion import run_fusion
        with stage_progress(console) as progress:
            summary = run_fusion(config, progress, shlex.join(["mtfx", *sys.argv[1:]]))
        console.print(render_fusion_summary(summary))
        console.print(f"report: {config.report_dir / PAGE_FILE}", soft_wrap=True)
