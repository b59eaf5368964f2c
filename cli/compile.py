"""``mtfx compile``: a pipeline as a spec that a cluster's pipeline backend runs."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.table import Table

from mtfx.agents.registry import AGENTS
from mtfx.agents.search.registry import SEARCHES
from mtfx.cli.fusion_options import candidate_buckets_option, max_return_drop_option
from mtfx.cli.invocation import Invocation, debug_option
from mtfx.cli.logs import output_to_log, require_log
from mtfx.cli.parameters import Names
from mtfx.datasets.registry import DATASETS
from mtfx.errors import require
from mtfx.models.config import MODEL_SIZES
from mtfx.models.mtl.registry import BACKBONES
from mtfx.pipelines.beam_args import local_beam_args
from mtfx.pipelines.config import RankingPipelineConfig
from mtfx.pipelines.fusion_config import RESPONSES, FusionPipelineConfig
from mtfx.pipelines.infra_validation import PLATFORMS
from mtfx.pipelines.kubeflow.config import KubeflowConfig
from mtfx.pipelines.options import BlessingOptions, DataOptions, ModelOptions, TrainingOptions

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
#: Flags of one pipeline alone, and the names of their parameters.
_ONLY = {
    _RANKING: (
        "tasks",
        "backbone",
        "model_size",
        "epochs",
        "learning_rate",
        "strategy",
        "pattern",
        "span",
        "days",
        "min_auc",
        "max_auc_drop",
    ),
    _FUSION: (
        "method",
        "baselines",
        "response",
        "users",
        "pool",
        "candidates",
        "sessions",
        "eval_sessions",
        "train_steps",
        "max_return_drop",
        "candidate_buckets",
        "infra_validator",
    ),
}
_EPILOG = """\b
Parameters of each run, whose defaults are the values given here:
  of ranking: data_dir, span, days, seed
  of fusion: seed, and without a default ranking_model, transform_graph, examples: addresses of
    artifacts of a run of the ranking pipeline
