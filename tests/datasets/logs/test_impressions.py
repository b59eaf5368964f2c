"""Session examples read back as the frame that was written."""

import dataclasses

import numpy as np
import polars as pl
import pytest
from tensorflow_transform.tf_metadata import schema_utils

from mtfx.components.session_example_gen.encoding import (
    PastImpressions,
    encode_sessions,
    write_examples,
)
from mtfx.components.session_schema import build_schema
from mtfx.datasets.history import History, impression_columns, statistic_columns
from mtfx.datasets.logs.impressions import (
    SESSION,
    FeatureTransform,
    raw_features,
    read_raw_impressions,
)
from mtfx.errors import DataError
from tests.planted_log import SPEC, split_sessions


class RawSchema:
    """What the reader needs of Transform's output."""

    def __init__(self, spec=SPEC):
        self._spec = spec

    def raw_feature_spec(self):
        return schema_utils.schema_as_feature_spec(build_schema(self._spec)).feature_spec


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    frame = split_sessions(150)["train"]
    path = str(tmp_path_factory.mktemp("examples") / "part.gz")
    write_examples(encode_sessions(frame, SPEC), path, path + ".part")
    return frame, path


def test_the_frame_comes_back(written):
    frame, path = written
    read = read_raw_impressions(path, RawSchema())
    columns = sorted(set(frame.columns) & set(read.columns))
    assert {"user_id", "item_id", "session_id", "play_ms", "click", "step_bucket"} <= set(columns)
    for name in columns:
        assert read[name].cast(frame[name].dtype).to_list() == frame[name].to_list(), name
    np.testing.assert_array_equal(read[SESSION], frame["session_id"].rle_id())


def test_lists_of_earlier_impressions_are_no_columns_of_impressions(tmp_path):
    spec = dataclasses.replace(SPEC, history=History())
    frame = split_sessions(150)["train"]
    frame = frame.with_columns(pl.lit(7, pl.Int64).alias(name) for name in statistic_columns(spec))
    frame = frame.with_columns(pl.lit(0.5, pl.Float32).alias(n) for n in impression_columns(spec))
    path = str(tmp_path / "part.gz")
    examples = list(encode_sessions(frame, spec, PastImpressions(frame, spec, 50)))
    assert any(b"history_item_id" in example for example in examples)
    write_examples(examples, path, path + ".part")
    read = read_raw_impressions(path, RawSchema(spec))
    assert not [name for name in read.columns if name.startswith("history_")]
    assert set(statistic_columns(spec)) | set(impression_columns(spec)) <= set(read.columns)
    assert read["item_id"].to_list() == frame["item_id"].to_list()


def test_reading_stops_with_whole_sessions(written, monkeypatch):
    frame, path = written
    monkeypatch.setattr("mtfx.datasets.logs.impressions._SESSIONS", 8)
    read = read_raw_impressions(path, RawSchema(), max_impressions=60)
    assert 60 <= read.height < frame.height
    assert read[SESSION].n_unique() % 8 == 0
    last = read["session_id"][-1]
    assert (read["session_id"] == last).sum() == (frame["session_id"] == last).sum()


def test_an_empty_log_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"no session file matches .*nothing"):
        read_raw_impressions(str(tmp_path / "nothing*"), RawSchema())
    path = str(tmp_path / "empty.gz")
    write_examples([], path, path + ".part")
    with pytest.raises(ValueError, match=r"no session in .*empty\.gz"):
        read_raw_impressions(path, RawSchema())


def test_raw_features_have_the_data_sets_types(written):
    frame, _ = written
    raw = raw_features(frame.head(3), SPEC)
    assert {name: value.dtype.name for name, value in raw.items()} == {
        "user_id": "int64",
        "item_id": "int64",
        "duration_ms": "float32",
        "step_bucket": "string",
    }
    with pytest.raises(DataError, match="no column 'item_id'"):
        raw_features(frame.drop("item_id"), SPEC)


def test_a_transform_of_no_rows_is_refused(written):
    class Graph:
        def transform_features_layer(self):
            return lambda rows: rows

    with pytest.raises(ValueError, match="no rows to transform"):
        FeatureTransform(Graph(), SPEC)(written[0].head(0))
