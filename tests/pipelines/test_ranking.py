"""The whole pipeline on a small synthetic log: real TFX components, a real SavedModel."""

import dataclasses
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_transform as tft
from sklearn.metrics import log_loss, roc_auc_score

from mtfx.components.session_example_gen.summary import IngestionSummary
from mtfx.datasets.fused_predictions import probabilities
from mtfx.datasets.history import statistic_columns
from mtfx.datasets.request_state import RequestStateConfig
from mtfx.datasets.synthetic import SyntheticConfig, synthesize
from mtfx.evaluation.config import Thresholds
from mtfx.evaluation.ranking.paired_comparison import TreesBeside
from mtfx.models.config import ModelConfig
from mtfx.models.export.transformed import TransformedRanker
from mtfx.models.export.transformed_features import FeatureColumns
from mtfx.models.fusion.config import FusionConfig, build_fusion
from mtfx.models.history_columns import HistoryColumns
from mtfx.models.model_inputs import ranking_inputs
from mtfx.models.request_state import RequestState
from mtfx.pipelines import local_runner
from mtfx.pipelines.config import RankingPipelineConfig
from mtfx.pipelines.judging import judge
from mtfx.pipelines.options import DataOptions
from mtfx.pipelines.ranking import create_pipeline, run_ranking
from mtfx.pipelines.trees import RunFiles, read_split, require_same, trees_of_run
from mtfx.trainers.ranking.config import TrainingConfig
from mtfx.trainers.ranking.input import impression_batches

# The run that all of them look at takes three minutes on a busy machine.
pytestmark = pytest.mark.timeout(900)
TASKS = ("click", "long_view", "watch_time_ms")


class Recorder(local_runner.SilentObserver):
    """Keeps each stage's result."""

    def __init__(self):
        self.stages = {}

    def finished(self, result):
        self.stages[result.name] = result


@dataclasses.dataclass
class Run:
    """A finished run."""

    config: RankingPipelineConfig
    summary: object
    stages: dict

    @property
    def report(self):
        with open(os.path.join(self.config.output_dir, "report", "summary.json")) as file:
            return json.load(file)


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    directory = tmp_path_factory.mktemp("ranking")
    synthesize(SyntheticConfig(profile="video", impressions=6000, seed=3), directory / "data")
    return RankingPipelineConfig(
        data=DataOptions("tests.small_video:SPEC", str(directory / "data"), tasks=TASKS),
        output_dir=str(directory / "run"),
        model=ModelConfig.of_size("small", "shared_bottom"),
        training=TrainingConfig(epochs=2, batch_size=128),
        thresholds=Thresholds(min_auc=0.0, min_r_squared=-10.0, allow_worse_than_rate=True),
        compare_trees=True,
        seed=5,
    )


@pytest.fixture(scope="module")
def run(config):
    recorder = Recorder()
    return Run(config, run_ranking(config, recorder, "mtfx ranking"), recorder.stages)


def output(run, stage, key):
    return run.stages[stage].outputs[key][0].uri


def test_the_model_is_blessed_pushed_and_reported(run):
    report = run.report
    assert report["blessed"], report["blessing_reasons"]
    assert os.path.exists(os.path.join(report["pushed_model"], "saved_model.pb"))
    assert sum(report["impressions"].values()) == 6000
    assert report["sessions"]["train"] == pytest.approx(
        0.6 * sum(report["sessions"].values()), rel=0.02
    )
    assert set(report["metrics"]) == set(TASKS)
    assert report["quarantined"] == 0
    assert set(run.stages) == set(report["seconds"])
    page = Path(run.config.output_dir, "report", "index.html").read_text()
    assert not re.findall(r'(?:src|href)="(?:https?:)?//', page), "the page needs the network"


def test_the_model_is_compared_with_trees_on_the_impressions_that_it_is_judged_by(run):
    trees = run.report["trees"]
    assert [task["task"] for task in trees["tasks"]] == list(TASKS)
    for task in trees["tasks"]:
        measured = run.report["metrics"][task["task"]]
        name, tolerance = ("auc", 2e-3) if task["kind"] == "binary" else ("rmse", 1e-3)
        assert task["model"][name] == pytest.approx(measured[name], rel=tolerance)
        assert task["low"] < task["difference"] < task["high"]
    page = Path(run.config.output_dir, "report", "index.html").read_text()
    assert "Beside boosted trees" in page
    recorder = Recorder()
    result = local_runner.RunResult("again", run.stages)
    beside, stage = trees_of_run(run.config, result, recorder)
    assert (beside, stage.status) == (TreesBeside.from_dict(trees), "cached")
    files, spec = RunFiles.of(result), run.config.data.spec()
    judged = read_split(files, "eval", spec, run.config.data.selected_tasks())
    model = output(run, "Trainer", "model")
    require_same(
        judge(files.examples, files.schema, model, "eval", run.config.data.selected_tasks()), judged
    )


