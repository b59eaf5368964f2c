"""The state representation network."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
import tensorflow as tf

from mtfx.models.config import StateConfig
from mtfx.models.features import StateRepresentation
from mtfx.models.input_features import InputFeature


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


def with_tags(level="impression", size=11):
    """Features beside one of several values, whose ids leave places empty, and some rows."""
    rng = np.random.default_rng(3)
    inputs = (
        InputFeature("item", "categorical", 30),
        InputFeature("tags", "multivalued", size, level=level, max_values=3),
        InputFeature("age", "numeric"),
    )
    tags = rng.integers(-1, size, (24, 3))
    tags[5] = -1
    features = {
        "item": rng.integers(0, 30, 24),
        "age": rng.normal(size=24).astype(np.float32),
        "tags": tags,
    }
    return inputs, features


def expected_with_tags(layer, features):
    """Means of embeddings by a loop, then the layers."""
    table = layer.embeddings["tags"].embeddings.numpy()
    means = [
        np.mean([table[i] for i in ids if i >= 0], axis=0) if max(ids) >= 0 else 0 * table[0]
        for ids in features["tags"]
    ]
    projected = features["age"][:, None] * layer.projection.numpy() + layer.projection_bias.numpy()
    items = layer.embeddings["item"].embeddings.numpy()[features["item"]]
    x = np.concatenate([items, np.stack(means), projected], axis=1)
    for dense in layer.mlp:
        x = np.maximum(x @ dense.kernel.numpy() + dense.bias.numpy(), 0)
    return x


#: Below and above the vocabulary's size of 11: looked up, and picked by ones and zeros.
@pytest.mark.parametrize("width", [4, 16])
@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
def test_several_values_are_the_mean_of_their_embeddings(width, precision):
    inputs, features = with_tags()
    config = StateConfig(embedding_dim=width, hidden_units=(9,), state_dim=6)
    layer = StateRepresentation(inputs, config, seed=2, dtype=precision)
    tolerance = 1e-5 if precision == "float32" else 2e-2
    for _ in range(2):  # the second time of a built layer
        state = tf.cast(layer(features), tf.float32)
        expected = expected_with_tags(layer, features)
        np.testing.assert_allclose(state, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("width", [4, 16])
def test_the_order_of_several_values_does_not_matter(width):
    inputs, features = with_tags()
    layer = StateRepresentation(inputs, StateConfig(embedding_dim=width, state_dim=6))
    layer(features)
    turned = {**features, "tags": features["tags"][:, ::-1]}
    np.testing.assert_allclose(layer(turned), layer(features), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("level", ["session", "impression"])
@pytest.mark.parametrize("width", [4, 16])
def test_several_values_of_sessions_are_computed_once(level, width):
    inputs, features = with_tags(level)
    layer = StateRepresentation(inputs, StateConfig(embedding_dim=width, state_dim=6))
    session = np.repeat([0, 2, 1, 2], 6)
    spread = features["tags"][:3][session] if level == "session" else features["tags"]
    plain = layer({**features, "tags": spread})
    once = features["tags"][:3] if level == "session" else features["tags"]
    state = layer({**features, "tags": once}, tf.constant(session))
    np.testing.assert_allclose(state, plain, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("width", [4, 16])
def test_a_built_layer_gives_the_same_gradients_of_several_values(width):
    inputs, features = with_tags()
    gradients = []
    for calls in (0, 1):
        config = StateConfig(embedding_dim=width, hidden_units=(9,), state_dim=6)
        layer = StateRepresentation(inputs, config, seed=2)
        for _ in range(calls):
            layer(features)
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.sin(3 * layer(features)))
        variables = [layer.embeddings["tags"].embeddings, layer.mlp[0].kernel]
        gradients.append([tf.convert_to_tensor(g) for g in tape.gradient(loss, variables)])
    for first, built in zip(*gradients, strict=True):
        assert np.any(first != 0)
        np.testing.assert_allclose(built, first, rtol=1e-4, atol=1e-5)


def test_an_id_that_several_values_lack_is_named():
    inputs, features = with_tags()
    layer = StateRepresentation(inputs, StateConfig(embedding_dim=16, state_dim=6))
    layer(features)
    features["tags"][3, 1] = 11
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"tags has an id .* \[-1, 11\)"):
        layer(features)


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
    with pytest.raises(ValueError, match="multivalued feature 'tags' needs a vocabulary size"):
        InputFeature("tags", "multivalued", max_values=3)
    with pytest.raises(ValueError, match="categorical feature 'item' cannot have 2 values"):
        InputFeature("item", "categorical", 5, max_values=2)
    with pytest.raises(ValueError, match="feature 'age': kind is"):
        InputFeature("age", "text")
    with pytest.raises(ValueError, match="no input features"):
        StateRepresentation((), StateConfig())
    twice = (InputFeature("age", "numeric"), InputFeature("age", "numeric"))
    with pytest.raises(ValueError, match=r"named twice: \['age'\]"):
        StateRepresentation(twice, StateConfig())


STATISTICS = (
    InputFeature("item", "categorical", 50),
    InputFeature("age", "numeric"),
    InputFeature("item_statistics", "numeric", max_values=3),
)


def with_statistics(rows, seed=0):
    rng = np.random.default_rng(seed)
    counts = np.log1p(rng.integers(0, 3000, rows)) / 5
    return {
        "item": tf.constant(rng.integers(0, 50, rows)),
        "age": tf.constant(rng.normal(size=rows).astype(np.float32)),
        "item_statistics": tf.constant(
            np.stack([counts, rng.normal(3, 2, rows), rng.normal(0, 0.01, rows)], 1), tf.float32
        ),
    }


@pytest.mark.parametrize("width", [4, 64])
def test_statistics_are_standardised_and_embeddings_count_as_far_as_their_value_was_shown(width):
    config = StateConfig(width, (), 6, shrinkage=100.0, output_activation="linear")
    layer = StateRepresentation(STATISTICS, config, seed=2)
    batch = with_statistics(400)
    before = layer(batch).numpy()
    layer.standardisation.learn([with_statistics(400, seed) for seed in (0, 1)])
    seen = np.concatenate([with_statistics(400, seed)["item_statistics"] for seed in (0, 1)])
    # Numbers that hardly differ stay small.
    scale = np.maximum(seen.std(axis=0), 0.2)
    scores = np.clip((batch["item_statistics"].numpy() - seen.mean(axis=0)) / scale, -6, 6)
    count = np.expm1(batch["item_statistics"].numpy()[:, :1] * 5)
    embedded = layer.embeddings["item"].embeddings.numpy()[batch["item"].numpy()]
    projection, bias = layer.projection.numpy(), layer.projection_bias.numpy()
    joined = [
        embedded * count / (count + 100),
        batch["age"].numpy()[:, None] * projection[:1] + bias[0],
        scores @ projection[1:] + bias[1],
    ]
    first = layer.mlp[0]
    wanted = np.concatenate(joined, axis=1) @ first.kernel.numpy() + first.bias.numpy()
    found = layer(batch).numpy()
    np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-4)
    assert abs(found - before).max() > 0.1
    session = tf.range(400)
    np.testing.assert_allclose(layer(batch, session).numpy(), found, rtol=1e-3, atol=1e-4)
