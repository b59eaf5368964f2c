"""The data part of the pipeline, on a small log."""

import glob
import json

import pytest
import tensorflow as tf
import tensorflow_transform as tft

from mtfx.cli.experiment_data import prepare_data
from mtfx.datasets.synthetic import SyntheticConfig, synthesize
from mtfx.experiments.engine.data import PreparedData
from mtfx.pipelines.beam_args import local_beam_args
from mtfx.pipelines.local_runner import SilentObserver
from mtfx.pipelines.options import DataOptions

pytestmark = pytest.mark.slow


class Statuses(SilentObserver):
    def __init__(self):
        self.by_stage = {}

    def finished(self, result):
        self.by_stage[result.name] = result.status


@pytest.fixture(scope="module")
def prepare(tmp_path_factory):
    directory = tmp_path_factory.mktemp("data")
    synthesize(SyntheticConfig(profile="shop", impressions=3000, seed=3), directory / "data")

    def prepare(output):
        observer = Statuses()
        data = DataOptions("synthetic", str(directory / "data"))
        prepared = prepare_data(data, str(directory / output), observer, local_beam_args())
        return prepared, observer.by_stage

    return prepare


def test_all_three_splits_are_transformed_once(prepare):
    prepared, _ = prepare("run")
    assert prepared.dataset == "synthetic-shop"
    assert prepared.tasks == ("click", "pay")
    assert sum(prepared.impressions.values()) > 2000
    assert prepared.data_span[0] < prepared.data_span[1]
    spec = tft.TFTransformOutput(prepared.transform_graph).transformed_feature_spec()
    for split, pattern in prepared.splits.items():
        files = glob.glob(pattern)
        records = list(tf.data.TFRecordDataset(files, compression_type="GZIP"))
        assert len(records) == prepared.sessions[split]
        sessions = tf.io.parse_example(records, spec)
        assert len(sessions["click"].flat_values) == prepared.impressions[split]
    again, statuses = prepare("run")
    assert again == prepared
    assert set(statuses.values()) == {"cached"}


def test_the_same_data_prepared_elsewhere_has_the_same_fingerprint(prepare):
    one, _ = prepare("run")
    other, statuses = prepare("other")
    assert "cached" not in statuses.values()
    assert other.transform_graph != one.transform_graph
    assert other.fingerprint == one.fingerprint


def test_what_was_prepared_is_kept_as_json(prepare, tmp_path_factory):
    prepared, _ = prepare("run")
    root = prepared.transform_graph.split("/pipeline/")[0]
    [path] = glob.glob(f"{root}/prepared/*.json")
    with open(path) as file:
        text = file.read()
    assert PreparedData.from_json(text) == prepared
    assert json.loads(text)["fingerprint"] == prepared.fingerprint
