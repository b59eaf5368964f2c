"""Scales are the medians of the raw predictions of the training split, as they are served."""

import numpy as np
import pytest
import tensorflow as tf

from mtfx.environments.simulator.fitting import prediction_scales
from mtfx.environments.simulator.fitting.prediction_scales import fit_scales
from mtfx.environments.simulator.fitting.predictions import RankingPredictions
from mtfx.errors import DataError
from tests.planted_log import SPEC
from tests.request_examples import example

RNG = np.random.default_rng(3)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Watches an item a second for its number."""
    path = str(tmp_path_factory.mktemp("model"))
    features = {"item_id": tf.io.RaggedFeature(tf.int64)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "examples")])
    def serve(examples):
        items = tf.cast(tf.io.parse_example(examples, features)["item_id"].to_tensor(), tf.float32)
        return {"click": tf.fill(tf.shape(items), 0.5), "play_ms": 1_000.0 * items}

    tf.saved_model.save(tf.Module(), path, signatures={"serving_default": serve})
    return path


def _write(directory, sessions):
    (directory / "Split-train").mkdir(parents=True)
    for shard in range(2):
        path = str(directory / "Split-train" / f"data-{shard}.gz")
        with tf.io.TFRecordWriter(path, "GZIP") as writer:
            for items, durations in sessions[shard::2]:
                writer.write(example(item_id=items.tolist(), duration_ms=durations.tolist()))
    return str(directory)


def _sessions(count):
    found = []
    for _ in range(count):
        items = RNG.integers(1, 60, RNG.integers(1, 9))
        durations = RNG.uniform(5_000, 90_000, len(items)) * (RNG.random(len(items)) < 0.8)
        found.append((items, durations.astype(np.float32)))
    return found


def test_they_are_the_medians_of_every_impression(model, tmp_path):
    sessions = _sessions(400)
    predict = RankingPredictions(model, SPEC)
    click, watch, share = fit_scales(predict, predict.fusible, _write(tmp_path, sessions))
    items = np.concatenate([items for items, _ in sessions])
    durations = np.concatenate([durations for _, durations in sessions])
    assert click == predict.fusible[0]
    assert watch.scale == pytest.approx(np.median(1_000 * items))
    known = durations > 0
    assert share.scale == pytest.approx(np.median(1_000 * items[known] / durations[known]))


def test_of_a_large_log_some_sessions_are_drawn_always_the_same(model, tmp_path, monkeypatch):
    sessions = sorted(_sessions(1_000), key=lambda session: session[0].mean())
    examples = _write(tmp_path, sessions)
    monkeypatch.setattr(prediction_scales, "_SESSIONS", 300)
    predict = RankingPredictions(model, SPEC, ("play_integrity",))
    [_, watch] = fit_scales(predict, predict.fusible, examples)
    assert fit_scales(predict, predict.fusible, examples)[1] == watch
    everything = np.concatenate([items for items, _ in sessions])
    assert watch.scale != 1_000 * np.median(everything)
    assert watch.scale == pytest.approx(1_000 * np.median(everything), rel=0.15)


def test_without_scaled_predictions_nothing_is_read(model):
    predict = RankingPredictions(model, SPEC, ("play_ms", "play_integrity"))
    assert fit_scales(predict, predict.fusible, "nowhere") == predict.fusible


def test_what_cannot_be_fitted_is_named(model, tmp_path):
    predict = RankingPredictions(model, SPEC)
    with pytest.raises(DataError, match="no session in"):
        fit_scales(predict, predict.fusible, str(tmp_path / "empty"))
    negative = _write(tmp_path / "negative", [(np.array([-3]), np.array([7.0]))] * 2)
    with pytest.raises(ValueError, match="play_ms holds values that are no numbers from 0 on"):
        fit_scales(predict, predict.fusible, negative)
