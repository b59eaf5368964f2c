"""Two towers against the corrected softmax in NumPy."""

import numpy as np
import pytest
import tensorflow as tf

from mtfx.models.config import TwoTowerConfig
from mtfx.models.input_features import InputFeature
from mtfx.models.retrieval import ITEM, PROBABILITY, TwoTower, top_items

CONFIG = TwoTowerConfig(feature_dim=3, hidden_units=(5,), embedding_dim=4)


@pytest.fixture
def towers():
    return TwoTower(
        (InputFeature("user", "categorical", 10),),
        (InputFeature("item", "categorical", 10),),
        CONFIG,
    )


def pairs():
    return {
        "user": tf.constant([1, 2, 3, 4], tf.int64),
        "item": tf.constant([5, 6, 5, 7], tf.int64),
        ITEM: tf.constant([5, 6, 5, 7], tf.int64),
        PROBABILITY: tf.constant([0.5, 0.25, 0.5, 0.25]),
    }


def test_the_loss_is_the_corrected_softmax_without_accidental_hits(towers):
    given = pairs()
    users, items = towers.embed_users(given).numpy(), towers.embed_items(given).numpy()
    np.testing.assert_allclose(np.linalg.norm(users, axis=1), 1.0, rtol=1e-5)
    logits = users @ items.T / CONFIG.temperature - np.log(given[PROBABILITY].numpy())
    ids = given[ITEM].numpy()
    hits = (ids[:, None] == ids[None]) & ~np.eye(4, dtype=bool)
    logits[hits] = -np.inf
    wanted = np.mean([np.log(np.exp(row).sum()) - row[at] for at, row in enumerate(logits)])
    np.testing.assert_allclose(towers.compute_loss(given), wanted, rtol=1e-4)


def test_the_nearest_items_come_best_first():
    items = tf.constant([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]])
    found = top_items(tf.constant([[1.0, 0.1], [0.0, 1.0]]), items, 2)
    assert found.numpy().tolist() == [[0, 2], [1, 2]]