"""


def _default(name: str) -> str:
    fields = {field.name: field.default for field in dataclasses.fields(FusionPipelineConfig)}
    value = fields[name]
    return ",".join(value) if isinstance(value, tuple) else str(value)


def _given(values: dict[str, Any]) -> dict[str, Any]:
    """Those values that are not None: the others keep their defaults."""
    return {name: value for name, value in values.items() if value is not None}


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
@click.option("--image", required=True, help="The project's image, built with its Dockerfile.")
@click.option(
    "--pipeline-root", required=True, help="Where artifacts go: an address beginning with gs://."
)
@click.option("--output-dir", required=True, help="For the spec, a YAML file.")
@click.option(
    "--push-dir", default="", help="For blessed models.  [default: PIPELINE_ROOT/serving]"
)
@click.option("--gpu-image", default="", help="Image of the stages that train.  [default: --image]")
@click.option("--gpus", type=int, default=0, show_default=True, help="Of each stage that trains.")
@click.option(
    "--gpu-type",
    default="nvidia.com/gpu",
    show_default=True,
    help="Name of the GPUs as the cluster knows them; on Vertex such as NVIDIA_TESLA_T4.",
)
@click.option("--cpus", type=float, default=0.0, help="Limit of each stage's vCPUs.")
@click.option("--memory-gb", type=float, default=0.0, help="Limit of each stage's memory.")
@click.option(
    "--dataset", required=True, help=f"{', '.join(DATASETS)}, or your own as module:ATTRIBUTE."
)
@click.option("--data-dir", required=True, help="The log's files, where the cluster reads them.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of everything random.")
@click.option("--batch-size", type=int, help="Of training: impressions, or transitions.")
@click.option("--tasks", type=Names(), default=(), help="ranking: feedback to predict, by name.")
@click.option("--backbone", type=click.Choice(list(BACKBONES)), help="ranking.  [default: mmoe]")
@click.option("--model-size", type=click.Choice(MODEL_SIZES), help="ranking.  [default: paper]")
@click.option("--epochs", type=int, help="ranking: passes over the training sessions, at most.")
@click.option("--learning-rate", type=float, help="ranking: Adam's.")
@click.option("--strategy", type=click.Choice(_STRATEGIES), help="ranking: of tf.distribute.")
@click.option("--pattern", help="ranking: files of --data-dir, such as 'day-{SPAN}/*'.")
@click.option("--span", type=int, help="ranking: the newest delivery, for {SPAN}.")
@click.option("--days", type=int, help="ranking: deliveries to read, with the newest.")
@click.option("--min-auc", type=float, help="ranking: a model below this is not blessed.")
@click.option("--max-auc-drop", type=float, help="ranking: allowed loss against the pushed model.")
@click.option(
    "--method", type=click.Choice(list(AGENTS)), help=f"fusion.  [default: {_default('method')}]"
)
@click.option(
    "--baselines",
    type=Names(),
    help=f"fusion: {', '.join((*SEARCHES, *AGENTS))}.  [default: {_default('baselines')}]",
)
@click.option(
    "--response",
    type=click.Choice(RESPONSES),
    help=f"fusion: of simulated users.  [default: {_default('response')}]",
)
@click.option("--users", type=int, help=f"fusion: simulated.  [default: {_default('users')}]")
@click.option("--pool", type=int, help=f"fusion: items of a user.  [default: {_default('pool')}]")
@click.option(
    "--candidates", type=int, help=f"fusion: per request.  [default: {_default('candidates')}]"
)
@click.option(
    "--sessions", type=int, help=f"fusion: to learn from.  [default: {_default('sessions')}]"
)
@click.option(
    "--eval-sessions",
    type=int,
    help=f"fusion: to compare on.  [default: {_default('eval_sessions')}]",
)
@click.option("--train-steps", type=int, help="fusion: training steps.  [default: 300000]")
@max_return_drop_option
@candidate_buckets_option
@click.option(
    "--infra-validator",
    type=click.Choice(PLATFORMS),
    help="fusion: left out with a notice, as Kubeflow's runner refuses it.",
)
@click.option("--beam-arg", "beam_args", multiple=True, help="Passed to Beam; may be repeated.")
@click.option("--cache/--no-cache", default=True, help="Skip stages whose inputs are unchanged.")
@debug_option
@click.pass_context
def compile_command(
    context: click.Context,
    /,
    runner: str,
    kind: str,
    image: str,
    pipeline_root: str,
    output_dir: str,
    push_dir: str,
    gpu_image: str,
    gpus: int,
    gpu_type: str,
    cpus: float,
    memory_gb: float,
    dataset: str,
    data_dir: str,
    seed: int,
    batch_size: int | None,
    tasks: tuple[str, ...],
    backbone: str | None,
    model_size: str | None,
    epochs: int | None,
    learning_rate: float | None,
    strategy: str | None,
    pattern: str | None,
    span: int | None,
    days: int | None,
    min_auc: float | None,
    max_auc_drop: float | None,
    method: str | None,
    baselines: tuple[str, ...] | None,
    response: str | None,
    users: int | None,
    pool: int | None,
    candidates: int | None,
    sessions: int | None,
    eval_sessions: int | None,
    train_steps: int | None,
    max_return_drop: float,
    candidate_buckets: tuple[int, ...],
    infra_validator: str | None,
    beam_args: tuple[str, ...],
    cache: bool,
) -> None:
    """Write a pipeline's spec for Kubeflow Pipelines 2, checked with its SDK.

    Nothing is run, and neither the data nor the cluster is looked at.
    """
    del runner
    other = _FUSION if kind == _RANKING else _RANKING
    for name in _ONLY[other]:
        flag = "--" + name.replace("_", "-")
        require(
            context.get_parameter_source(name) == click.core.ParameterSource.DEFAULT,
            f"{flag} is of the pipeline {other}, and --pipeline is {kind}",
        )
    cluster = KubeflowConfig(
        image=image,
        pipeline_root=pipeline_root,
        gpu_image=gpu_image,
        push_dir=push_dir,
        gpus=gpus,
        gpu_type=gpu_type,
        cpus=cpus,
        memory_gb=memory_gb,
    )
    require(
        data_dir.startswith(("gs://", "/")),
        f"--data-dir {data_dir!r} is neither an address beginning with gs:// nor an absolute path",
        "every stage reads it from its own pod",
    )
    data = DataOptions(
        dataset=dataset,
        data_dir=data_dir,
        tasks=tasks,
        **_given({"pattern": pattern, "span": span}),
    )
    shared = {
        "seed": seed,
        "beam_pipeline_args": local_beam_args(1, beam_args),
        "enable_cache": cache,
    }
    config: RankingPipelineConfig | FusionPipelineConfig
    if kind == _RANKING:
        require(days is None or days >= 1, f"--days must be at least 1, got {days}")
        require(
            days in (None, 1) or "{SPAN" in data.pattern,
            f"--pattern {data.pattern!r} has no {{SPAN}}, by which --days {days} could be told "
            "apart",
            "for example --pattern 'day-{SPAN}/*'",
        )
        config = RankingPipelineConfig(
            data=data,
            output_dir=pipeline_root,
            model_options=ModelOptions(**_given({"backbone": backbone, "size": model_size})),
            training_options=TrainingOptions(
                epochs=epochs,
                batch_size=batch_size,
                learning_rate=learning_rate,
                strategy=strategy,  # type: ignore[arg-type]
            ),
            blessing_options=BlessingOptions(min_auc, max_auc_drop),
            **shared,
        )
        config.check_tasks()
    else:
        data.spec()
        config = FusionPipelineConfig(
            run_dir="",
            batch_size=batch_size,
            train_steps=train_steps,
            max_return_drop=max_return_drop,
            candidate_buckets=candidate_buckets,
            **_given(
                {
                    "method": method,
                    "baselines": baselines,
                    "response": response,
                    "users": users,
                    "pool": pool,
                    "candidates": candidates,
                    "sessions": sessions,
                    "eval_sessions": eval_sessions,
                }
            ),
            **shared,
        )
    log = Path(output_dir, "compile.log")
    require_log(log, "--output-dir", output_dir)
    context.ensure_object(Invocation).log_file = log
    with output_to_log(log) as terminal:
        console = Console(file=terminal, width=None if terminal.isatty() else 120)
        if infra_validator not in (None, "none"):
            console.print(_NO_INFRA_VALIDATOR.format(infra_validator))
        with console.status("loading TensorFlow and TFX"):
            from mtfx.pipelines.kubeflow.fusion import create_fusion_pipeline
            from mtfx.pipelines.kubeflow.ranking import create_ranking_pipeline
            from mtfx.pipelines.kubeflow.runner import compile_pipeline
        if isinstance(config, RankingPipelineConfig):
            pipeline = create_ranking_pipeline(config, cluster, days or 1)
        else:
            pipeline = create_fusion_pipeline(config, cluster, data.dataset, data_dir)
        compiled = compile_pipeline(pipeline, cluster, output_dir)
        console.print(_table(compiled))
        console.print(str(compiled.path), soft_wrap=True, markup=False)


def _table(compiled: CompiledPipeline) -> Table:
    table = Table(title=f"{compiled.name}: {len(compiled.stages)} stages")
    table.add_column("parameter")
    table.add_column("default")
    for name, value in compiled.parameters.items():
        table.add_row(name, "(to be given)" if value is None else str(value))
    return table
