"""Trees beside a run's model: what fails, and what is remembered; test_ranking.py runs them."""

import dataclasses
import json

import numpy as np
import pytest

from mtfx.errors import StageError
from mtfx.evaluation.ranking.paired_comparison import PairedComparison, RankerFigures, TreesBeside
from mtfx.evaluation.ranking.trees import TreeInputs
from mtfx.pipelines import trees
from mtfx.pipelines.config import RankingPipelineConfig
from mtfx.pipelines.judging import JudgedSplit
from mtfx.pipelines.local_runner import OutputArtifact, RunResult, SilentObserver, StageResult
from mtfx.pipelines.options import DataOptions

BESIDE = TreesBeside(
    "test", (PairedComparison("click", "binary", RankerFigures(), RankerFigures()),), 1.0, 2
)


class Failures(SilentObserver):
    def __init__(self):
        self.stages = []

    def failed(self, stage, seconds, error):
        self.stages.append(stage)


@pytest.fixture
def config(tmp_path):
    data = DataOptions("retailrocket", "data", tasks=("click",))
    return RankingPipelineConfig(data, str(tmp_path), compare_trees=True)


def finished(config, model="model"):
    where = {
        ("SessionExampleGen", "examples"): "examples",
        ("SchemaGen", "schema"): "schema",
        ("Transform", "transform_graph"): "graph",
        ("Transform", "transformed_examples"): "transformed",
        ("Trainer", "model"): model,
    }
    outputs = {}
    for (stage, key), name in where.items():
        outputs.setdefault(stage, {})[key] = (OutputArtifact(f"{config.output_dir}/{name}", {}),)
    stages = {name: StageResult(name, "finished", 1.0, found) for name, found in outputs.items()}
    return RunResult("run", stages)


def test_a_comparison_is_made_once_for_each_model(config, monkeypatch):
    made = []
    monkeypatch.setattr(trees, "compare_with_trees", lambda *a, **b: made.append(a) or BESIDE)
    for model, status, number in (
        ("model", "finished", 1),
        ("model", "cached", 1),
        ("other", "finished", 2),
    ):
        beside, stage = trees.trees_of_run(config, finished(config, model), SilentObserver())
        assert (beside, stage.status, len(made)) == (BESIDE, status, number)
    path = config.report_dir / trees.TREES_FILE
    assert json.loads(path.read_text())["key"]["artifacts"][-1] == "other"
    path.write_text("{")
    assert trees.trees_of_run(config, finished(config), SilentObserver())[1].status == "finished"


def test_a_failure_is_that_of_a_stage(config):
    observer = Failures()
    with pytest.raises(StageError) as raised:
        trees.trees_of_run(config, finished(config), observer)
    assert (raised.value.stage, observer.stages) == (trees.STAGE, [trees.STAGE])


def test_the_comparison_changes_nothing_about_the_model(config):
    assert dataclasses.replace(config, compare_trees=False).config_digest == config.config_digest


def test_other_impressions_are_noticed():
    labels = {"click": np.float32([0, 1, 1])}
    inputs = TreeInputs({"a": np.zeros(3)}, {}, labels)
    trees.require_same(JudgedSplit(np.arange(3), labels, labels), inputs)
    other = {"click": np.float32([1, 0, 1])}
    with pytest.raises(ValueError, match="other impressions: click differs"):
        trees.require_same(JudgedSplit(np.arange(3), other, labels), inputs)
