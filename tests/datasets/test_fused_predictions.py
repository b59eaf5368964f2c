"""What of a data set's tasks is fused, and what a description refuses."""

import dataclasses
import math

import pytest

from mtfx.datasets import kuairand, retailrocket
from mtfx.datasets.fused_predictions import (
    FusedPrediction,
    fused_predictions,
    probabilities,
    watch_time_task,
    with_scales,
    without,
)
from mtfx.datasets.history import History
from mtfx.datasets.request_state import RequestColumn

SPEC = kuairand.SPEC
DURATION = RequestColumn("duration_ms", "float32")


def test_every_output_is_fused_in_the_data_sets_order():
    found = fused_predictions(SPEC, {"watch_time_ms", "hate", "click"})
    assert [(one.name, one.task, one.kind) for one in found] == [
        ("click", "click", "probability"),
        ("hate", "hate", "negative"),
        ("watch_time_ms", "watch_time_ms", "regression"),
        ("play_integrity", "watch_time_ms", "play_integrity"),
    ]
    assert (found[2].unit, found[2].unit_name) == (1_000.0, "s")
    assert found[3].duration == DURATION
    assert not any(FusedPrediction.from_json(one.to_json()) != one for one in found)


def test_by_default_the_watch_time_is_among_them():
    names = [task.name for task in SPEC.select_tasks()]
    assert [one.name for one in fused_predictions(SPEC, names)] == [
        "click",
        "long_view",
        "watch_time_ms",
        "play_integrity",
    ]
    shop = retailrocket.SPEC
    assert {one.kind for one in fused_predictions(shop, [t.name for t in shop.tasks])} == {
        "probability"
    }


def test_play_integrity_needs_the_watch_time_and_the_duration_of_a_request():
    assert "play_integrity" not in {one.name for one in fused_predictions(SPEC, {"click"})}
    features = tuple(f for f in SPEC.features if f.name != "duration_ms")
    # The log has the column, but a request does not bring it.
    without_it = dataclasses.replace(SPEC, features=features, history=History())
    found = fused_predictions(without_it, {"watch_time_ms"})
    assert [one.name for one in found] == ["watch_time_ms"]
    no_history = dataclasses.replace(SPEC, history=None)
    assert fused_predictions(no_history, {"watch_time_ms"})[1].duration == DURATION


def test_a_regression_of_another_unit_does_not_say_seconds():
    tasks = tuple(
        dataclasses.replace(task, unit=60_000.0) if task.kind == "regression" else task
        for task in SPEC.tasks
    )
    [watch, _] = fused_predictions(dataclasses.replace(SPEC, tasks=tasks), {"watch_time_ms"})
    assert (watch.unit, watch.axis) == (60_000.0, "expected watch_time_ms")


def test_some_may_be_left_out():
    found = fused_predictions(SPEC, {"watch_time_ms", "hate", "click"})
    assert [one.name for one in without(found, ("hate", "play_integrity"))] == [
        "click",
        "watch_time_ms",
    ]
    assert without(found, ()) == found
    with pytest.raises(
        ValueError, match="no prediction 'dislike' is fused; there are: click, hate"
    ):
        without(found, ("click", "dislike"))
    with pytest.raises(ValueError, match="one prediction must be left of click, like"):
        without(probabilities(("click", "like")), ("click", "like"))
    with pytest.raises(ValueError, match=r"predicts no task of kuairand, only \['other'\]"):
        fused_predictions(SPEC, {"other"})


def test_a_raw_value_is_shown_in_the_unit_that_people_read():
    click, hate, watch, share = with_scales(
        fused_predictions(SPEC, {"watch_time_ms", "hate", "click"}),
        {"watch_time_ms": 8_000.0, "play_integrity": 0.5},
    )
    assert (click.shown(0.2), hate.shown(0.25)) == (0.2, 0.75)
    assert (watch.shown(0.5), watch.shown(0.8), share.shown(0.5)) == pytest.approx((8.0, 32.0, 0.5))
    assert watch.shown(1.0) == math.inf
    assert [one.formula for one in (click, hate, watch, share)] == [
        "p",
        "1 - p",
        "x / (x + 8 s)",
        "x / (x + 0.5)",
    ]
    assert [one.axis for one in (click, hate, watch, share)] == [
        "probability of click",
        "probability of hate",
        "expected watch_time_ms in s",
        "expected watch_time_ms / duration_ms",
    ]


@pytest.mark.parametrize(
    ("values", "match"),
    [
        ({"kind": "rank"}, "of no kind 'rank'; there are: probability, negative"),
        ({"scale": 0.0}, "scale of prediction 'a' must be positive"),
        ({"scale": math.nan}, "scale of prediction 'a' must be positive"),
        ({"unit": math.inf}, "unit of prediction 'a' must be positive"),
        ({"kind": "play_integrity"}, "has no column of durations"),
        ({"duration": DURATION}, "has a column of durations"),
    ],
)
def test_what_does_not_suit_is_named(values, match):
    with pytest.raises(ValueError, match=match):
        FusedPrediction("a", "b", **values)


def test_the_watch_time_is_the_regression_of_that_column():
    spec = SPEC
    assert watch_time_task(spec, ("click", "watch_time_ms")) == "watch_time_ms"
    with pytest.raises(ValueError, match=r"no watch time: train it with .* \.\.\.,watch_time_ms"):
        watch_time_task(spec, ("click",))
    shop = retailrocket.SPEC
    with pytest.raises(ValueError, match="retailrocket has no task of it"):
        watch_time_task(shop, tuple(task.name for task in shop.tasks))
