"""The published response of a log and a ranking model."""

import json
import os

import numpy as np
import polars as pl
import pytest

from mtfx.components.simulator_gen import build_simulator
from mtfx.environments.simulator.config import CIRCULAR
from mtfx.environments.simulator.fitted_response import FittedResponse
from mtfx.environments.simulator.fitting.config import (
    ResponseTrainingConfig,
    RetrievalTrainingConfig,
    WorldConfig,
)
from mtfx.environments.simulator.fitting.published import logged_seconds, published_notes
from mtfx.environments.simulator.published_response import PublishedResponse
from mtfx.environments.simulator.world import INDEPENDENT, load_world
from mtfx.models.config import ResponseNetworkConfig, TwoTowerConfig
from tests.planted_artifacts import DATASET, write_artifacts
from tests.planted_log import click_probability, planted_data


def test_logged_seconds_are_of_all_splits_and_0_of_strangers():
    data = planted_data(sessions=60)
    users = data.splits["test"]["user_id"].unique().sort()
    known = users.to_list()
    found = logged_seconds(data, pl.Series("user_id", [*known, 10_000]))
    everything = pl.concat(data.splits.values())
    expected = [
        everything.filter(pl.col("user_id") == user)["play_ms"].sum() / 1_000 for user in known
    ]
    np.testing.assert_allclose(found, [*expected, 0.0], rtol=1e-5)


def response(watch_s, logged_s, pool=4):
    users = len(logged_s)
    return PublishedResponse(
        {
            "watch_s": np.full((users, pool), watch_s),
            "chances": np.zeros((users, pool, 1)),
            "logged_s": np.asarray(logged_s),
            "duration_s": np.zeros((users, pool)),
        },
        ("click",),
    )


def test_the_notes_say_what_the_figures_hang_on():
    small = published_notes(response(10.0, [100.0, 50_000.0]), 97)
    assert small[0] == CIRCULAR
    assert "requests offer 4 items at first" in small[1]
    assert "50% of the users begin with the lowest satisfaction, 0.11" in small[2]
    assert "no more than 1,100 s" in small[2]
    assert small[3].startswith("0.0% of the predicted play times are 40 s or more")
    large = published_notes(response(50.0, [50_000.0], pool=1_096), 97)
    assert len(large) == 2
    assert large[1].startswith("100.0% of the predicted play times")


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    directory = tmp_path_factory.mktemp("world")
    made = write_artifacts(str(directory), sessions=600, random_sessions=300)
    config = WorldConfig(
        DATASET,
        made.data_dir,
        users=10,
        pool=20,
        max_views=10,
        response="published",
        leave_out=("play_ms", "play_integrity"),
        retrieval=RetrievalTrainingConfig(TwoTowerConfig(8, 8, (16,)), epochs=1, batch_size=128),
        response_training=ResponseTrainingConfig(
            ResponseNetworkConfig(8, 16, "shared_bottom", (16,), (8,), 0.0),
            epochs=1,
            min_random_rows=500,
        ),
    )
    output = str(directory / "simulator")
    return output, build_simulator(made.examples, made.transform_graph, made.model, output, config)


@pytest.mark.slow
def test_the_world_answers_with_predictions_that_need_not_be_fused(built):
    output, summary = built
    world, independent = load_world(output), load_world(os.path.join(output, INDEPENDENT))
    assert world.prediction_names == ("click", "like")
    chance = click_probability(np.asarray(world.user_ids)[:, None], np.asarray(world.item_ids))
    tables = world.response.arrays()
    np.testing.assert_allclose(tables["watch_s"], 10 * chance, rtol=1e-5)
    np.testing.assert_allclose(tables["chances"][..., 1], 0.1 * chance, rtol=1e-5)
    assert (tables["logged_s"] > 0).all()
    assert summary["response_model"] == "published"
    assert summary["independent"]["response_model"] == "fitted"
    assert isinstance(independent.response, FittedResponse)
    for name in ("predictions", "item_ids", "user_ids"):
        np.testing.assert_array_equal(getattr(world, name), getattr(independent, name))


@pytest.mark.slow
def test_its_report_says_first_that_it_is_circular(built):
    with open(os.path.join(built[0], "report", "report.json")) as file:
        report = json.load(file)
    assert report["notes"][0] == CIRCULAR
    assert report["response_model"].startswith("the ranking model's own predictions")
    with open(os.path.join(built[0], "report", "index.html")) as file:
        assert "circular: users answer with the ranking model" in file.read()
