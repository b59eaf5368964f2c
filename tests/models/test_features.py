"""The state representation network."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
import tensorflow as tf

from models.features import InputFeature, StateConfig, StateRepresentation


@pytest.mark.parametrize("activation", ["relu", "sigmoid", "tanh", "linear"])
@pytest.mark.parametrize("hidden", [(), (9,), (9, 7)])
def test_state_matches_numpy(small, reference, activation, hidden):
    config = StateConfig(
        embedding_dim=4, hidden_units=hidden, state_dim=6, output_activation=activation
    )
    layer = StateRepresentation(small.inputs, config, seed=2)
    features, _ = small.batch()
    state = layer({name: tf.constant(values) for name, values in features.items()})
    assert state.shape == (24, 6)
    expected = reference.state_representation(layer, features)
    np.testing.assert_allclose(state, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("kind", ["categorical", "numeric"])
def test_one_kind_of_feature_is_enough(small, reference, kind):
    inputs = tuple(feature for feature in small.inputs if feature.kind == kind)
    layer = StateRepresentation(inputs, StateConfig(embedding_dim=4, state_dim=6))
    features, _ = small.batch()
    given = {feature.name: tf.constant(features[feature.name]) for feature in inputs}
    for state in (layer(given), layer(given)):  # the second of a built layer
        expected = reference.state_representation(layer, features)
        np.testing.assert_allclose(state, expected, rtol=1e-4, atol=1e-6)


#: Below, between and above the vocabularies' sizes, 11 and 30: none, one, all of them narrow.
@pytest.mark.parametrize("width", [4, 16, 64])
@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
def test_a_built_layer_gives_the_same_states(small, reference, width, precision):
    config = StateConfig(embedding_dim=width, hidden_units=(9,), state_dim=6)
    layer = StateRepresentation(small.inputs, config, seed=2, dtype=precision)
    features, _ = small.batch()
    layer(features)
    layer.projection_bias.assign(tf.random.stateless_normal(layer.projection_bias.shape, [1, 2]))
    state = tf.cast(layer(features), tf.float32)
    tolerance = 1e-5 if precision == "float32" else 2e-2
    expected = reference.state_representation(layer, features)
    np.testing.assert_allclose(state, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("width", [4, 16, 64])
def test_a_built_layer_gives_the_same_gradients(small, width):
    features, _ = small.batch()
    features["friend"] = features["user"][::-1].copy()
    friend = InputFeature("friend", "categorical", 11, vocabulary="user")
    config = StateConfig(embedding_dim=width, hidden_units=(9,), state_dim=6)
    gradients = []
    for calls in (0, 1):
        layer = StateRepresentation((*small.inputs, friend), config, seed=2)
        for _ in range(calls):
            layer(features)
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.sin(3 * layer(features)))
        gradients.append(tape.gradient(loss, layer.trainable_variables))
    for first, built in zip(*gradients, strict=True):
        assert np.any(tf.convert_to_tensor(first) != 0)
        np.testing.assert_allclose(
            tf.convert_to_tensor(built), tf.convert_to_tensor(first), rtol=1e-4, atol=1e-5
        )


@pytest.mark.parametrize("wrong", [-1, 11])
def test_an_id_that_a_narrow_feature_lacks_is_named(small, wrong):
    layer = StateRepresentation(small.inputs, StateConfig(embedding_dim=16, state_dim=6))
    features, _ = small.batch()
    layer(features)
    features["user"][3] = wrong
    for call in (layer, tf.function(layer, autograph=False)):
        with pytest.raises(tf.errors.InvalidArgumentError, match=r"user has an id .* \[0, 11\)"):
            call(features)


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize("hidden", [(), (9,)])
@pytest.mark.parametrize("levels", itertools.product(("session", "impression"), repeat=4))
def test_what_sessions_share_is_computed_once(small, reference, levels, hidden, precision):
    inputs = tuple(
        dataclasses.replace(feature, level=level)
        for feature, level in zip(small.inputs, levels, strict=True)
    )
    config = StateConfig(embedding_dim=4, hidden_units=hidden, state_dim=6)
    layer = StateRepresentation(inputs, config, seed=2, dtype=precision)
    impressions, _ = small.batch()
    session = np.repeat([0, 2, 1, 2], 6)  # out of order, and one session in two pieces
    once = {f.name: impressions[f.name][:3] for f in inputs if f.level == "session"}
    spread = {name: values[session] for name, values in once.items()}
    layer({**impressions, **spread})  # makes the weights
    expected = reference.state_representation(layer, {**impressions, **spread})
    state = layer({**impressions, **once}, tf.constant(session))
    tolerance = 1e-5 if precision == "float32" else 2e-2
    np.testing.assert_allclose(tf.cast(state, tf.float32), expected, rtol=tolerance, atol=tolerance)


def test_sessions_need_a_built_layer(small):
    features, _ = small.batch()
    layer = StateRepresentation(small.inputs, StateConfig(embedding_dim=4, state_dim=6))
    with pytest.raises(ValueError, match="without session first"):
        layer(features, tf.zeros(24, tf.int64))


def test_weights_depend_on_the_seed_alone(small):
    features, _ = small.batch()
    config = StateConfig(embedding_dim=4, state_dim=6)
    states = [
        StateRepresentation(small.inputs, config, seed=seed)(features).numpy() for seed in (1, 1, 2)
    ]
    np.testing.assert_array_equal(states[0], states[1])
    assert not np.allclose(states[0], states[2])


def test_wrong_features_are_named():
    with pytest.raises(ValueError, match="'item' needs a vocabulary size of at least 1"):
        InputFeature("item", "categorical")
    with pytest.raises(ValueError, match="feature 'age': kind is"):
        InputFeature("age", "text")
    with pytest.raises(ValueError, match="no input features"):
        StateRepresentation((), StateConfig())
    twice = (InputFeature("age", "numeric"), InputFeature("age", "numeric"))
    with pytest.raises(ValueError, match=r"named twice: \['age'\]"):
        StateRepresentation(twice, StateConfig())
