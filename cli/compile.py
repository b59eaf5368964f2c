"""``mtfx compile``: a pipeline as a spec that a cluster's pipeline backend runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.table import Table

from mtfx.cli.flags import Flags
from mtfx.cli.shared_flags import (
    DATASET_HELP,
    Invocation,
    beam_args,
    beam_options,
    cache_option,
    console_and_log,
    debug_option,
    model_size_option,
    seed_option,
)
from mtfx.errors import require
from mtfx.evaluation.config import Thresholds
from mtfx.models.config import ModelConfig
from mtfx.pipelines.config import RankingPipelineConfig
from mtfx.pipelines.fusion_config import FLAGS, FusionPipelineConfig
from mtfx.pipelines.infra_validation import PLATFORMS
from mtfx.pipelines.kubeflow.config import KubeflowConfig
from mtfx.pipelines.options import DataOptions
from mtfx.trainers.ranking.config import TrainingConfig

if TYPE_CHECKING:
    from mtfx.pipelines.kubeflow.runner import CompiledPipeline

_RANKING, _FUSION = "ranking", "fusion"
#: Of one machine: the pod that trains is one.
_STRATEGIES = ("default", "mirrored")
_NO_INFRA_VALIDATOR = (
    "[bold]notice:[/] --infra-validator {} is left out: Kubeflow's runner of TFX refuses "
    "InfraValidator. RankerExporter has checked the ranker's answers before it is pushed; let a "
    "canary check its loading (docs/serving.md)."
)
_EPILOG = """\b
Parameters of each run, whose defaults are the values given here:
  of ranking: data_dir, span, days, seed
  of fusion: seed, and without a default ranking_model, transform_graph, examples: addresses of
    artifacts of a run of the ranking pipeline
