"""Summary of a run of the fusion pipeline, gathered from what its stages left."""

from __future__ import annotations

import json
import os
from typing import Any

from tfx.utils import path_utils

from mtfx.components.headroom_estimator import HEADROOM_FILE
from mtfx.components.policy_comparison import COMPARISON_FILE
from mtfx.components.policy_selector import SELECTION_FILE
from mtfx.environments.simulator.world import INDEPENDENT, load_caveat, load_predictions
from mtfx.evaluation.policies.comparison import PolicyRow, paired_from_json, rows_from_json
from mtfx.evaluation.policies.selection import Selection
from mtfx.evaluation.reports.fusion import FusionSummary
from mtfx.evaluation.reports.policy import SUMMARY_FILE
from mtfx.evaluation.simulator import headroom
from mtfx.files import read_json
from mtfx.pipelines.code_version import code_version
from mtfx.pipelines.fusion_config import FusionPipelineConfig
from mtfx.pipelines.local_pipeline import pushed_model
from mtfx.pipelines.local_runner import RunResult
from mtfx.trainers.fusion.run import HISTORY_FILE


def summarise_run(config: FusionPipelineConfig, result: RunResult, command: str) -> FusionSummary:
    """Reads the artifacts of a finished run.

    Args:
      config: What ran.
      result: Where its outputs are.
      command: The command line that repeats it.

    Returns:
      The summary that the console and ``summary.json`` show.
    """
    evaluation = result.output("PolicyEvaluator", "evaluation").uri
    found = _read(evaluation, SUMMARY_FILE)
    comparison = _read(result.output("PolicyComparison", "comparison").uri, COMPARISON_FILE)
    trainer = f"Trainer-{config.method}"
    selector = "PolicySelector"
    selection = None
    if selector in result.stages:
        chosen = _read(result.output(selector, "selection").uri, SELECTION_FILE)
        selection = Selection.from_json(chosen)
    policy = path_utils.serving_model_path(result.output(trainer, "model").uri)
    about = _read(os.path.join(policy, "assets.extra"), "mtfx.json")["config"]
    return FusionSummary(
        dataset=config.ranking_run()["dataset"],
        method=config.method,
        seed=config.seed,
        ranking_model=result.output("LatestBlessedRanking", "model").uri,
        comparison=rows_from_json(comparison["policies"]),
        training_users=rows_from_json(comparison["training_users"]),
        ahead={name: paired_from_json(test) for name, test in comparison["ahead"].items()},
        sessions=comparison["sessions"],
        evaluation=evaluation,
        estimates=found["estimates"],
        current=found["current"],
        logged=found["logged"],
        gamma=found["gamma"],
        bar=found["bar"],
        bar_source=found["bar_source"],
        reasons=[*found["reasons"], *found["notes"]],
        blessed=bool(found["blessed"]),
        pushed_model=pushed_model(result),
        interactions={"train": about["transitions"]},
        history=_read(result.output(trainer, "model_run").uri, HISTORY_FILE),
        headroom=_headroom(config, result),
        independent=_independent(result),
        caveat=load_caveat(_simulator(config, result)),
        seconds=result.seconds,
        config=json.loads(config.to_json()),
        command=command,
        code_version=code_version(),
        ranker=path_utils.serving_model_path(result.output("RankerExporter", "model").uri),
        simulator=_simulator(config, result),
        policy=result.output(trainer if selection is None else selector, "model").uri,
        selection=selection,
        predictions=[
            {"name": one.name, "map": one.formula, "of": one.axis}
            for one in load_predictions(_simulator(config, result))
        ],
    )


def _headroom(config: FusionPipelineConfig, result: RunResult) -> tuple[headroom.HeadroomRow, ...]:
    if not config.headroom or config.served is not None:
        return ()
    found = result.output("HeadroomEstimator", "headroom_estimate").uri
    return headroom.rows_from_json(_read(found, HEADROOM_FILE))


def _independent(result: RunResult) -> tuple[PolicyRow, ...]:
    stage = f"PolicyComparison-{INDEPENDENT}"
    if stage not in result.stages:
        return ()
    found = _read(result.output(stage, "comparison").uri, COMPARISON_FILE)
    return rows_from_json(found["policies"])


def _simulator(config: FusionPipelineConfig, result: RunResult) -> str:
    if config.served is not None and config.keep_simulator:
        return config.served_simulator
    return result.output("SimulatorGen", "simulator").uri


def _read(directory: str, name: str) -> Any:
    return read_json(os.path.join(directory, name))
