"""Requests from plain dictionaries."""

import json
import math
import subprocess
import sys

import pytest
import tensorflow as tf

from mtfx.serving.request import RequestBuilder, RequestError
from mtfx.serving.request_fields import RequestField

NOW = 1_700_000_000_000
FIELDS = (
    RequestField("user_id", "int64", "user", required=True),
    RequestField("town", "string", "user", default=""),
    RequestField("user_id_impressions", "int64", "user", default=0),
    RequestField("timestamp_ms", "int64", "context"),
    RequestField("tab", "int64", "context", per_candidate=True, default=0),
    RequestField("hour", "int64", "context", per_candidate=True, required=True),
    RequestField("step_bucket", "string", "context", per_candidate=True, required=True),
    RequestField("history_timestamp_ms", "int64", "history"),
    RequestField("history_item_id", "int64", "history", default=0),
    RequestField("history_click", "int64", "history", default=-1),
    RequestField("history_watch_share", "float32", "history", default=-1.0),
    RequestField("item_id", "int64", "candidate", per_candidate=True, required=True),
    RequestField("duration_ms", "float32", "candidate", per_candidate=True, required=True),
)
BUILDER = RequestBuilder(FIELDS, length=2, utc_offset_hours=8)
ITEMS = [{"item_id": 5, "duration_ms": 1_000}, {"item_id": 6, "duration_ms": 2_500.5}]


def lists(request):
    features = tf.train.Example.FromString(request).features.feature
    return {
        name: list(getattr(feature, feature.WhichOneof("kind")).value)
        for name, feature in features.items()
    }


def test_a_request_holds_every_column_of_the_ranker():
    past = [
        {"timestamp_ms": NOW - 10, "item_id": 3, "click": 1, "watch_share": 0.5},
        {"timestamp_ms": NOW - 30, "item_id": 1},
        {"timestamp_ms": NOW - 20, "item_id": 2, "click": 0},
    ]
    found = lists(
        BUILDER.build(ITEMS, time_ms=NOW, user={"user_id": 9}, context={"tab": 4}, history=past)
    )
    assert found == {
        "user_id": [9],
        "town": [b""],
        "user_id_impressions": [0],
        "timestamp_ms": [NOW],
        "tab": [4, 4],
        "hour": [6, 6],
        # Two of the three earlier impressions count.
        "step_bucket": [b"2-3", b"2-3"],
        "history_timestamp_ms": [NOW - 20, NOW - 10],
        "history_item_id": [2, 3],
        "history_click": [0, 1],
        "history_watch_share": [-1.0, 0.5],
        "item_id": [5, 6],
        "duration_ms": [1_000.0, 2_500.5],
    }


def test_columns_are_listed_by_level():
    assert BUILDER.columns("candidate") == {"item_id": "int64", "duration_ms": "float32"}
    assert BUILDER.columns("history")["watch_share"] == "float32"


def test_what_the_caller_knows_better_is_taken():
    found = lists(
        BUILDER.build(ITEMS[:1], time_ms=NOW, user={"user_id": 9}, context={"step": 40, "hour": 3})
    )
    assert (found["hour"], found["step_bucket"]) == ([3], [b"32+"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"candidates": []}, "no candidate"),
        ({"candidates": ["a"]}, "given of candidate 0 is 'a', which is no dictionary"),
        ({"candidates": ITEMS[0]}, "given of candidate 0 is 'item_id', which is no dictionary"),
        ({"history": [3]}, "given of earlier impression 0 is 3, which is no dictionary"),
        ({"user": [1]}, "given of the user is .1., which is no dictionary"),
        ({"user": {"user_id": 9, "town": "\ud800"}}, "town holds .*no text of Unicode"),
        ({"context": {"step": 1.5}}, "step of the context is 1.5, which is no place"),
        ({"context": {"step": -3}}, "step of the context is -3, which is no place"),
        ({"user": None}, "user_id of the user is lacking"),
        ({"user": {"user_id": "9"}}, "user_id of the user is '9', which is no number"),
        ({"user": {"user_id": 9, "twon": "Rom"}}, r"no column of level user \(is it town"),
        ({"user": {"user_id": 9, "town": 3}}, "town of the user is 3, which is no text"),
        ({"user": {"user_id": 2**63}}, "beyond int64"),
        ({"user": {"user_id": 1.5}}, "1.5, which is no whole number"),
        ({"user": {"user_id": math.inf}}, "inf, which is no whole number"),
        ({"user": {"user_id": True}}, "True, which is no number"),
        ({"candidates": [{"item_id": 5}]}, "duration_ms of candidate 0 is lacking"),
        (
            {"candidates": [*ITEMS, {"item_id": 7, "duration_ms": math.nan}]},
            "duration_ms of candidate 2 is nan, which is no finite float32",
        ),
        ({"time_ms": NOW // 1000}, r"timestamp_ms is 1700000000: time before 2000 \(is it in s"),
        ({"time_ms": float(NOW)}, "no whole number of ms"),
        ({"history": [{"item_id": 3}]}, "timestamp_ms of earlier impression 0 is lacking"),
        ({"history": [{"timestamp_ms": NOW, "item_id": 3}]}, "which is not before the request's"),
        (
            {"history": [{"timestamp_ms": NOW - 1, "item_id": 3, "clik": 1}]},
            r"'clik' of earlier impression 0 is no column of level history \(is it click",
        ),
        (
            {"history": [{"timestamp_ms": NOW - 1, "item_id": 3, "watch_share": math.nan}]},
            "watch_share of earlier impression 0 is nan",
        ),
    ],
)
def test_what_the_ranker_would_refuse_is_named(change, message):
    given = {"candidates": ITEMS, "time_ms": NOW, "user": {"user_id": 9}} | change
    candidates = given.pop("candidates")
    with pytest.raises(RequestError, match=message):
        BUILDER.build(candidates, **given)


def write(directory, **content):
    extra = directory / "assets.extra"
    extra.mkdir()
    (extra / "mtfx.json").write_text(json.dumps(content))
    return directory


def test_the_ranker_says_what_a_request_holds(tmp_path):
    state = {"length": 50, "gap_minutes": 20.0, "utc_offset_hours": 8.0}
    write(tmp_path, request=[field.to_dict() for field in FIELDS], request_state=state)
    assert RequestBuilder.load(tmp_path) == RequestBuilder(FIELDS, 50, 20.0, 8.0)


def test_what_is_no_ranker_is_refused(tmp_path):
    with pytest.raises(RequestError, match="does not say what a request holds"):
        RequestBuilder.load(tmp_path)
    with pytest.raises(RequestError, match="KeyError"):
        RequestBuilder.load(write(tmp_path, policy={}))


def test_tensorflow_is_not_needed():
    code = (
        "import sys; from mtfx.serving.request import RequestBuilder; "
        "from mtfx.serving.request_fields import RequestField; "
        "field = RequestField('item_id', 'int64', 'candidate', True, True); "
        f"RequestBuilder((field,)).build([{{'item_id': 1}}], time_ms={NOW}); "
        "print(sorted(sys.modules.keys() & {'tensorflow', 'polars', 'tfx', 'apache_beam'}))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
