"""An evaluation that decodes only what it needs finds the same."""

import pytest

from mtfx.datasets.spec import Task
from mtfx.evaluation.ranking.eval_config import build_eval_config
from mtfx.evaluation.ranking.evaluation_schema import build_evaluation_schema
from mtfx.evaluation.ranking.results import read_evaluation

TASKS = (Task("click"), Task("watch_time_ms", kind="regression"))


@pytest.mark.slow
def test_figures_are_those_without_a_schema(impressions, evaluate):
    schema = build_evaluation_schema(TASKS, {"tab": "int64", "activity": "string"})
    assert {feature.name for feature in schema.feature} == {
        "activity",
        "click",
        "session_length",
        "tab",
        "watch_time_ms",
    }
    config = build_eval_config(TASKS, ("activity", "tab"))
    outcome = evaluate(impressions, TASKS, config, schema=schema)
    found = read_evaluation(outcome.evaluation_uri, TASKS)
    assert outcome.blessed
    clicks = impressions.columns["click"]
    assert found.metrics["click"].example_count == len(clicks)
    assert found.metrics["click"].label_mean == clicks.mean()
    assert {part.column for part in found.slices} == {"activity", "tab"}
    assert sum(part.example_count for part in found.slices) == 2 * len(clicks)
