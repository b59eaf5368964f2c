"""The history encoder against a NumPy twin, and its two ways of computing against each other."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from mtfx.models.config import HistoryConfig, StateConfig
from mtfx.models.features import StateRepresentation
from mtfx.models.history import HistoryEncoder
from mtfx.models.input_features import InputFeature

LENGTH, BATCH = 4, 7
IDS = (InputFeature("item", "categorical", 50), InputFeature("tag", "multivalued", 9, max_values=2))
VALUES = tuple(InputFeature(name, "numeric") for name in ("age_s", "click", "share"))
INPUTS = (
    *IDS,
    InputFeature("duration", "numeric"),
    InputFeature("history_ids", "history_ids", length=LENGTH, columns=IDS),
    InputFeature("history_values", "history_values", length=LENGTH, columns=VALUES),
)
CONFIG = HistoryConfig(length=LENGTH, units=5, value_units=3, embedding_dim=2)


def batch(seed=0, rows=BATCH):
    rng = np.random.default_rng(seed)
    known = np.arange(LENGTH) < rng.integers(0, LENGTH + 1, rows)[:, None]
    ids = rng.integers(0, 9, (rows, LENGTH, 3)).astype(np.int32)
    ids[:, :, 2] = np.where(rng.random((rows, LENGTH)) < 0.5, -1, ids[:, :, 2])
    values = rng.random((rows, LENGTH, 3)).astype(np.float32) * [1e5, 1, 2]
    return {
        "item": rng.integers(0, 9, rows),
        "tag": np.where(rng.random((rows, 2)) < 0.3, -1, rng.integers(0, 9, (rows, 2))),
        "duration": rng.normal(size=rows).astype(np.float32),
        "history_ids": np.where(known[:, :, None], ids, -1),
        "history_values": np.where(known[:, :, None], values, -1).astype(np.float32),
    }


def tensors(columns):
    return {name: tf.constant(value) for name, value in columns.items()}


def dense(layer, rows):
    return rows @ layer.kernel.numpy() + layer.bias.numpy()


def reference(encoder, columns, query):
    """Impression by impression, place by place."""
    rows = []
    for row in range(len(query)):
        found, recurring = [], np.zeros((2, 3))
        for ids, values in zip(
            columns["history_ids"][row], columns["history_values"][row], strict=True
        ):
            if values[0] < 0:
                continue
            numbers = np.concatenate([[np.log1p(values[0]) / 12], values[1:]])
            item = encoder.embeddings["item"].embeddings.numpy()[ids[0]]
            own = [tag for tag in ids[1:] if tag >= 0]
            table = encoder.embeddings["tag"].embeddings.numpy()
            tag = table[own].mean(axis=0) if own else np.zeros(2)
            same = np.array(
                [ids[0] == columns["item"][row], bool(set(own) & {*columns["tag"][row]} - {-1})],
                float,
            )
            known = np.concatenate([item, tag, numbers, same])
            hidden = np.maximum(dense(encoder.compared, known) + query[row], 0)
            value = np.maximum(dense(encoder.valued, known), 0)
            found.append((dense(encoder.scored, hidden), value, numbers))
            recurring += np.outer(same, np.concatenate([[1], np.maximum(numbers[1:], 0)]))
        n = len(found)
        summed, soft = np.zeros(3), np.zeros(3)
        if n:
            weights = np.exp([scores[1] for scores, _, _ in found])
            summed = sum(v / (1 + np.exp(-s[0])) for s, v, _ in found) / (n + 3)
            soft = sum(w * v for w, (_, v, _) in zip(weights, found, strict=True)) / weights.sum()
        total = sum((numbers for _, _, numbers in found), np.zeros(3))
        newest = found[0][2] if n else np.zeros(3)
        rows.append(
            np.concatenate(
                [
                    summed,
                    soft,
                    [np.log1p(n) / 2],
                    total / (n + 3),
                    newest,
                    np.log1p(recurring).ravel(),
                ]
            )
        )
    return np.stack(rows)


@pytest.mark.parametrize("padded", [False, True])
def test_the_encoder_matches_numpy(padded):
    encoder, columns = HistoryEncoder(INPUTS, CONFIG, seed=3), batch()
    encoder.padded = padded
    query = np.random.default_rng(1).normal(size=(BATCH, CONFIG.units)).astype(np.float32)
    found = encoder(tensors(columns), tf.constant(query)).numpy()
    assert found.shape == (BATCH, encoder.output_width)
    np.testing.assert_allclose(found, reference(encoder, columns, query), rtol=2e-5, atol=2e-6)


def test_a_history_per_session_gives_what_one_per_impression_gives():
    layer = StateRepresentation(INPUTS, StateConfig(4, (), 6), history=CONFIG, seed=1)
    columns, session = batch(rows=3), np.array([0, 0, 1, 2, 2, 2])
    own = {name: batch(5, 6)[name] for name in ("item", "tag", "duration")}
    repeated = {n: columns[n][session] for n in ("history_ids", "history_values")}
    apart = layer(tensors(own | repeated)).numpy()
    again = layer(tensors(own | repeated)).numpy()
    together = layer(tensors(own | {n: columns[n] for n in repeated}), tf.constant(session)).numpy()
    np.testing.assert_allclose(apart, again, atol=1e-5)
    np.testing.assert_allclose(together, apart, atol=1e-5)


@pytest.mark.parametrize("ids", [True, False])
def test_a_request_gives_what_its_candidates_give_one_by_one(ids):
    inputs = INPUTS if ids else (InputFeature("duration", "numeric"), INPUTS[-1])
    encoder, columns = HistoryEncoder(inputs, CONFIG, seed=3), batch(rows=1)
    query = np.random.default_rng(1).normal(size=(6, CONFIG.units)).astype(np.float32)
    own = {name: batch(5, 6)[name] for name in ("item", "tag", "duration")}
    past = {n: columns[n] for n in ("history_ids", "history_values") if ids or n[-3:] != "ids"}
    session = tf.zeros([6], tf.int64)
    together = encoder(tensors(own | past), tf.constant(query), session)
    apart = encoder(tensors(own | {n: v.repeat(6, 0) for n, v in past.items()}), tf.constant(query))
    assert together.shape == (6, encoder.output_width)
    np.testing.assert_allclose(together, apart, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("padded", [False, True])
def test_nobody_knows_anything_of_a_place_that_is_empty(padded):
    encoder, columns = HistoryEncoder(INPUTS, CONFIG, seed=3), batch()
    encoder.padded = padded
    query = tf.ones([BATCH, CONFIG.units])
    before = encoder(tensors(columns), query).numpy()
    empty = columns["history_values"][:, :, :1] < 0
    columns["history_ids"] = np.where(empty, 5, columns["history_ids"]).astype(np.int32)
    columns["history_values"][:, :, 1:] = np.where(empty, 9.0, columns["history_values"][:, :, 1:])
    np.testing.assert_allclose(encoder(tensors(columns), query).numpy(), before, atol=1e-6)


@pytest.mark.parametrize("padded", [False, True])
def test_users_of_whom_nothing_is_known_have_zeros_and_finite_gradients(padded):
    encoder, columns = HistoryEncoder(INPUTS, CONFIG), batch()
    encoder.padded = padded
    columns["history_ids"][:], columns["history_values"][:] = -1, -1.0
    query = tf.Variable(tf.ones([BATCH, CONFIG.units]))
    with tf.GradientTape() as tape:
        found = encoder(tensors(columns), query)
        total = tf.reduce_sum(found)
    assert not found.numpy().any()
    for gradient in tape.gradient(total, encoder.trainable_variables):
        assert gradient is None or np.isfinite(tf.convert_to_tensor(gradient).numpy()).all()


def test_units_are_dropped_in_training_only():
    encoder, columns = HistoryEncoder(INPUTS, CONFIG), tensors(batch())
    query = tf.ones([BATCH, CONFIG.units])
    plain = encoder(columns, query).numpy()
    np.testing.assert_array_equal(encoder(columns, query).numpy(), plain)
    assert (encoder(columns, query, training=True).numpy() != plain).any()


def test_xla_compiles_the_padded_form():
    encoder = HistoryEncoder(INPUTS, CONFIG)
    encoder.padded = True
    columns, query = tensors(batch()), tf.ones([BATCH, CONFIG.units])
    compiled = tf.function(lambda c: encoder(c, query), jit_compile=True)
    np.testing.assert_allclose(compiled(columns), encoder(columns, query), atol=1e-5)


def test_hidden_layers_may_be_bfloat16():
    layer = StateRepresentation(
        INPUTS, StateConfig(4, (), 6), history=CONFIG, dtype="mixed_bfloat16"
    )
    plain = StateRepresentation(INPUTS, StateConfig(4, (), 6), history=CONFIG)
    for _ in range(2):
        found, wanted = layer(tensors(batch())), plain(tensors(batch()))
        assert found.dtype == tf.bfloat16
        np.testing.assert_allclose(tf.cast(found, tf.float32), wanted, atol=0.1)


def test_a_history_without_ids_is_read_too():
    inputs = (InputFeature("duration", "numeric"), INPUTS[-1])
    layer = StateRepresentation(inputs, StateConfig(4, (), 6), history=CONFIG)
    columns = tensors({n: batch()[n] for n in ("duration", "history_values")})
    assert layer(columns).shape == layer(columns).shape == (BATCH, 6)


def test_sizes_are_checked():
    for change in ({"units": 0}, {"length": -1}, {"dropout": 1.0}, {"id_dropout": -0.1}):
        with pytest.raises(ValueError, match=r"must|at least|share"):
            dataclasses.replace(CONFIG, **change)
