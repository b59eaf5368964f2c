"""``mtfx fusion``: the fusion pipeline, from a blessed ranking model to a blessed ranker."""

from __future__ import annotations

import shlex
import sys
import textwrap
from typing import Any

import click

from mtfx.agents.registry import AGENTS
from mtfx.agents.search.registry import SEARCHES
from mtfx.cli.flags import Flags
from mtfx.cli.progress import stage_progress
from mtfx.cli.shared_flags import (
    Invocation,
    beam_args,
    beam_options,
    cache_option,
    debug_option,
    seed_option,
    started,
)
from mtfx.pipelines.fusion_config import FLAGS, FusionPipelineConfig
from mtfx.pipelines.fusion_settings import part_settings_help, settings_help
from mtfx.pipelines.infra_validation import InfraValidation
from mtfx.pipelines.served_log import ServedLog


def _settings_table() -> str:
    width = max(map(len, AGENTS)) + 4
    settings = {method: settings_help(method) for method in AGENTS} | part_settings_help()
    return "\n".join(
        textwrap.fill(
            "  ".join(of_one),
            width=98,
            initial_indent=f"  {name}".ljust(width),
            subsequent_indent=" " * width,
            break_long_words=False,
            break_on_hyphens=False,
        )
        for name, of_one in settings.items()
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
  fusion.beta=0.01         of formula2: β; fusion.low and fusion.high bound a formula's weights
  reward.watch_weight=2    of the reward, in place of the preset's
  reward.feedback.like=3   of one feedback in the reward

\b
All of them, with their defaults:
{_settings_table()}
"""


_FLAGS = Flags(
    FusionPipelineConfig,
    (
        "run_dir",
        "method",
        "baselines",
        "formula",
        "leave_out",
        "reward",
        "exploration",
        "explore_around",
        "response",
        "users",
        "pool",
        "candidates",
        "sessions",
        "eval_sessions",
        "train_steps",
        "batch_size",
        "settings",
        "push",
        "estimator",
        "max_return_drop",
        "ope_penalty",
        "keep_simulator",
        "headroom",
        "base_policy",
        "candidate_buckets",
    ),
    FLAGS,
)
_SERVED = Flags(
    ServedLog,
    ("data_dir", "pattern", "span"),
    {"data_dir": "--served-log"},
    defaults={"data_dir": ""},
)
_VALIDATION = Flags(
    InfraValidation, ("platform", "tag"), {"platform": "--infra-validator", "tag": "--serving-tag"}
)


@click.command("fusion", epilog=_EPILOG)
@_FLAGS
@_SERVED
@_VALIDATION
@seed_option
@beam_options
@cache_option
@debug_option
@click.pass_obj
def fusion_command(invocation: Invocation, /, seed: int, cache: bool, **values: Any) -> None:
    """Learn how to fuse a ranking model's predictions into one score.

    Takes the latest blessed model of `mtfx ranking`, fits a simulator of its users, logs simulated
    sessions under an exploration policy, learns personalised fusion weights from them, judges the
    policy by off-policy evaluation, and pushes it with the ranking model as one ranker if it is
    not worse than the current one.
    """
    config = _FLAGS.build(
        values,
        served=_SERVED.build(values) if values["data_dir"] else None,
        infra_validation=_VALIDATION.build(values),
        seed=seed,
        beam_pipeline_args=beam_args(values),
        enable_cache=cache,
    )
    with started(invocation, config) as console:
        with console.status("loading TensorFlow and TFX"):
            from mtfx.evaluation.reports.fusion_console import render_fusion_summary
            from mtfx.evaluation.reports.kit.pages import PAGE_FILE
            from mtfx.pipelines.fusion import run_fusion
        with stage_progress(console) as progress:
            summary = run_fusion(config, progress, shlex.join(["mtfx", *sys.argv[1:]]))
        console.print(render_fusion_summary(summary))
        console.print(f"report: {config.report_dir / PAGE_FILE}", soft_wrap=True)
