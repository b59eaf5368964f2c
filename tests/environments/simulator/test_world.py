"""Worlds: what does not fit is named; what is saved is loaded."""

import dataclasses
import json

import numpy as np
import pytest
import tensorflow as tf

from mtfx.datasets.fused_predictions import FusedPrediction, probabilities
from mtfx.datasets.request_state import RequestColumn
from mtfx.environments.simulator.config import SimulatorConfig
from mtfx.environments.simulator.table_response import TableResponse
from mtfx.environments.simulator.user_requests import UserRequests
from mtfx.environments.simulator.world import (
    TABLES_FILE,
    WORLD_FILE,
    load_predictions,
    load_world,
    save_world,
)
from mtfx.errors import DataError
from tests.simulator_worlds import random_world


def changed(array, place, value):
    result = np.array(array, float)
    result[place] = value
    return result


def test_save_and_load(tmp_path):
    world = random_world(users=5, pool=7)
    save_world(world, tmp_path / "world")
    again = load_world(tmp_path / "world")
    for name in ("predictions", "item_ids", "user_ids"):
        np.testing.assert_array_equal(getattr(again, name), getattr(world, name))
    for name, table in world.requests.arrays().items():
        np.testing.assert_array_equal(again.requests.arrays()[name], table)
    assert again.prediction_names == world.prediction_names
    arguments = (tf.constant([0, 4]), tf.constant([6, 2]), tf.constant([0.3, 0.2]))
    for name in ("probabilities", "expected_watch_s"):
        first, second = (getattr(w.response, name)(*arguments) for w in (world, again))
        np.testing.assert_array_equal(first, second)
    assert again.response.settings() == world.response.settings()


def test_the_maps_of_the_predictions_are_saved_too(tmp_path):
    fused = (
        FusedPrediction("task_0", "task_0", "negative"),
        FusedPrediction("task_1", "task_1", "regression", scale=7.5, unit=2.0),
        FusedPrediction("task_2", "task_1", "play_integrity", duration=RequestColumn("d", "int64")),
    )
    world = random_world(users=2, pool=3)
    assert world.fused == probabilities(("task_0", "task_1", "task_2"))
    save_world(dataclasses.replace(world, fused=fused), tmp_path)
    assert load_world(tmp_path).fused == load_predictions(tmp_path) == fused
    with pytest.raises(ValueError, match=r"but their maps those of task_0, task_1$"):
        dataclasses.replace(world, fused=fused[:2])
    with pytest.raises(DataError, match="cannot be read"):
        load_predictions(tmp_path / "nowhere")


def test_ids_may_be_words(tmp_path):
    world = random_world(users=2, pool=3)
    world = dataclasses.replace(
        world, user_ids=np.array(["ann", "bob"]), item_ids=np.array([["a", "b", "c"]] * 2)
    )
    save_world(world, tmp_path)
    assert load_world(tmp_path).user_ids.tolist() == ["ann", "bob"]


@pytest.mark.parametrize(
    ("field", "change", "message"),
    [
        ("predictions", lambda w: changed(w.predictions, (3, 2, 1), np.nan), "'task_1' of user 3"),
        (
            "predictions",
            lambda w: changed(w.predictions, (0, 0, 0), 1.01),
            r"1.01, not in \[0, 1\]",
        ),
        ("predictions", lambda w: changed(w.predictions, (0, 0, 0), -0.1), r"not in \[0, 1\]"),
        ("predictions", lambda w: w.predictions[:0], "at least one user"),
        ("predictions", lambda w: w.predictions[:, :0], "pools are empty"),
        ("predictions", lambda w: w.predictions[..., :2], "2 predictions per item, but 3 names"),
        ("predictions", lambda w: w.predictions[0], r"\[user, slot, prediction\]"),
        ("predictions", lambda w: w.predictions[:4], "for 4 users"),
        ("requests", lambda w: UserRequests.of_strangers(np.zeros((4, 1))), "requests is for"),
        ("item_ids", lambda w: w.item_ids[:, :3], "item_ids"),
        ("item_ids", lambda w: np.zeros_like(w.item_ids), "holds an item twice"),
        ("user_ids", lambda w: w.user_ids[:2], "user_ids"),
        ("response", lambda w: random_world(users=5, pool=8).response, "the response model"),
    ],
)
def test_what_does_not_fit_is_named(field, change, message):
    world = random_world(users=5, pool=7)
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(world, **{field: change(world)})


def test_a_world_that_is_not_whole_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"holds no world\.json"):
        load_world(tmp_path)
    save_world(random_world(users=2, pool=3), tmp_path)
    content = json.loads((tmp_path / WORLD_FILE).read_text())
    (tmp_path / WORLD_FILE).write_text(json.dumps(content | {"response": "oracle"}))
    with pytest.raises(DataError, match="no response model 'oracle'"):
        load_world(tmp_path)
    (tmp_path / WORLD_FILE).write_text(json.dumps(content))
    (tmp_path / TABLES_FILE).write_bytes(b"PK\x03\x04 half")
    with pytest.raises(DataError, match="cannot be read"):
        load_world(tmp_path)


def test_config_round_trip_and_bounds():
    config = SimulatorConfig(candidates=7, max_views=9)
    assert SimulatorConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    with pytest.raises(ValueError, match="no 'speed'"):
        SimulatorConfig.from_dict({"speed": 1})
    for field, value in (("candidates", 0), ("max_views", 0), ("carry_over", 1.5)):
        with pytest.raises(ValueError, match=field):
            SimulatorConfig(**{field: value})
    with pytest.raises(ValueError, match="leave_below"):
        SimulatorConfig(leave_below=float("nan"))


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("logits", np.zeros((2, 3)), r"'logits' must have shape \[any, any, 1\]"),
        ("mood", np.zeros(3), "'mood'"),
        ("duration_s", np.zeros((2, 3)), "positive"),
        ("median_watch_s", np.full((2, 3), np.nan), "not finite"),
        ("slopes", (1.0, 2.0), "2 slopes for 1 feedbacks"),
    ],
)
def test_response_tables_are_checked(field, value, message):
    arguments = {
        "feedback_names": ("like",),
        "logits": np.zeros((2, 3, 1)),
        "median_watch_s": np.ones((2, 3)),
        "duration_s": np.ones((2, 3)),
        "mood": np.zeros(2),
        "leave_logits": np.zeros(2),
        "slopes": (1.0,),
        "satisfaction_weights": (1.0,),
    }
    with pytest.raises(ValueError, match=message):
        TableResponse(**(arguments | {field: value}))
