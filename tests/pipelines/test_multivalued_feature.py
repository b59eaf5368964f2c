"""Features of several values from a log to a served ranker: real components, a real SavedModel."""

import json
import os

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_transform as tft

from mtfx.components.ranker_exporter.warmup_requests import merged_request
from mtfx.datasets.fused_predictions import probabilities
from mtfx.datasets.logs.impressions import FeatureTransform, raw_features, read_raw_impressions
from mtfx.datasets.request_state import RequestStateConfig
from mtfx.evaluation.config import Thresholds
from mtfx.models.config import ModelConfig
from mtfx.models.export.transformed import TransformedRanker
from mtfx.models.export.transformed_features import FeatureColumns
from mtfx.models.fusion.config import FusionConfig, build_fusion
from mtfx.models.model_inputs import model_inputs
from mtfx.models.request_state import RequestState
from mtfx.pipelines import local_runner
from mtfx.pipelines.config import RankingPipelineConfig
from mtfx.pipelines.options import DataOptions
from mtfx.pipelines.ranking import run_ranking
from mtfx.trainers.ranking.config import TrainingConfig
from mtfx.trainers.ranking.input import load_sessions
from tests.tagged_log import SPEC, write_log

pytestmark = pytest.mark.timeout(900)


class Recorder(local_runner.SilentObserver):
    """Keeps each stage's result."""

    def __init__(self):
        self.stages = {}

    def finished(self, result):
        self.stages[result.name] = result

    def output(self, stage, key):
        return self.stages[stage].outputs[key][0].uri


def run(directory, form):
    config = RankingPipelineConfig(
        data=DataOptions("tests.tagged_log:SPEC", str(write_log(directory / "log", form))),
        output_dir=str(directory / "run"),
        model=ModelConfig.of_size("small", "shared_bottom"),
        training=TrainingConfig(epochs=8, batch_size=64),
        thresholds=Thresholds(min_auc=0.7),
        seed=5,
    )
    recorder = Recorder()
    run_ranking(config, recorder, "mtfx ranking")
    return recorder, json.loads((directory / "run" / "report" / "summary.json").read_text())


@pytest.fixture(scope="module")
def parquet(tmp_path_factory):
    return run(tmp_path_factory.mktemp("parquet"), "parquet")


@pytest.fixture(scope="module")
def model(parquet):
    return tf.saved_model.load(parquet[1]["pushed_model"])


@pytest.fixture(scope="module")
def records(parquet):
    """Serialized sessions of the evaluation split, in the order of Transform's."""
    return session_records(parquet[0].output("SessionExampleGen", "examples"), "eval")


def session_records(uri, split):
    files = sorted(tf.io.gfile.glob(os.path.join(uri, f"Split-{split}", "*")))
    return [r.numpy() for r in tf.data.TFRecordDataset(files, compression_type="GZIP")]


def described(record):
    return tf.train.Example.FromString(record).SerializeToString(deterministic=True)


def click(model, records):
    """Predictions of all impressions of sessions, one after another."""
    answer = model.signatures["serving_default"](tf.constant(records))["click"].numpy()
    lengths = [
        len(tf.train.Example.FromString(r).features.feature["item_id"].int64_list.value)
        for r in records
    ]
    return np.concatenate([row[:n] for row, n in zip(answer, lengths, strict=True)])


def changed(record, **values):
    """A session with other lists of bytes."""
    example = tf.train.Example.FromString(record)
    for name, value in values.items():
        target = example.features.feature[name].bytes_list.value
        del target[:]
        target.extend(value)
    return example.SerializeToString()


def tags_of(record):
    return list(tf.train.Example.FromString(record).features.feature["tags"].bytes_list.value)


def test_what_follows_from_tags_alone_is_learned(parquet):
    # The best that can be known of these clicks has an AUC of 0.9; without tags it is 0.5.
    _, summary = parquet
    assert summary["blessed"], summary["blessing_reasons"]
    assert summary["metrics"]["click"]["auc"] > 0.75
    assert any("more than 3 values of tags" in note for note in summary["notes"])


def test_sessions_are_served_as_they_were_trained(parquet, model, records):
    recorder, _ = parquet
    output = tft.TFTransformOutput(recorder.output("Transform", "transform_graph"))
    inputs = model_inputs(SPEC, output)
    pattern = os.path.join(recorder.output("Transform", "transformed_examples"), "Split-eval", "*")
    table = load_sessions(pattern, output.transformed_feature_spec(), inputs, SPEC.select_tasks())
    rows = table.num_impressions
    packed = FeatureColumns(inputs).pack(table.features, tf.constant(rows), tf.constant(rows))
    trained = model.predict_transformed(*packed, tf.range(rows, dtype=tf.int64))["click"].numpy()
    np.testing.assert_allclose(np.sort(click(model, records)), np.sort(trained), rtol=1e-4)


