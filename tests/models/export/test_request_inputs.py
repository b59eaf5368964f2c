"""A request's state and fused predictions, as a ranker reads them of it."""

import numpy as np
import pytest
import tensorflow as tf

from mtfx.datasets.fused_predictions import probabilities
from mtfx.models.export.request_inputs import RequestInputs
from mtfx.models.request_state import RequestState
from tests.request_examples import example
from tests.tiny_ranking import (
    NAMES,
    NOW,
    REQUEST,
    STATE_CONFIG,
    TinyRankingModel,
    by_hand,
    save_tiny,
    write_vocabulary,
)


@pytest.fixture(scope="module")
def ranking(tmp_path_factory):
    directory = tmp_path_factory.mktemp("ranking")
    vocabulary = write_vocabulary(directory / "vocabulary.txt")
    return save_tiny(TinyRankingModel(vocabulary), directory / "model")


def made(ranking, names=NAMES):
    return RequestInputs(ranking, probabilities(names), RequestState(STATE_CONFIG))


def test_state_and_predictions_are_those_computed_by_hand(ranking):
    facts, state, predictions = made(ranking)._request(tf.constant(REQUEST))
    own, _, expected, _ = by_hand()
    np.testing.assert_allclose(state, own, atol=1e-6)
    np.testing.assert_allclose(predictions, expected, rtol=1e-5)
    assert facts.left_out.numpy().tolist() == [1]


def test_the_order_of_the_names_is_that_of_the_predictions(ranking):
    inputs = made(ranking, NAMES[::-1])
    _, state, predictions = inputs._request(tf.constant(REQUEST))
    np.testing.assert_allclose(predictions, by_hand()[2][:, ::-1], rtol=1e-5)
    np.testing.assert_allclose(state[-2:], np.mean(predictions, axis=0), rtol=1e-5)


def test_a_request_without_a_candidate_is_refused(ranking):
    nothing = example(item=[], timestamp_ms=NOW)
    with pytest.raises(tf.errors.InvalidArgumentError, match="the request has no candidate"):
        made(ranking)._request(tf.constant(nothing))


def test_a_ranking_model_without_a_prediction_or_a_signature_is_refused(ranking, tmp_path):
    with pytest.raises(ValueError, match="does not predict share; it predicts: click, like, watch"):
        made(ranking, ("click", "share"))
    tf.saved_model.save(tf.Module(), str(tmp_path / "empty"))
    with pytest.raises(ValueError, match="ranking model has no signature 'serving_default'"):
        made(tf.saved_model.load(str(tmp_path / "empty")))
