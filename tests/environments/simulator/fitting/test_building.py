"""From a ranking run's artifacts to a simulator; the slow ones build one from end to end."""

import dataclasses
import json
import os

import numpy as np
import pytest
import tensorflow as tf

from mtfx.components.simulator_gen import LOG_FILE, SIMULATION_FILE, build_simulator
from mtfx.datasets.fused_predictions import FusedPrediction, probabilities, with_scales
from mtfx.datasets.request_state import RequestColumn
from mtfx.environments.simulator.fitting.building import (
    FIT_FILE,
    fused_of,
)
from mtfx.environments.simulator.fitting.config import (
    ResponseTrainingConfig,
    RetrievalTrainingConfig,
    WorldConfig,
)
from mtfx.environments.simulator.fitting.predictions import RankingPredictions, true_predictions
from mtfx.environments.simulator.saved_simulator import DIRECTORY, RESET
from mtfx.environments.simulator.world import load_world
from mtfx.evaluation.simulator.session_sample import SessionSample
from mtfx.models.config import ResponseNetworkConfig, TwoTowerConfig
from tests.planted_artifacts import DATASET, write_artifacts
from tests.planted_log import SPEC, click_probability
from tests.request_examples import example
from tests.simulator_worlds import random_world


def _save(directory, signature="serving_default", **outputs):
    """Saves a model that gives any candidate these predictions."""
    items = {"item_id": tf.io.RaggedFeature(tf.int64)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "examples")])
    def predict(examples):
        shown = tf.io.parse_example(examples, items)["item_id"].to_tensor()
        return {name: tf.fill(tf.shape(shown), value) for name, value in outputs.items()}

    tf.saved_model.save(tf.Module(), str(directory), signatures={signature: predict})
    return str(directory)


def _request(items=(3, 1, 4), durations=(20_000.0, 40_000.0, 0.0)):
    return example(item_id=list(items), duration_ms=list(durations))


def test_all_predictions_are_fused_in_the_data_sets_order(tmp_path):
    model = _save(tmp_path, play_ms=20_000.0, like=0.2, click=0.6)
    predict = RankingPredictions(model, SPEC)
    assert [one.name for one in predict.fusible] == ["click", "like", "play_ms", "play_integrity"]
    fused = with_scales(predict.fusible, {"play_ms": 5_000.0, "play_integrity": 0.25})
    found = predict.fused([_request()] * 70, fused)
    # 20 s of 20, 40 and an unknown number of seconds.
    expected = [[0.6, 0.2, 0.8, share] for share in (0.8, 2 / 3, 0.5)]
    np.testing.assert_allclose(found, [expected] * 70, rtol=1e-6)
    less = RankingPredictions(model, SPEC, ("play_ms", "like"))
    assert [one.name for one in less.fusible] == ["click", "play_integrity"]
    with pytest.raises(ValueError, match=r"no prediction 'lik' .* click, like, play_ms, play_int"):
        RankingPredictions(model, SPEC, ("lik",))


def test_raw_predictions_say_where_a_candidate_is(tmp_path):
    predict = RankingPredictions(_save(tmp_path, click=0.6), SPEC)
    raw, there = predict.raw([_request((1,), (1.0,)), _request((1, 2), (1.0, 2.0))])
    assert there.tolist() == [[True, False], [True, True]]
    assert raw["click"].shape == (2, 2)


def test_a_model_that_predicts_nothing_of_use_is_refused(tmp_path):
    other = _save(tmp_path / "other", "predict_tasks", click=0.5)
    with pytest.raises(ValueError, match="no signature 'serving_default'"):
        RankingPredictions(other, SPEC)
    times = _save(tmp_path / "times", watch=7.0)
    with pytest.raises(ValueError, match=r"predicts no task of planted, only \['watch'\]"):
        RankingPredictions(times, SPEC)


def test_true_predictions_are_the_responses_at_a_sessions_start():
    response = random_world(users=6, pool=9, seed=2).response
    users = np.asarray([4, 1])
    fused = (
        FusedPrediction("like", "like", "negative"),
        FusedPrediction("click", "click"),
        FusedPrediction("watch", "watch", "regression", scale=7_000.0),
        FusedPrediction(
            "share", "watch", "play_integrity", 0.5, duration=RequestColumn("length", "float32")
        ),
    )
    found = true_predictions(response, fused, users, seed=7)
    assert found.shape == (2, 9, 4)
    satisfaction = response.initial_satisfaction(tf.constant(users, tf.int32), tf.constant([7, 0]))
    tables = response.arrays()
    for row, user in enumerate(users):
        lift = np.asarray(response.settings()["slopes"]) * (satisfaction[row].numpy() - 0.3)
        logits = tables["logits"][user] + lift
        chances = 1 / (1 + np.exp(-logits[:, [2, 0]]))
        np.testing.assert_allclose(found[row][:, 0], 1 - chances[:, 0], rtol=1e-4)
        np.testing.assert_allclose(found[row][:, 1], chances[:, 1], rtol=1e-4)
        median = tables["median_watch_s"][user] * np.exp(satisfaction[row].numpy() - 0.3)
        watch = median * np.arctan(3 * tables["duration_s"][user] / median)
        np.testing.assert_allclose(found[row][:, 2], watch / (watch + 7), rtol=1e-4)
        share = watch / tables["duration_s"][user]
        np.testing.assert_allclose(found[row][:, 3], share / (share + 0.5), rtol=1e-4)
    with pytest.raises(ValueError, match=r"knows no follow, only click, long_view, like"):
        true_predictions(response, probabilities(("click", "follow")), users, seed=7)