def test_impressions_are_served_with_the_history_that_they_were_trained_with(run):
    spec, tasks = run.config.data.spec(), run.config.data.selected_tasks()
    transform = tft.TFTransformOutput(output(run, "Transform", "transform_graph"))
    inputs = ranking_inputs(spec, transform, run.config.model.history.length)
    pattern = os.path.join(output(run, "Transform", "transformed_examples"), "Split-eval", "*")
    batches = impression_batches(
        pattern,
        transform.transformed_feature_spec(),
        inputs,
        tasks,
        4096,
        shuffle=False,
        seed=0,
        history=HistoryColumns(inputs, spec.tasks),
    )
    (features, _), *others = batches
    assert not others
    # Some have a history, which grows within the session.
    held = (features["history_values"].numpy()[:, :, 0] >= 0).sum(axis=1)
    assert held.max() == run.config.model.history.length
    assert (held == 0).any()
    rows = len(held)
    packed = FeatureColumns(inputs).pack(features, tf.constant(rows), tf.constant(rows))
    model = tf.saved_model.load(run.report["pushed_model"])
    trained = model.predict_transformed(*packed, tf.range(rows, dtype=tf.int64))
    files = RunFiles.of(local_runner.RunResult("again", run.stages))
    trainer = output(run, "Trainer", "model")
    served = judge(files.examples, files.schema, trainer, "eval", tasks).predictions
    for task in tasks:
        found, wanted = np.sort(served[task.name]), np.sort(trained[task.name].numpy())
        np.testing.assert_allclose(found, wanted, rtol=2e-4)


def test_the_model_records_how_it_was_made(run):
    path = Path(run.report["pushed_model"], "assets.extra", "mtfx.json")
    metadata = json.loads(path.read_text())
    assert metadata["config"]["training"]["seed"] == 5
    assert metadata["config"]["code_version"] == run.report["code_version"]
    assert metadata["columns"]["impression_ids"][0] == "item_id"
    assert metadata["calibration"] == run.report["calibration"]
    for task, line in metadata["calibration"].items():
        assert line["after"] == pytest.approx(1.0), task
        assert line["reason"] == ""
    assert set(metadata["calibration"]) == set(TASKS)
    properties = run.stages["SessionExampleGen"].outputs["examples"][0].properties
    assert properties["code_version"] == run.report["code_version"]
    assert properties["first_impression_ms"] < properties["last_impression_ms"]


def test_a_second_run_with_nothing_changed_does_nothing(run):
    recorder = Recorder()
    local_runner.run(create_pipeline(run.config), recorder)
    status = {name: stage.status for name, stage in recorder.stages.items()}
    assert status.pop("EarlierBlessedModel") == "finished"  # a resolver only looks things up
    assert set(status.values()) == {"cached"}
    pushed = os.path.dirname(run.report["pushed_model"])
    assert len(os.listdir(pushed)) == 1


def test_vocabularies_hold_training_values_only(run):
    examples = output(run, "SessionExampleGen", "examples")
    counts = Counter()
    for example in read(examples, "train"):
        counts.update(example["item_id"])
    graph = output(run, "Transform", "transform_graph")
    path = Path(graph, "transform_fn", "assets", "item_id")
    vocabulary = {int(line) for line in path.read_text().splitlines()}
    assert vocabulary == {item for item, count in counts.items() if count >= 2}


def raw_records(examples, split):
    files = sorted(tf.io.gfile.glob(os.path.join(examples, f"Split-{split}", "*")))
    return [r.numpy() for r in tf.data.TFRecordDataset(files, compression_type="GZIP")]


def read(examples, split):
    for record in raw_records(examples, split):
        features = tf.train.Example.FromString(record).features.feature
        yield {k: list(getattr(v, v.WhichOneof("kind")).value) for k, v in features.items()}


ONLY_TENSORFLOW = """
import importlib.abc, json, sys

class Refuse(importlib.abc.MetaPathFinder):
    names = {"mtfx", "tfx", "tensorflow_transform", "tensorflow_recommenders", "tfx_bsl",
             "apache_beam"}
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in self.names:
            raise ImportError("only TensorFlow may be loaded here, not " + name)

sys.meta_path.insert(0, Refuse())
import numpy as np
import tensorflow as tf

model = tf.saved_model.load(sys.argv[1])
files = tf.io.gfile.glob(sys.argv[2])
records = [r.numpy() for r in tf.data.TFRecordDataset(files, compression_type="GZIP")]
serve = model.signatures["serving_default"]
out = {name: value.numpy().tolist() for name, value in serve(tf.constant(records)).items()}
json.dump(out, sys.stdout)
"""


