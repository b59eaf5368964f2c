"""A model that TFMA did not validate always has a reason, whatever of the figures is undefined."""

import numpy as np
import pytest
from tensorflow_model_analysis.proto import validation_result_pb2

from mtfx.datasets.spec import Task
from mtfx.evaluation.ranking.blessing_reasons import blessing_reasons
from mtfx.evaluation.ranking.eval_config import build_eval_config
from mtfx.evaluation.ranking.results import read_evaluation
from mtfx.evaluation.ranking.summaries import TaskMetrics

CLICK, WATCH = Task("click"), Task("watch_time_ms", kind="regression")
OVERALL = {
    "click": TaskMetrics(example_count=9, auc=0.7),
    "watch_time_ms": TaskMetrics(example_count=9, rmse=2),
}


def reasons(validation, baseline=None):
    return blessing_reasons(validation, (CLICK, WATCH), OVERALL, baseline or {})


def test_a_model_that_did_not_pass_always_has_a_reason():
    nothing = validation_result_pb2.ValidationResult(validation_ok=False)
    assert reasons(nothing) == [
        "the evaluation did not pass its checks, and names none that failed"
    ]
    nothing.missing_slices.add()
    assert reasons(nothing) == [
        "the test split has no impressions on which the bounds could be checked"
    ]
    assert reasons(validation_result_pb2.ValidationResult(validation_ok=True)) == []


@pytest.mark.parametrize("value", [0.0, 4.0, float("nan")])
def test_growth_over_nothing_is_no_number(value):
    validation = validation_result_pb2.ValidationResult(validation_ok=False)
    failure = validation.metric_validations_per_slice.add().failures.add()
    failure.metric_key.name, failure.metric_key.output_name = "mean_squared_error", "watch_time_ms"
    failure.metric_value.double_value.value = value
    failure.metric_threshold.change_threshold.relative.value = 0.02
    [reason] = reasons(validation, {"watch_time_ms": TaskMetrics(example_count=9, rmse=0.0)})
    assert "cannot be compared with the latest blessed model's, which is 0" in reason


def test_labels_of_one_value_bless_no_regression(impressions, evaluate):
    alike = np.full_like(impressions.columns["watch_time_ms"], 5.0)
    outcome = evaluate(
        impressions.replaced(watch_time_ms=alike),
        (WATCH,),
        build_eval_config((WATCH,)),
        baseline="score_",
    )
    summary = read_evaluation(outcome.evaluation_uri, (WATCH,))
    assert not outcome.blessed
    assert summary.reasons == (
        "watch_time_ms: R² undefined, the test split has one label value only; leave the task out "
        "with --tasks, or bring more data",
    )