def test_order_and_repetition_of_values_do_not_matter(model, records):
    for record in records[:20]:
        turned = [
            b"| " + b"|".join([*reversed(values.split(b"|")), *values.split(b"|")])
            for values in tags_of(record)
        ]
        np.testing.assert_allclose(
            click(model, [changed(record, tags=turned)]), click(model, [record]), rtol=1e-5
        )


def test_other_unknown_and_no_values_are_served(model, records):
    def answers(tags):
        own = [changed(r, interests=[b"music"], tags=[tags] * len(tags_of(r))) for r in records]
        return click(model, own)

    found = [answers(tags) for tags in (b"music", b"sport", b"never seen", b"")]
    assert np.isfinite(found).all()
    assert np.mean(found[0]) > np.mean(found[1])
    assert len({float(np.mean(values)) for values in found}) == 4
    record = records[0]
    unsaid = tf.train.Example.FromString(record)
    del unsaid.features.feature["interests"]
    nothing = changed(record, interests=[b""])
    np.testing.assert_allclose(
        click(model, [unsaid.SerializeToString()]), click(model, [nothing]), rtol=1e-6
    )


def test_a_list_that_is_one_short_is_refused_by_name(model, records):
    record = next(r for r in records if len(tags_of(r)) > 1)
    with pytest.raises(tf.errors.InvalidArgumentError, match="features tags and item_id"):
        model.signatures["serving_default"](
            tf.constant([changed(record, tags=tags_of(record)[1:])])
        )


def test_raw_tensors_and_frames_give_the_same(parquet, model, records):
    recorder, _ = parquet
    output = tft.TFTransformOutput(recorder.output("Transform", "transform_graph"))
    pattern = os.path.join(recorder.output("SessionExampleGen", "examples"), "Split-eval", "*")
    frame = read_raw_impressions(pattern, output)
    raw = raw_features(frame, SPEC)
    expected = click(model, records)
    np.testing.assert_allclose(
        model.signatures["predict_tasks"](**raw)["click"], expected, rtol=1e-4
    )
    features = FeatureTransform(output, SPEC)(frame)
    assert features["tags"].shape == (frame.height, 3)
    columns = FeatureColumns(model_inputs(SPEC, output))
    rows = tf.constant(frame.height)
    packed = columns.pack({n: tf.constant(v) for n, v in features.items()}, rows, rows)
    found = model.predict_transformed(*packed, tf.range(frame.height, dtype=tf.int64))["click"]
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_a_ranker_takes_them_raw_transformed_and_compiled(model, records):
    state = RequestStateConfig()
    ranker = TransformedRanker(
        model,
        probabilities(("click",)),
        build_fusion(FusionConfig(), 1),
        lambda states: states[:, -1:],
        len(state.names) + 1,
        request_state=RequestState(state),
    )
    ranker.compile_for((8, 64))
    request = merged_request(records, 20)
    expected = model.signatures["serving_default"](tf.constant([request]))["click"][0]
    served = ranker.serve(tf.constant(request))
    np.testing.assert_allclose(served["predictions"][:, 0], expected, rtol=1e-4)
    stored = ranker.transform(tf.constant([request]))
    assert stored["session_ids"].shape == (1, 3)
    assert stored["impression_ids"].shape == (20, 4)
    ranked = ranker.rank_transformed(
        stored["request_state"][0],
        stored["session_ids"][0],
        stored["session_values"][0],
        stored["impression_ids"],
        stored["impression_values"],
    )
    np.testing.assert_allclose(ranked["predictions"], served["predictions"], rtol=1e-4)


@pytest.mark.slow
def test_delimited_text_gives_the_model_of_the_lists(parquet, model, records, tmp_path):
    recorder, summary = run(tmp_path, "csv")
    uri = recorder.output("SessionExampleGen", "examples")
    # The fields of a record come in any order.
    mine, theirs = (
        sorted(described(r) for r in part) for part in (session_records(uri, "eval"), records)
    )
    assert mine == theirs
    assert summary["metrics"]["click"]["auc"] == pytest.approx(
        parquet[1]["metrics"]["click"]["auc"], abs=0.03
    )
    again = tf.saved_model.load(summary["pushed_model"])
    assert np.corrcoef(click(again, records), click(model, records))[0, 1] > 0.5
