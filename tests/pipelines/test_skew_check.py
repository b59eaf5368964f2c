"""The check of what a service shows: features of impressions alone, against the day's log."""

from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from mtfx.components.strict_distribution_validator.config import DriftThresholds
from mtfx.datasets.registry import load_dataset
from mtfx.pipelines.skew_check import create_skew_check


def test_what_was_shown_is_compared_and_not_what_comes_with_every_request(tmp_path):
    spec = load_dataset("kuairand")
    pipeline = create_skew_check(
        spec, str(tmp_path), str(tmp_path / "statistics"), str(tmp_path), DriftThresholds(), ()
    )
    nodes = {node.id: node for node in pipeline.components}
    text = nodes["SchemaGen"].exec_properties["text"]
    compared = {f.name for f in text_format.Parse(text, schema_pb2.Schema()).feature}
    # Items come and go: their ids are compared with nothing.
    assert compared == {f.name for f in spec.features if f.level != "session"} - {"item_id"}
    assert "EarlierStatistics" in nodes
    assert pipeline.pipeline_info.pipeline_name == "skew-check"