@pytest.fixture(scope="module")
def served(run):
    """Predictions of all test impressions, by a process that has only TensorFlow."""
    pattern = os.path.join(output(run, "SessionFlattener", "impressions"), "Split-test", "*")
    answer = subprocess.run(
        [sys.executable, "-c", ONLY_TENSORFLOW, run.report["pushed_model"], pattern],
        capture_output=True,
        check=True,
        text=True,
        cwd=os.path.dirname(run.config.output_dir),
    )
    return {name: np.asarray(rows)[:, 0] for name, rows in json.loads(answer.stdout).items()}


def test_reported_figures_equal_a_direct_computation(run, served):
    rows = list(read(output(run, "SessionFlattener", "impressions"), "test"))
    sessions = np.asarray([row["session_id"][0] for row in rows])
    for task in ("click", "long_view"):
        labels = np.asarray([row[task][0] for row in rows])
        metrics = run.report["metrics"][task]
        # The evaluation merges predictions that are within 0.01% of one another.
        assert metrics["auc"] == pytest.approx(roc_auc_score(labels, served[task]), abs=1e-3)
        assert metrics["logloss"] == pytest.approx(log_loss(labels, served[task]), abs=1e-5)
        by_session = [
            log_loss(labels[sessions == s], served[task][sessions == s], labels=[0, 1])
            for s in np.unique(sessions)
        ]
        assert metrics["s_logloss"] == pytest.approx(np.mean(by_session), abs=1e-5)
    watched = np.asarray([row["watch_time_ms"][0] for row in rows])
    rmse = np.sqrt(np.mean((watched - served["watch_time_ms"]) ** 2))
    assert run.report["metrics"]["watch_time_ms"]["rmse"] == pytest.approx(rmse, rel=1e-4)


@pytest.fixture(scope="module")
def model(run):
    return tf.saved_model.load(run.report["pushed_model"])


def as_tensors(run, rows):
    spec = run.config.data.spec()
    dtypes = {"int64": tf.int64, "string": tf.string, "float32": tf.float32}
    types = {f.name: f.dtype for f in spec.features} | statistic_columns(spec)
    return {
        name: tf.constant([row[name][0] for row in rows], dtypes[dtype])
        for name, dtype in types.items()
    }


def test_both_signatures_agree(run, model):
    impressions = output(run, "SessionFlattener", "impressions")
    rows = list(read(impressions, "test"))[:20]
    records = [without_history(record) for record in raw_records(impressions, "test")[:20]]
    served = model.signatures["serving_default"](tf.constant(records))
    # The signature of plain tensors takes no history.
    found = model.signatures["predict_tasks"](**as_tensors(run, rows))
    assert set(found) == set(TASKS)
    for task in TASKS:
        np.testing.assert_allclose(
            found[task].numpy(), served[task].numpy()[:, 0], rtol=1e-4, atol=1e-5
        )


def without_history(record):
    example = tf.train.Example.FromString(record)
    for name, feature in example.features.feature.items():
        if name.startswith("history_"):
            feature.Clear()
    return example.SerializeToString()


def test_sessions_are_served_as_they_are_trained(run, model):
    files = tf.io.gfile.glob(
        os.path.join(output(run, "SessionExampleGen", "examples"), "Split-test", "*")
    )
    records = [r.numpy() for r in tf.data.TFRecordDataset(files, compression_type="GZIP").take(8)]
    together = model.signatures["serving_default"](tf.constant(records))["click"].numpy()
    for row, record in zip(together, records, strict=True):
        alone = model.signatures["serving_default"](tf.constant([record]))["click"].numpy()[0]
        np.testing.assert_allclose(row[: len(alone)], alone, rtol=1e-5)
        assert not row[len(alone) :].any()


def test_unknown_categories_are_served(run, model):
    [row] = list(read(output(run, "SessionFlattener", "impressions"), "test"))[:1]
    tensors = as_tensors(run, [row])
    unknown = {
        name: tf.constant([b"never seen"])
        if value.dtype == tf.string
        else tf.constant([-987654321], tf.int64)
        if value.dtype == tf.int64
        else value
        for name, value in tensors.items()
    }
    found = model.signatures["predict_tasks"](**unknown)
    assert 0 < float(found["click"][0]) < 1
    assert np.isfinite(found["watch_time_ms"].numpy()).all()