def test_a_served_logs_predictions_keep_their_scales_and_must_be_the_models(tmp_path):
    predict = RankingPredictions(_save(tmp_path, play_ms=7.0, click=0.6), SPEC, ("play_integrity",))
    served = with_scales(predict.fusible, {"play_ms": 3.0})
    config = WorldConfig(DATASET, "", leave_out=("play_integrity",), fused=served)
    assert WorldConfig.from_json(config.to_json()) == config
    assert fused_of(predict, config, "nowhere") == served
    other = dataclasses.replace(config, fused=served[:1])
    with pytest.raises(ValueError, match=r"has click \(probability\), play_ms \(regression\): the"):
        fused_of(predict, other, "nowhere")


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
        retrieval=RetrievalTrainingConfig(TwoTowerConfig(8, 8, (16,)), epochs=2, batch_size=128),
        response_training=ResponseTrainingConfig(
            ResponseNetworkConfig(8, 16, "shared_bottom", (16,), (8,), 0.0),
            epochs=4,
            learning_rate=0.02,
            min_random_rows=500,
        ),
    )
    output = str(directory / "simulator")
    summary = build_simulator(made.examples, made.transform_graph, made.model, output, config)
    return made, config, output, summary


@pytest.mark.slow
def test_the_world_has_the_ranking_models_predictions(built):
    _, _, output, summary = built
    world = load_world(output)
    assert world.prediction_names == ("click", "like", "play_ms", "play_integrity")
    assert [one["name"] for one in summary["predictions"]] == list(world.prediction_names)
    assert (world.num_users, world.pool_size) == (10, 20)
    chance = click_probability(np.asarray(world.user_ids)[:, None], np.asarray(world.item_ids))
    np.testing.assert_allclose(world.predictions[..., 0], chance, rtol=1e-5)
    watch, share = world.fused[2:]
    # The raw play time is 10 s times the click's probability, and most items are not liked.
    assert 500 < watch.scale < 6_000
    ms = 10_000 * chance
    np.testing.assert_allclose(world.predictions[..., 2], ms / (ms + watch.scale), rtol=1e-5)
    part = ms / (10_000 + 500 * np.asarray(world.item_ids))
    np.testing.assert_allclose(world.predictions[..., 3], part / (part + share.scale), rtol=1e-5)
    with open(os.path.join(output, FIT_FILE)) as file:
        assert json.load(file)["response"]["source"].endswith("of the training split")


@pytest.mark.slow
def test_the_report_is_of_the_stored_sessions(built):
    _, config, output, _ = built
    with open(os.path.join(output, "report", "report.json")) as file:
        report = json.load(file)
    assert os.path.getsize(os.path.join(output, "report", "index.html")) > 10_000
    for side, name in (("log", LOG_FILE), ("simulation", SIMULATION_FILE)):
        sample = SessionSample.load(os.path.join(output, name))
        assert sample.lengths.max() <= config.max_views
        assert report["sessions"][side] == len(sample.lengths)
        assert report["quantities"][0][side]["mean"] == pytest.approx(sample.lengths.mean())
        assert report["rates"][0][side]["mean"] == pytest.approx(sample.rates()[0])


@pytest.mark.slow
def test_the_saved_model_starts_sessions(built):
    loaded = tf.saved_model.load(os.path.join(built[2], DIRECTORY))
    session = loaded.signatures[RESET](users=tf.constant([0, 9]), seed=tf.constant([1, 2]))
    assert session["remaining"].shape == (2, 20)


@pytest.mark.slow
def test_a_missing_split_is_named(built, tmp_path):
    made, config, _, _ = built
    (tmp_path / "Split-train").mkdir()
    with pytest.raises(ValueError, match=r"no session file matches .*Split-train"):
        build_simulator(
            str(tmp_path), made.transform_graph, made.model, str(tmp_path / "x"), config
        )
    assert not (tmp_path / "x").exists()
