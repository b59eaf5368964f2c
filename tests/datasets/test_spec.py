import dataclasses

import pytest

from mtfx.datasets.registry import DATASETS, load_dataset, resolve_name
from mtfx.datasets.spec import Column, DatasetSpec, Feature, Task

KEYS = (
    Column("user_id", "u", "user"),
    Column("item_id", "i", "item"),
    Column("timestamp_ms", "t", "timestamp"),
)


def make(**changes):
    values = {
        "name": "mine",
        "title": "",
        "log_files": ("log.csv",),
        "columns": (*KEYS, Column("click", "click", "label")),
        "features": (Feature("item_id", "categorical"),),
        "tasks": (Task("click"),),
    }
    return DatasetSpec(**{**values, **changes})


def tagged(kind="multivalued", feature_dtype="string", vocabulary="", max_values=8, **column):
    """Changes that give the data set a feature of several values."""
    values = {"role": "context", "dtype": "string", "delimiter": "|", **column}
    feature = Feature(
        "tags", kind, dtype=feature_dtype, vocabulary=vocabulary, max_values=max_values
    )
    return {
        "columns": (*make().columns, Column("tags", "tags", **values)),
        "features": (feature,),
    }


def test_a_feature_of_several_values_has_a_delimiter():
    spec = make(**tagged())
    assert spec.delimiter("tags") == "|"
    assert spec.delimiter("click") == spec.delimiter("nothing") == ""


@pytest.mark.parametrize("name", DATASETS)
def test_registered_data_sets_load(name):
    spec = load_dataset(name)
    assert spec.tasks
    assert spec.features


def test_synthetic_stands_for_the_profile_of_the_directory(tmp_path):
    (tmp_path / "synthetic.json").write_text('{"config": {"profile": "shop"}}')
    assert resolve_name("synthetic", str(tmp_path)) == "synthetic-shop"
    assert resolve_name("kuairand", "/nowhere") == "kuairand"
    with pytest.raises(ValueError, match="no finished synthetic data set"):
        resolve_name("synthetic", str(tmp_path / "other"))


def test_module_attribute_loads():
    assert load_dataset("mtfx.datasets.kuairand:SPEC").name == "kuairand"


@pytest.mark.parametrize(
    ("name", "words"),
    [("nothing", "kuairand"), ("no.module:SPEC", "no.module"), ("mtfx.datasets.spec:Task", "type")],
)
def test_unknown_data_set_says_what_is_known(name, words):
    with pytest.raises(ValueError, match=words):
        load_dataset(name)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"columns": KEYS[:2]}, "timestamp"),
        ({"columns": (*KEYS, Column("Click", "c", "label"))}, "snake case"),
        ({"columns": (*KEYS, KEYS[0])}, "twice"),
        ({"columns": (Column("visitor", "u", "user"), *KEYS[1:])}, "'user_id'"),
        ({"features": (Feature("nope", "categorical"),)}, "'nope'"),
        ({"features": (Feature("click", "categorical"),)}, "is a label"),
        ({"default_tasks": ("buy",)}, "'buy'.*has: click"),
        ({"tasks": (Task("click", parent="view"),)}, "'view'"),
        (tagged(role="label"), "'tags' has a delimiter, so it needs the role 'context'"),
        (tagged(dtype="int64"), "'tags' has a delimiter, so it needs .* dtype='string'"),
        (tagged(allowed=("a",)), "'tags' has a delimiter, so it needs .* no allowed values"),
        (tagged(delimiter=""), "'tags' is of kind 'multivalued', but its column has no delimiter"),
        (tagged(kind="categorical"), "'tags' is of kind 'categorical', but its column has a delim"),
        (tagged(feature_dtype="int64"), "multivalued feature 'tags' needs dtype='string'"),
        (tagged(vocabulary="small"), "multivalued feature 'tags' needs .* vocabulary of its own"),
        (tagged(max_values=0), "max_values of feature 'tags' must be at least 1, got 0"),
        (
            {"features": (Feature("hour", "multivalued", dtype="string"),)},
            "'hour' is of kind 'multivalued', but its column has no delimiter",
        ),
    ],
)
def test_parts_that_do_not_fit_are_named(changes, words):
    with pytest.raises(ValueError, match=words):
        make(**changes)


def test_tasks_are_those_named_or_the_defaults_or_all():
    spec = load_dataset("kuairand")
    assert [t.name for t in spec.select_tasks()] == ["click", "long_view", "watch_time_ms"]
    assert [t.name for t in spec.select_tasks(("like",))] == ["like"]
    everything = dataclasses.replace(spec, default_tasks=()).select_tasks()
    assert len(everything) == 8


def test_only_a_binary_feedback_can_be_negative():
    spec = load_dataset("kuairand")
    assert [task.name for task in spec.tasks if task.negative] == ["hate"]
    tasks = (Task("click"), Task("watch_time_ms", "regression", negative=True))
    with pytest.raises(ValueError, match="'watch_time_ms' is a regression; only a binary feedback"):
        dataclasses.replace(spec, tasks=tasks, default_tasks=(), history=None)
