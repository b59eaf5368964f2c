import dataclasses

import pytest

from mtfx.datasets import history
from mtfx.datasets.history import History
from mtfx.datasets.registry import load_dataset
from mtfx.datasets.spec import Column, DatasetSpec, Feature, Task

SPEC = DatasetSpec(
    name="mine",
    title="",
    log_files=("log.csv",),
    columns=(
        Column("user_id", "u", "user", dtype="string"),
        Column("item_id", "i", "item"),
        Column("timestamp_ms", "t", "timestamp"),
        Column("click", "click", "label"),
        Column("like", "like", "label", required=False),
        Column("stars", "stars", "value"),
        Column("play_ms", "play_ms", "watch_time"),
        Column("duration_ms", "duration_ms", "context"),
        Column("length_ms", "length_ms", "context", dtype="float32"),
        Column("tags", "tags", "context", dtype="string", delimiter="|"),
        Column("tab", "tab", "context"),
        Column("country", "country", "context", dtype="string"),
    ),
    features=(
        Feature("user_id", "categorical", level="session", dtype="string"),
        Feature("country", "categorical", level="session", dtype="string"),
        Feature("item_id", "categorical"),
        Feature("tags", "multivalued", dtype="string"),
        Feature("tab", "categorical", vocabulary="context"),
        Feature("hour", "categorical", vocabulary="context"),
        Feature("step_bucket", "categorical", dtype="string", vocabulary="context"),
        Feature("length_ms", "numeric", dtype="float32"),
    ),
    tasks=(Task("click"), Task("like"), Task("stars", kind="regression")),
    history=History(),
)


def test_what_is_left_empty_is_settled():
    assert SPEC.history == History(
        features=("item_id", "tags", "tab", "length_ms"),
        feedback=("click", "like", "stars"),
        statistics=("user_id", "item_id", "tags"),
        watch_time="play_ms",
        duration="duration_ms",
    )
    assert dataclasses.replace(SPEC, title="again").history == SPEC.history


def test_columns_of_earlier_impressions_have_the_types_of_their_sources():
    assert history.history_columns(SPEC) == {
        "history_timestamp_ms": "int64",
        "history_item_id": "int64",
        "history_tags": "string",
        "history_tab": "int64",
        "history_length_ms": "float32",
        "history_click": "int64",
        "history_like": "int64",
        "history_stars": "float32",
        "history_watch_share": "float32",
    }
    assert {history.source_of(name) for name in ("history_tab", "history_click")} == {
        "tab",
        "click",
    }
    derived = dataclasses.replace(SPEC, history=History(features=("hour", "step_bucket")))
    types = history.history_columns(derived)
    assert (types["history_hour"], types["history_step_bucket"]) == ("int64", "string")


def test_each_key_counts_impressions_and_labels_and_those_known_where_some_are_not():
    assert list(history.statistic_columns(SPEC)) == [
        f"{key}_{what}"
        for key in ("user_id", "item_id", "tags")
        for what in ("impressions", "click_count", "like_count", "like_known")
    ]
    assert history.session_statistics(SPEC) == (
        "user_id_impressions",
        "user_id_click_count",
        "user_id_like_count",
        "user_id_like_known",
    )
    assert set(history.statistic_columns(SPEC).values()) == {"int64"}


def test_without_a_history_there_is_nothing():
    bare = dataclasses.replace(SPEC, history=None)
    for columns in (
        history.impression_columns(bare),
        history.history_columns(bare),
        history.statistic_columns(bare),
        history.session_statistics(bare),
        history.feedback_tasks(bare),
    ):
        assert not columns


def test_a_log_of_events_says_when_feedback_happened_and_a_log_of_impressions_does_not():
    assert history.impression_columns(load_dataset("retailrocket")) == {"feedback_ms": "int64"}
    assert history.impression_columns(load_dataset("kuairand")) == {"watch_share": "float32"}
    assert "history_feedback_ms" in history.history_columns(load_dataset("synthetic-shop"))


def test_there_is_no_watch_share_without_both_columns():
    columns = tuple(c for c in SPEC.columns if c.name != "duration_ms")
    bare = dataclasses.replace(SPEC, columns=columns, history=History())
    assert not history.has_watch_share(bare)
    other = dataclasses.replace(bare, history=History(duration="length_ms"))
    assert other.history is not None
    assert (other.history.watch_time, other.history.duration) == ("play_ms", "length_ms")


@pytest.mark.parametrize("name", ["kuairand", "retailrocket", "synthetic-video", "synthetic-shop"])
def test_every_registered_data_set_has_a_history(name):
    spec = load_dataset(name)
    assert spec.history is not None
    assert spec.history.statistics[:2] == ("user_id", "item_id")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (History(features=("country",)), r"history\.features names 'country', which is not an imp"),
        (History(features=("tab", "tab")), r"history\.features names a column twice"),
        (History(feedback=("share",)), r"history\.feedback names 'share', which is not a task"),
        (History(statistics=("length_ms",)), r"history\.statistics names 'length_ms', which is no"),
        (History(watch_time="tags"), r"history\.watch_time names 'tags', which is not a column of"),
        (History(duration="hour"), r"history\.duration names 'hour', which is not a column of num"),
    ],
)
def test_an_unknown_name_is_refused_with_its_field(wrong, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(SPEC, history=wrong)


def test_half_a_watch_share_is_refused():
    columns = tuple(c for c in SPEC.columns if c.name != "duration_ms")
    with pytest.raises(ValueError, match=r"history\.watch_time needs history\.duration"):
        dataclasses.replace(SPEC, columns=columns, history=History(watch_time="play_ms"))


@pytest.mark.parametrize("name", ["item_id_impressions", "tags_click_count", "watch_share"])
def test_a_column_of_the_data_sets_own_keeps_its_name(name):
    columns = (*SPEC.columns, Column(name, "x", "context"))
    with pytest.raises(ValueError, match=f"makes a column '{name}', and the data set has one"):
        dataclasses.replace(SPEC, columns=columns)
    dataclasses.replace(SPEC, columns=columns, history=None)


def test_no_column_of_its_own_looks_like_a_list_of_earlier_impressions():
    columns = (*SPEC.columns, Column("history_of_art", "x", "context"))
    with pytest.raises(ValueError, match="give its own column 'history_of_art' another name"):
        dataclasses.replace(SPEC, columns=columns)
