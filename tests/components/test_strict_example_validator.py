"""Anomalies stop the run with a message that names split, feature and anomaly."""

import os

import pytest
import tensorflow as tf
import tensorflow_data_validation as tfdv
from google.protobuf import text_format
from tensorflow_data_validation.statistics.stats_impl import generate_statistics_in_memory
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx.types import standard_artifacts
from tfx_bsl.coders.example_coder import ExamplesToRecordBatchDecoder

from mtfx.components.strict_example_validator import Executor
from mtfx.errors import DataError

SCHEMA = text_format.Parse(
    """
    feature { name: "click" type: INT value_count { min: 1 }
              presence { min_fraction: 1 } int_domain { min: 0 max: 1 } }
    feature { name: "price" type: FLOAT value_count { min: 1 } presence { min_fraction: 1 }
              float_domain { disallow_nan: true } }
    """,
    schema_pb2.Schema(),
)


@pytest.fixture
def validate(tmp_path):
    def run(clicks, prices):
        os.makedirs(tmp_path / "stats" / "Split-train")
        os.makedirs(tmp_path / "schema")
        records = []
        for click, price in zip(clicks, prices, strict=True):
            example = tf.train.Example()
            if click is not None:
                example.features.feature["click"].int64_list.value.append(click)
            example.features.feature["price"].float_list.value.append(price)
            records.append(example.SerializeToString())
        stats = generate_statistics_in_memory(
            ExamplesToRecordBatchDecoder().DecodeBatch(records), tfdv.StatsOptions(schema=SCHEMA)
        )
        (tmp_path / "stats" / "Split-train" / "FeatureStats.pb").write_bytes(
            stats.SerializeToString()
        )
        (tmp_path / "schema" / "schema.pbtxt").write_text(text_format.MessageToString(SCHEMA))
        statistics, schema = standard_artifacts.ExampleStatistics(), standard_artifacts.Schema()
        statistics.uri, schema.uri = str(tmp_path / "stats"), str(tmp_path / "schema")
        statistics.split_names = '["train"]'
        anomalies = standard_artifacts.ExampleAnomalies()
        anomalies.uri = str(tmp_path / "anomalies")
        Executor().Do(
            {"statistics": [statistics], "schema": [schema]},
            {"anomalies": [anomalies]},
            {"exclude_splits": "[]", "custom_validation_config": None},
        )

    return run


def test_good_examples_pass(validate):
    validate([0, 1, 1], [1.0, 2.0, 3.0])


@pytest.mark.parametrize(
    ("clicks", "prices", "words"),
    [
        ([0, 1, 7], [1.0, 2.0, 3.0], "split train, feature 'click'.*range"),
        ([0, 1, None], [1.0, 2.0, 3.0], "split train, feature 'click'"),
        ([0, 1, 1], [1.0, float("nan"), 3.0], "split train, feature 'price'.*NaN"),
    ],
)
def test_an_anomaly_names_feature_and_split(validate, clicks, prices, words):
    with pytest.raises(DataError, match=words):
        validate(clicks, prices)
