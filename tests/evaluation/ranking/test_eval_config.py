"""The configuration is what TFX's Evaluator accepts, and says what it should."""

import pytest
import tensorflow_model_analysis as tfma
from google.protobuf import json_format
from tensorflow_model_analysis.metrics import metric_specs

from mtfx.datasets.spec import Task
from mtfx.evaluation.config import Thresholds
from mtfx.evaluation.ranking.eval_config import build_eval_config, build_evaluation_schema
from mtfx.evaluation.ranking.results import read_evaluation

TASKS = (Task("click"), Task("pay"), Task("watch_time_ms", kind="regression"))


def _thresholds(config):
    return metric_specs.metric_thresholds_from_metrics_specs(
        config.metrics_specs, eval_config=config
    )


def test_config_survives_json():
    config = build_eval_config(TASKS, ("hour", "tab"), Thresholds(max_logloss=0.7))
    again = json_format.Parse(json_format.MessageToJson(config), tfma.EvalConfig())
    assert again == config


def test_labels_and_outputs_are_mapped_per_task():
    config = build_eval_config(TASKS)
    names = {task.name: task.name for task in TASKS}
    assert [dict(spec.label_keys) for spec in config.model_specs] == [names, names]
    assert [spec.is_baseline for spec in config.model_specs] == [False, True]
    assert [list(spec.output_names) for spec in config.metrics_specs] == [[n] for n in names]


def test_every_metric_can_be_built():
    config = tfma.utils.update_eval_config_with_defaults(
        build_eval_config(TASKS), has_baseline=True
    )
    names = {instance.name for _, _, instance in _instances(config)}
    assert {"auc", "logloss", "s_logloss", "calibration", "example_count", "r_squared"} <= names
    assert metric_specs.to_computations(config.metrics_specs, eval_config=config)


def _instances(config):
    return metric_specs.keys_and_metrics_from_specs(config, config.metrics_specs)


def test_without_a_baseline_absolute_bounds_remain_for_every_task():
    config = tfma.utils.update_eval_config_with_defaults(
        build_eval_config(TASKS), has_baseline=False, rubber_stamp=True
    )
    keys = {(key.output_name, key.name) for key in _thresholds(config)}
    assert keys == {
        ("click", "auc"),
        ("click", "entropy_excess_low"),
        ("pay", "auc"),
        ("pay", "entropy_excess_low"),
        ("watch_time_ms", "r_squared"),
        ("watch_time_ms", "squared_error_excess_low"),
    }


def test_worse_than_the_rate_can_be_allowed():
    config = build_eval_config(TASKS, (), Thresholds(allow_worse_than_rate=True))
    assert {key.name for key in _thresholds(config)} == {"auc", "r_squared", "mean_squared_error"}


def test_bounds_hold_for_the_whole_split_only():
    config = build_eval_config(TASKS, ("hour",))
    for bounds in _thresholds(config).values():
        assert [spec for spec, _ in bounds] == [tfma.SlicingSpec()] * len(bounds)


def test_slices_come_after_the_whole_split():
    config = build_eval_config(TASKS, ("hour", "tab"), min_slice_size=30)
    assert [list(s.feature_keys) for s in config.slicing_specs] == [[], ["hour"], ["tab"]]
    assert config.options.min_slice_size.value == 30


@pytest.mark.parametrize(
    ("tasks", "slices", "message"),
    [
        ((), (), "no task"),
        (TASKS, ("hour", "hour"), "named twice"),
        (TASKS, ("click",), "slice by a label: click"),
    ],
)
def test_bad_arguments(tasks, slices, message):
    with pytest.raises(ValueError, match=message):
        build_eval_config(tasks, slices)


@pytest.mark.parametrize(("field", "value"), [("min_auc", 1.2), ("max_auc_drop", -0.1)])
def test_bad_thresholds(field, value):
    with pytest.raises(ValueError, match=field):
        Thresholds(**{field: value})


READ = (Task("click"), Task("watch_time_ms", kind="regression"))


@pytest.mark.slow
def test_figures_are_those_without_a_schema(impressions, evaluate):
    schema = build_evaluation_schema(READ, {"tab": "int64", "activity": "string"}, "int64")
    assert {feature.name for feature in schema.feature} == {
        "activity",
        "click",
        "session_id",
        "session_length",
        "tab",
        "user_id",
        "watch_time_ms",
    }
    config = build_eval_config(READ, ("activity", "tab"))
    outcome = evaluate(impressions, READ, config, schema=schema)
    found = read_evaluation(outcome.evaluation_uri, READ)
    assert outcome.blessed
    clicks = impressions.columns["click"]
    assert found.metrics["click"].example_count == len(clicks)
    assert found.metrics["click"].label_mean == clicks.mean()
    assert {part.column for part in found.slices} == {"activity", "tab"}
    assert sum(part.example_count for part in found.slices) == 2 * len(clicks)
