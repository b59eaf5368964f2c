"""A distribution that moved too far stops the run; the same one and its noise do not."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_data_validation as tfdv
from tensorflow_data_validation.statistics.stats_impl import generate_statistics_in_memory
from tfx.types import standard_artifacts
from tfx.utils import json_utils
from tfx_bsl.coders.example_coder import ExamplesToRecordBatchDecoder

from components.session_schema import build_schema
from components.strict_distribution_validator.comparators import (
    DriftThresholds,
    compared_columns,
    validator_config,
)
from components.strict_distribution_validator.component import Executor
from datasets.errors import DataError
from datasets.registry import load_dataset

SPEC = load_dataset("kuairand")
LABELS = {task.name for task in SPEC.tasks if task.kind == "binary"}


def _statistics(
    directory, seed, sessions=300, click=0.4, watch_scale=1.0, tag=("a", "b"), like=0.0
):
    """Sessions of three views with the columns that are compared; all others constant."""
    rng = np.random.default_rng(seed)
    directory.mkdir(parents=True)
    compared = compared_columns(SPEC)
    records = []
    for _ in range(sessions):
        example = tf.train.Example()
        for name, kind in compared.items():
            feature = example.features.feature[name]
            if name in LABELS:
                rate = {"click": click, "like": like}.get(name, 0.0)
                feature.int64_list.value.extend((rng.random(3) < rate).astype(int).tolist())
            elif name == "watch_time_ms":
                feature.float_list.value.extend((rng.exponential(8000.0, 3) * watch_scale).tolist())
            elif name == "tag":
                feature.bytes_list.value.extend([rng.choice(tag).encode() for _ in range(3)])
            elif kind == "category":
                feature.bytes_list.value.extend([b"same"] * 3)
            else:
                feature.float_list.value.extend([1.0, 2.0, 3.0])
        records.append(example.SerializeToString())
    stats = generate_statistics_in_memory(
        ExamplesToRecordBatchDecoder().DecodeBatch(records),
        tfdv.StatsOptions(schema=build_schema(SPEC)),
    )
    (directory / "Split-train").mkdir()
    (directory / "Split-train" / "FeatureStats.pb").write_bytes(stats.SerializeToString())
    artifact = standard_artifacts.ExampleStatistics()
    artifact.uri, artifact.split_names = str(directory), '["train"]'
    artifact.span = 1
    return artifact


@pytest.fixture(scope="module")
def baseline(tmp_path_factory):
    return _statistics(tmp_path_factory.mktemp("baseline") / "stats", 0)


def _validate(tmp_path, statistics, baseline, thresholds=None):
    anomalies = standard_artifacts.ExampleAnomalies()
    anomalies.uri = str(tmp_path / "anomalies")
    Executor().Do(
        {"statistics": [statistics], "baseline_statistics": [baseline] if baseline else []},
        {"anomalies": [anomalies]},
        {
            "distribution_validator_config": validator_config(
                SPEC, thresholds or DriftThresholds()
            ),
            "include_split_pairs": json_utils.dumps(None),
            "custom_validation_config": None,
        },
    )


def test_another_day_of_the_same_world_passes(tmp_path, baseline):
    _validate(tmp_path, _statistics(tmp_path / "today", 1), baseline)


def test_the_first_day_has_nothing_to_be_compared_with(tmp_path, baseline):
    _validate(tmp_path, baseline, None)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"click": 0.95}, "'click'.*Linfty"),
        ({"watch_scale": 40.0}, "'watch_time_ms'.*Jensen"),
        ({"tag": ("b",)}, "'tag'.*Linfty"),
        ({"sessions": 30}, "number of sessions"),
        ({"sessions": 1700}, "number of sessions"),
    ],
)
def test_a_shift_names_the_column_and_how_far_it_moved(tmp_path, baseline, change, words):
    with pytest.raises(DataError, match=words):
        _validate(tmp_path, _statistics(tmp_path / "today", 1, **change), baseline)


def test_a_wider_threshold_lets_it_pass(tmp_path, baseline):
    statistics = _statistics(tmp_path / "today", 1, click=0.95)
    _validate(tmp_path, statistics, baseline, DriftThresholds(l_infinity=0.9))


def test_a_rare_label_that_nobody_gave_today_passes(tmp_path, baseline):
    """TFDV's divergence calls two histograms of a constant and of a rare 1 wholly different."""
    today = _statistics(tmp_path / "today", 1)
    yesterday = _statistics(tmp_path / "yesterday", 1, like=0.01)
    _validate(tmp_path, today, yesterday)
    _validate(tmp_path / "again", yesterday, today)


@pytest.mark.parametrize(
    "field", [{"jensen_shannon": 0.0}, {"l_infinity": 1.5}, {"least_examples": 1.0}]
)
def test_thresholds_out_of_range_are_named(field):
    with pytest.raises(ValueError, match=next(iter(field))):
        DriftThresholds(**field)


def test_ids_and_times_are_not_compared():
    compared = compared_columns(SPEC)
    assert compared["click"] == compared["tag"] == "category"
    assert compared["watch_time_ms"] == "number"
    assert not {"user_id", "item_id", "timestamp_ms", "session_id"} & set(compared)
