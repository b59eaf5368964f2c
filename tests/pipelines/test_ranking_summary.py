"""What is counted of a run's log, and the schemas that its stages are given."""

import dataclasses
import types

import pytest
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from mtfx.components.session_example_gen.summary import IngestionSummary
from mtfx.datasets.registry import load_dataset
from mtfx.evaluation.config import Thresholds
from mtfx.evaluation.ranking.summaries import TaskMetrics
from mtfx.pipelines.config import RankingPipelineConfig
from mtfx.pipelines.data_stages import RowCounts, counted_schema, session_schema
from mtfx.pipelines.options import DataOptions
from mtfx.pipelines.ranking_summary import (
    data_span,
    evaluation_notes,
    log_rows,
    quarantine_file,
)

DATA = DataOptions("retailrocket", "data")
FILES = {"data/events.csv": 70, "data/item_properties_part1.csv": 1000}


def ingested(**changes):
    values = {field.name: {} for field in dataclasses.fields(IngestionSummary)}
    files = {path: {"rows": rows, "quarantined": 0} for path, rows in FILES.items()}
    impressions = {"train": 40, "eval": 10, "test": 5}
    return IngestionSummary(**{**values, "files": files, "impressions": impressions, **changes})


def test_side_tables_are_no_rows_of_the_log():
    assert log_rows(DATA, ingested()) == 70


def test_stages_count_the_splits_that_they_read_once_the_log_is_read(tmp_path):
    counts = RowCounts(DATA)
    evaluated = counts.impressions(("eval",))
    assert evaluated(None) is None
    ingested().write(str(tmp_path))
    output = types.SimpleNamespace(uri=str(tmp_path))
    assert counts.log(types.SimpleNamespace(outputs={"examples": [output]})) == 70
    assert (counts.impressions()(None), evaluated(None)) == (55, 10)


def test_times_are_utc_and_an_empty_log_has_none():
    assert data_span(ingested(data_span_ms=None)) is None
    assert data_span(ingested(data_span_ms=(0, 86_399_999))) == (
        "1970-01-01 00:00:00+00:00",
        "1970-01-01 23:59:59+00:00",
    )


@pytest.mark.parametrize(("pattern", "name"), [("*", "span-0.csv"), ("day-{SPAN}/*", "span-7.csv")])
def test_rejects_are_those_of_the_runs_delivery(pattern, name):
    data = dataclasses.replace(DATA, pattern=pattern, span=7)
    config = RankingPipelineConfig(data, "out", thresholds=Thresholds())
    assert quarantine_file(config, ingested(config={"quarantine_dir": "q"})) == f"q/{name}"


def test_integers_that_are_counted_are_categorical_and_nothing_else_is(tmp_path):
    def categorical(text):
        features = text_format.Parse(text, schema_pb2.Schema()).feature
        return {feature.name for feature in features if feature.int_domain.is_categorical}

    features = load_dataset("kuairand").features
    counted = next(f.name for f in features if f.kind == "categorical" and f.dtype == "int64")
    data = DataOptions("kuairand", "data")
    own = session_schema(data)
    found = categorical(counted_schema(own, {counted, "no such column"}))
    assert found == categorical(own) | {counted}
    curated = tmp_path / "schema.pbtxt"
    curated.write_text('feature { name: "mine" type: INT }')
    data = dataclasses.replace(data, schema_file=str(curated))
    assert categorical(counted_schema(session_schema(data), {"mine"})) == {"mine"}


def test_notes_say_what_was_permitted_and_what_is_of_a_sample():
    worse = TaskMetrics(logloss=0.5, label_mean=0.1, normalized_entropy=1.2, excess_low=0.01)
    fine = TaskMetrics(logloss=0.3, excess_low=-0.01, list_users=2000, list_share=0.25)
    metrics = {"like": worse, "click": fine}
    sample = "click: GAUC and NDCG are of a sample of 2,000 users, 25% of the impressions"
    assert evaluation_notes(metrics, Thresholds()) == [sample]
    assert evaluation_notes(metrics, Thresholds(allow_worse_than_rate=True)) == [
        "--allow-worse-than-rate: a task whose predictions are worse than its base rate did not "
        "count against the model",
        "task like: predictions are worse than always the 10.00% rate, beyond the 95% interval "
        "(log loss 0.5000, normalised entropy 1.2000)",
        sample,
    ]