def test_a_request_with_lists_of_different_lengths_is_refused_by_name(run, model):
    files = tf.io.gfile.glob(
        os.path.join(output(run, "SessionExampleGen", "examples"), "Split-test", "*")
    )
    record = next(iter(tf.data.TFRecordDataset(files, compression_type="GZIP"))).numpy()
    for name in ("tag", "tab"):  # one with a vocabulary of its own, one that shares it
        example = tf.train.Example.FromString(record)
        values = example.features.feature[name]
        more = getattr(values, values.WhichOneof("kind")).value
        more.append(more[0])
        with pytest.raises(tf.errors.InvalidArgumentError, match=f"features {name} and item_id"):
            model.signatures["serving_default"](tf.constant([example.SerializeToString()]))


def test_what_a_request_leaves_out_of_the_user_takes_its_default(run, model):
    files = tf.io.gfile.glob(
        os.path.join(output(run, "SessionExampleGen", "examples"), "Split-test", "*")
    )
    record = next(iter(tf.data.TFRecordDataset(files, compression_type="GZIP"))).numpy()
    example = tf.train.Example.FromString(record)
    del example.features.feature["onehot_feat3"]
    del example.features.feature["click"]
    found = model.signatures["serving_default"](tf.constant([example.SerializeToString()]))
    assert np.isfinite(found["click"].numpy()).all()


def test_xla_compiles_what_was_exported(run, model):
    names, state = ("click", "long_view"), RequestStateConfig()
    ranker = TransformedRanker(
        model,
        probabilities(names),
        build_fusion(FusionConfig(), len(names)),
        lambda states: tf.tanh(states[:, -len(names) :]),
        len(state.state_names(names)),
        request_state=RequestState(state),
    )
    ranker.compile_for((4, 32))
    files = tf.io.gfile.glob(
        os.path.join(output(run, "SessionExampleGen", "examples"), "Split-test", "*")
    )
    records = [r.numpy() for r in tf.data.TFRecordDataset(files, compression_type="GZIP").take(30)]
    lengths = set()
    for record in records:
        plain = model.signatures["serving_default"](tf.constant([record]))
        expected = np.stack([plain[name][0] for name in names], axis=1)
        answer = ranker.serve(tf.constant(record))
        np.testing.assert_allclose(answer["predictions"], expected, rtol=1e-4, atol=1e-6)
        lengths.add(len(expected))
    assert min(lengths) <= 4 < max(lengths)


def test_ids_that_the_model_lacks_are_named(model):
    specs = model.checked.concrete_functions[0].structured_input_signature[0]
    features = [np.zeros([2, spec.shape[1]], spec.dtype.as_numpy_dtype) for spec in specs]
    model.checked(*map(tf.constant, features))
    features[2][1, 0] = 10**9
    with pytest.raises(tf.errors.InvalidArgumentError, match="impression_ids must lie in item_id"):
        model.checked(*map(tf.constant, features))


@pytest.mark.slow
def test_a_task_without_positives_is_not_blessed_and_says_so(run):
    data = dataclasses.replace(run.config.data, tasks=("click", "forward"))
    config = dataclasses.replace(run.config, data=data)
    for path in Path(config.data.data_dir).glob("log_standard*"):  # nobody forwards anything
        lines = path.read_text().splitlines()
        at = lines[0].split(",").index("is_forward")
        rows = [line.split(",") for line in lines]
        for row in rows[1:]:
            row[at] = "0"
        path.write_text("".join(",".join(row) + "\n" for row in rows))
    summary = run_ranking(config, Recorder())
    assert not summary.blessed
    assert summary.pushed_model is None
    assert summary.evaluation.metrics["forward"].auc is None
    assert any("forward" in reason and "--tasks" in reason for reason in summary.evaluation.reasons)


@pytest.mark.slow
def test_a_killed_run_continues(config, tmp_path):
    command = [sys.executable, "-m", "mtfx.cli", "ranking"]
    command += ["--dataset", "synthetic-video", "--data-dir", config.data.data_dir]
    command += ["--output-dir", str(tmp_path / "run"), "--model-size", "small"]
    command += ["--epochs", "40", "--patience", "40", "--batch-size", "128", "--min-auc", "0"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 240
    checkpoints = tmp_path / "run" / "checkpoints"
    while not list(checkpoints.glob("*/state.json")) and time.monotonic() < deadline:
        assert process.poll() is None, "the run ended before it could be killed"
        time.sleep(0.2)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "run" / "serving").exists()
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    report = json.loads((tmp_path / "run" / "report" / "summary.json").read_text())
    assert report["blessed"]
    assert any("resumed after epoch" in note for note in report["notes"])
    assert len(report["history"]) == 40
    assert done.stdout.count("cached") >= 4
    examples = list((tmp_path / "run").glob("pipeline/SessionExampleGen/examples/*"))
    assert len(examples) == 1
    assert IngestionSummary.read(str(examples[0])).impressions
