"""A distribution that moved too far stops the run; the same one and its noise do not."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_data_validation.statistics.stats_impl import generate_statistics_in_memory
from tfx.types import standard_artifacts
from tfx.types.artifact_utils import encode_split_names
from tfx.utils import json_utils
from tfx_bsl.coders.example_coder import ExamplesToRecordBatchDecoder

from mtfx.components.session_schema import build_schema
from mtfx.components.strict_distribution_validator.comparators import (
    compared_columns,
    counted_columns,
    shown_columns,
)
from mtfx.components.strict_distribution_validator.component import (
    COMPARISONS,
    Executor,
    read_comparisons,
    statistics_options,
)
from mtfx.components.strict_distribution_validator.config import ComparisonPlan, DriftThresholds
from mtfx.datasets.registry import load_dataset
from mtfx.errors import DataError

SPEC = load_dataset("kuairand")
COUNTED = counted_columns(SPEC)
LABELS = {task.name for task in SPEC.tasks if task.kind == "binary"}


def _statistics(
    directory,
    seed,
    sessions=1000,
    click=0.4,
    watch_scale=1.0,
    tag=("a", "b"),
    like=0.0,
    author=7,
    splits=("train",),
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
            elif name in COUNTED:
                feature.int64_list.value.extend([1] * 3)
            elif kind == "category":
                feature.bytes_list.value.extend([b"same"] * 3)
            elif kind == "id":
                feature.int64_list.value.extend([author] * 3)
            else:
                feature.float_list.value.extend([1.0, 2.0, 3.0])
        example.features.feature["step"].int64_list.value.extend([0, 1, 2])
        records.append(example.SerializeToString())
    schema = build_schema(SPEC)
    for feature in schema.feature:
        if feature.name in COUNTED:
            feature.int_domain.is_categorical = True
    options = statistics_options()
    options.schema = schema
    stats = generate_statistics_in_memory(
        ExamplesToRecordBatchDecoder().DecodeBatch(records), options
    )
    (directory / "Split-train").mkdir()
    (directory / "Split-train" / "FeatureStats.pb").write_bytes(stats.SerializeToString())
    artifact = standard_artifacts.ExampleStatistics()
    artifact.uri, artifact.split_names = str(directory), encode_split_names(list(splits))
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
            "distribution_validator_config": None,
            "include_split_pairs": json_utils.dumps([("train", "train")]),
            "custom_validation_config": None,
            "plan": ComparisonPlan(
                compared_columns(SPEC), thresholds=thresholds or DriftThresholds()
            ).to_json(),
        },
    )
    return read_comparisons(anomalies.uri)


def test_another_day_of_the_same_world_passes(tmp_path, baseline):
    found = _validate(tmp_path, _statistics(tmp_path / "today", 1), baseline)
    assert {c.column for c in found} == {*compared_columns(SPEC), "number of impressions"}
    assert [c.nearness for c in found] == sorted((c.nearness for c in found), reverse=True)
    assert found[0].nearness < 1


def test_the_first_day_has_nothing_to_be_compared_with(tmp_path, baseline):
    assert _validate(tmp_path, baseline, None) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"click": 0.95}, "'click': factor of the odds .*bar.*--label-drift"),
        ({"watch_scale": 40.0}, "'watch_time_ms': Jensen.*bar.*--drift-threshold"),
        ({"tag": ("b",)}, "'tag': change of the share 0.[45].*bar.*--drift-threshold"),
        ({"author": 0}, "'author_id': change of the share 1.*now 100.0%"),
        ({"sessions": 500}, "'number of impressions': factor 2.*--rows-drift"),
        ({"sessions": 2000}, "'number of impressions': factor 2.*--rows-drift"),
    ],
)
def test_a_shift_names_the_column_and_how_far_it_moved(tmp_path, baseline, change, words):
    with pytest.raises(DataError, match=words):
        _validate(tmp_path, _statistics(tmp_path / "today", 1, **change), baseline)


def test_a_wider_threshold_lets_it_pass(tmp_path, baseline):
    statistics = _statistics(tmp_path / "today", 1, click=0.95, tag=("b",))
    wide = DriftThresholds(l_infinity=0.9, label_odds=100.0)
    _validate(tmp_path, statistics, baseline, wide)


def test_days_of_a_few_sessions_pass_unless_they_have_nothing_in_common(tmp_path):
    """At their size chance shows what would be a shift of a large day."""
    few = _statistics(tmp_path / "few", 0, sessions=20, click=0.3)
    _validate(tmp_path / "a", _statistics(tmp_path / "other", 1, sessions=15, click=0.5), few)
    with pytest.raises(DataError, match="tag"):
        _validate(tmp_path / "b", _statistics(tmp_path / "new", 2, 20, tag=("c",)), few)


def test_statistics_of_a_part_of_an_earlier_day_are_no_smaller_day(tmp_path, baseline):
    """Earlier releases kept those of a split: the first day after an upgrade is no larger one."""
    part = _statistics(tmp_path / "part", 1, sessions=500, splits=("train", "eval", "test"))
    found = _validate(tmp_path, baseline, part)
    assert {c.column for c in found} == set(compared_columns(SPEC)) - {"hour"}


def test_the_comparisons_of_a_refused_day_are_kept(tmp_path, baseline):
    with pytest.raises(DataError):
        _validate(tmp_path, _statistics(tmp_path / "today", 1, click=0.95), baseline)
    assert (tmp_path / "anomalies" / COMPARISONS).exists()
    first = read_comparisons(str(tmp_path / "anomalies"))[0]
    assert (first.column, first.refused) == ("click", True)


def test_a_rare_label_that_nobody_gave_today_passes(tmp_path, baseline):
    """One of which so many are missing that it is no chance does not."""
    today = _statistics(tmp_path / "today", 1)
    yesterday = _statistics(tmp_path / "yesterday", 1, like=0.001)
    _validate(tmp_path, today, yesterday)
    _validate(tmp_path / "again", yesterday, today)
    with pytest.raises(DataError, match=r"'like': .*now 0.000%"):
        _validate(tmp_path / "gone", today, _statistics(tmp_path / "liked", 1, like=0.02))


@pytest.mark.parametrize(
    "field",
    [
        {"jensen_shannon": 0.0},
        {"l_infinity": 1.5},
        {"label_odds": 1.0},
        {"rows": float("inf")},
        {"false_alarms": 0.0},
        {"user_correlation": 1.5},
    ],
)
def test_thresholds_out_of_range_are_named(field):
    with pytest.raises(ValueError, match=next(iter(field))):
        DriftThresholds(**field)


def test_ids_and_times_are_not_compared():
    compared = compared_columns(SPEC)
    kinds = {"click": "label", "tag": "category", "tab": "category", "hour": "hour"}
    kinds |= {"watch_time_ms": "number", "author_id": "id"}
    assert kinds.items() <= compared.items()
    assert not {"user_id", "item_id", "timestamp_ms", "session_id"} & set(compared)
    assert {"user_id", "click", "tab", "hour"} <= COUNTED
    assert "tag" in shown_columns(SPEC)
    assert "user_active_degree" not in shown_columns(SPEC)