"""


_CLUSTER = Flags(
    KubeflowConfig,
    (
        "image",
        "pipeline_root",
        "push_dir",
        "gpu_image",
        "gpus",
        "gpu_type",
        "cpus",
        "memory_gb",
    ),
)
_PLACE = Flags(DataOptions, ("dataset", "data_dir"), helps=DATASET_HELP)
_DATA = Flags(DataOptions, ("tasks", "pattern", "span", "history_length"), prefix="ranking: ")
_MODEL = Flags(
    ModelConfig,
    ("backbone",),
    make=ModelConfig.of_size,
    prefix="ranking: ",
)
_TRAINING = Flags(
    TrainingConfig,
    ("epochs", "learning_rate", "strategy"),
    # The pod that trains is one machine.
    types={"strategy": click.Choice(_STRATEGIES)},
    prefix="ranking: ",
)
_BLESSING = Flags(
    Thresholds,
    ("min_auc", "max_auc_drop", "min_r_squared", "allow_worse_than_rate"),
    prefix="ranking: ",
)
_POLICY = Flags(
    FusionPipelineConfig,
    (
        "method",
        "baselines",
        "leave_out",
        "response",
        "users",
        "pool",
        "candidates",
        "sessions",
        "eval_sessions",
        "train_steps",
        "push",
        "max_return_drop",
        "candidate_buckets",
    ),
    FLAGS,
    prefix="fusion: ",
)
#: Fields whose flags are of one pipeline alone.
_ONLY = {
    _RANKING: (
        *_DATA.fields,
        *_MODEL.fields,
        "model_size",
        *_TRAINING.fields,
        *_BLESSING.fields,
        "days",
        "history_days",
    ),
    _FUSION: (*_POLICY.fields, "infra_validator"),
}


@click.command("compile", epilog=_EPILOG)
@click.option(
    "--runner",
    type=click.Choice(["kubeflow"]),
    required=True,
    help="kubeflow: Kubeflow Pipelines 2, and Vertex AI, which reads the same.",
)
@click.option(
    "--pipeline", "kind", type=click.Choice([_RANKING, _FUSION]), required=True, help="Which one."
)
@click.option("--output-dir", required=True, help="For the spec, a YAML file.")
@_PLACE
@_CLUSTER
@click.option("--batch-size", type=int, help="Of training: impressions, or transitions.")
@_DATA
@click.option("--days", type=int, help="ranking: deliveries to read, with the newest.")
@click.option(
    "--history-days",
    type=int,
    help="ranking: deliveries before those, where they are there, that sessions look back on.  "
    "[default: 14]",
)
@_MODEL
@model_size_option
@_TRAINING
@_BLESSING
@_POLICY
@click.option(
    "--infra-validator",
    type=click.Choice(PLATFORMS),
    help="fusion: left out with a notice, as Kubeflow's runner refuses it.",
)
@seed_option
@beam_options
@cache_option
@debug_option
@click.pass_context
def compile_command(
    context: click.Context,
    /,
    runner: str,
    kind: str,
    output_dir: str,
    batch_size: int | None,
    days: int | None,
    history_days: int | None,
    infra_validator: str | None,
    seed: int,
    cache: bool,
    **values: Any,
) -> None:
    """Write a pipeline's spec for Kubeflow Pipelines 2, checked with its SDK.

    Nothing is run, and neither the data nor the cluster is looked at.
    """
    del runner
    for flags in (_DATA, _MODEL, _TRAINING, _BLESSING, _POLICY):
        for name in flags.fields:
            _require_own(context, kind, name, flags.flag(name))
    for name in ("days", "history_days", "model_size", "infra_validator"):
        _require_own(context, kind, name, "--" + name.replace("_", "-"))
    cluster = _CLUSTER.build(values)
    data_dir = values["data_dir"]
    require(
        data_dir.startswith(("gs://", "/")),
        f"--data-dir {data_dir!r} is neither an address beginning with gs:// nor an absolute path",
        "every stage reads it from its own pod",
    )
    data = _PLACE.build(values, **_DATA.taken(values))
    shared = {"seed": seed, "beam_pipeline_args": beam_args(values), "enable_cache": cache}
    batch = {} if batch_size is None else {"batch_size": batch_size}
    config: RankingPipelineConfig | FusionPipelineConfig
    if kind == _RANKING:
        require(days is None or days >= 1, f"--days must be at least 1, got {days}")
        require(
            history_days is None or history_days >= 0,
            f"--history-days must not be negative, got {history_days}",
        )
        require(
            days in (None, 1) or "{SPAN" in data.pattern,
            f"--pattern {data.pattern!r} has no {{SPAN}}, by which --days {days} could be "
            "distinguished",
            "for example --pattern 'day-{SPAN}/*'",
        )
        config = RankingPipelineConfig(
            data=data,
            output_dir=values["pipeline_root"],
            model=_MODEL.build(values, size=values["model_size"]),
            training=_TRAINING.build(values, **batch),
            thresholds=_BLESSING.build(values),
            **shared,
        )
        config.check_tasks()
    else:
        data.spec()
        config = _POLICY.build(values, run_dir="", batch_size=batch_size, **shared)
    log = Path(output_dir, "compile.log")
    with console_and_log(context.ensure_object(Invocation), log, output_dir) as console:
        if infra_validator not in (None, "none"):
            console.print(_NO_INFRA_VALIDATOR.format(infra_validator))
        with console.status("loading TensorFlow and TFX"):
            from mtfx.pipelines.kubeflow.fusion import create_fusion_pipeline
            from mtfx.pipelines.kubeflow.ranking import create_ranking_pipeline
            from mtfx.pipelines.kubeflow.runner import compile_pipeline
        if isinstance(config, RankingPipelineConfig):
            looked = {} if history_days is None else {"history_days": history_days}
            pipeline = create_ranking_pipeline(config, cluster, days or 1, **looked)
        else:
            pipeline = create_fusion_pipeline(config, cluster, data.dataset, data_dir)
        compiled = compile_pipeline(pipeline, cluster, output_dir)
        console.print(_table(compiled))
        console.print(str(compiled.path), soft_wrap=True, markup=False)


def _require_own(context: click.Context, kind: str, name: str, flag: str) -> None:
    """Refuses a flag of the other pipeline."""
    other = _FUSION if kind == _RANKING else _RANKING
    require(
        name not in _ONLY[other]
        or context.get_parameter_source(name) == click.core.ParameterSource.DEFAULT,
        f"{flag} is of the pipeline {other}, and --pipeline is {kind}",
    )


def _table(compiled: CompiledPipeline) -> Table:
    table = Table(title=f"{compiled.name}: {len(compiled.stages)} stages")
    table.add_column("parameter")
    table.add_column("default")
    for name, value in compiled.parameters.items():
        table.add_row(name, "(to be given)" if value is None else str(value))
    return table
