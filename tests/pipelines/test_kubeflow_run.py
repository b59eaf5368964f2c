"""Both pipelines' compiled specs, run container by container on small data, twice each."""

import json
from pathlib import Path

import pytest
import tensorflow as tf
import yaml

from mtfx.datasets.synthetic.config import SyntheticConfig
from mtfx.datasets.synthetic.synthesis import synthesize
from mtfx.errors import DataError
from mtfx.evaluation.config import Thresholds
from mtfx.models.config import ModelConfig
from mtfx.pipelines.config import RankingPipelineConfig
from mtfx.pipelines.fusion_config import FusionPipelineConfig
from mtfx.pipelines.kubeflow.config import KubeflowConfig
from mtfx.pipelines.kubeflow.fusion import create_fusion_pipeline
from mtfx.pipelines.kubeflow.ranking import create_ranking_pipeline
from mtfx.pipelines.kubeflow.runner import compile_pipeline
from mtfx.pipelines.options import DataOptions
from mtfx.trainers.ranking.config import TrainingConfig
from tests.kubeflow_backend import Backend

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
TASKS = ("click", "long_view", "like")
DATASET = "tests.small_video:SPEC"
BUCKET = "gs://bucket"
CLUSTER = KubeflowConfig(image="registry.example.com/mtfx:1", pipeline_root=f"{BUCKET}/root")


@pytest.fixture(scope="module")
def bucket(tmp_path_factory):
    directory = tmp_path_factory.mktemp("bucket")
    for day in (1, 2):
        config = SyntheticConfig(profile="video", impressions=4000, seed=day)
        synthesize(config, directory / "data" / f"day-{day}")
    return directory


@pytest.fixture(scope="module")
def backend(bucket):
    return Backend(BUCKET, bucket)


def compiled(pipeline, directory):
    return yaml.safe_load(compile_pipeline(pipeline, CLUSTER, str(directory)).path.read_text())


@pytest.fixture(scope="module")
def ranking_spec(tmp_path_factory):
    config = RankingPipelineConfig(
        data=DataOptions(DATASET, f"{BUCKET}/data", TASKS, pattern="day-{SPAN}/*"),
        output_dir="unused",
        model=ModelConfig.of_size("small", "shared_bottom"),
        training=TrainingConfig(epochs=1, batch_size=128),
        thresholds=Thresholds(min_auc=0.0, max_auc_drop=1.0, allow_worse_than_rate=True),
    )
    return compiled(create_ranking_pipeline(config, CLUSTER), tmp_path_factory.mktemp("specs"))


@pytest.fixture(scope="module")
def first(backend, ranking_spec):
    return backend.run(ranking_spec, seed=7)


def read_json(path):
    return json.loads(Path(path).read_text())


def versions(bucket, kind):
    return sorted((bucket / "root" / "serving" / kind).glob("*/saved_model.pb"))


def test_a_first_run_has_no_baseline_and_pushes(bucket, first):
    assert first["Evaluator.blessing"]["metadata"]["blessed"] == 1
    assert "baseline_model" not in first["Evaluator.blessing"]["metadata"]
    assert first["Pusher.pushed_model"]["metadata"]["pushed"] == 1
    assert len(versions(bucket, "ranking")) == 1
    model = f"{first['Trainer.model']['uri']}/Format-Serving"
    made_from = read_json(f"{model}/assets.extra/mtfx.json")["config"]
    # The run's, not the one that was compiled.
    assert made_from["training"]["seed"] == made_from["model"]["sizes"]["seed"] == 7


def test_a_second_run_reads_the_window_and_compares_with_what_was_pushed(
    bucket, backend, ranking_spec, first
):
    second = backend.run(ranking_spec, span=2, days=2)
    baseline = second["Evaluator.blessing"]["metadata"]["baseline_model"]
    assert baseline == second["CurrentModel.model"]["uri"]
    assert second["SpanExampleGen.examples"]["metadata"]["span"] == 2
    rows = [
        read_json(f"{run['SpanExampleGen.examples']['uri']}/ingestion.json")
        for run in (first, second)
    ]
    assert sum(rows[0]["impressions"].values()) < sum(rows[1]["impressions"].values())
    assert second["Evaluator.blessing"]["metadata"]["blessed"] == 1
    assert len(versions(bucket, "ranking")) == 2


def test_a_delivery_that_is_missing_stops_the_run(backend, ranking_spec):
    with pytest.raises(DataError, match="no delivery 3 of day"):
        backend.run(ranking_spec, span=3)


def test_fusion_takes_three_addresses_and_pushes_a_ranker_with_its_policy(
    bucket, backend, first, tmp_path
):
    config = FusionPipelineConfig(
        run_dir="unused",
        baselines=("constant", "td3"),
        users=40,
        pool=60,
        candidates=20,
        sessions=200,
        eval_sessions=100,
        train_steps=50,
        batch_size=32,
        settings=(("hidden_units", (16,)),),
        # The least careful estimate, which blesses what so little training gives.
        estimator="importance_sampling",
    )
    spec = compiled(
        create_fusion_pipeline(config, CLUSTER, DATASET, f"{BUCKET}/data/day-1"), tmp_path
    )
    addresses = {
        "ranking_model": first["Trainer.model"]["uri"],
        "transform_graph": first["Transform.transform_graph"]["uri"],
        "examples": first["SpanExampleGen.examples"]["uri"],
    }
    made = backend.run(spec, seed=3, **addresses)
    comparison = read_json(f"{made['PolicyComparison.comparison']['uri']}/comparison.json")
    assert {row["policy"] for row in comparison["policies"]} == {"constant", "td3", "bcq"}
    blessed = made["PolicyEvaluator.blessing"]["metadata"]["blessed"] == 1
    for kind, stage in (("ranker", "Pusher"), ("policy", "PolicyPusher")):
        assert (made[f"{stage}.pushed_model"]["metadata"]["pushed"] == 1) == blessed
        assert len(versions(bucket, kind)) == blessed
    ranker = tf.saved_model.load(f"{made['RankerExporter.model']['uri']}/Format-Serving")
    assert {"serving_default", "predict_tasks", "explore", "curves"} <= set(ranker.signatures)
    again = backend.run(spec, **addresses)
    compared = "baseline_model" in again["PolicyEvaluator.blessing"]["metadata"]
    assert compared == blessed
