"""Training of two-tower retrieval on the positive impressions of a log."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import tensorflow as tf

from mtfx.environments.simulator.fitting.config import RetrievalTrainingConfig
from mtfx.models.input_features import InputFeature
from mtfx.models.optimizers import LazyAdam
from mtfx.models.retrieval import ITEM, PROBABILITY, TwoTower, top_items

_EMBED_BATCH = 65_536
_TOP_BATCH = 1024


def train_retrieval(
    user_inputs: tuple[InputFeature, ...],
    item_inputs: tuple[InputFeature, ...],
    features: Mapping[str, np.ndarray],
    items: np.ndarray,
    config: RetrievalTrainingConfig,
    on_epoch_end: Callable[[int, float], None] | None = None,
) -> tuple[TwoTower, tuple[float, ...]]:
    """Trains the towers.

    Args:
      user_inputs: Features of users.
      item_inputs: Features of items.
      features: Of the pairs of user and item, by name, `[pair]`.
      items: Number of each pair's item, int64 `[pair]`.
      config: How.
      on_epoch_end: Called with the epoch, from 1, and its mean loss.

    Returns:
      The model, and the mean loss of each epoch.

    Raises:
      ValueError: if there are fewer than two different items among the pairs.
    """
    if len(np.unique(items)) < 2:
        raise ValueError(
            f"{len(items):,} positive impressions of {len(np.unique(items))} items: retrieval "
            "needs at least two items that users responded to"
        )
    names = [feature.name for feature in (*user_inputs, *item_inputs)]
    _, number, counts = np.unique(items, return_inverse=True, return_counts=True)
    columns = {name: features[name] for name in names}
    columns[ITEM] = items
    columns[PROBABILITY] = (counts / len(items)).astype(np.float32)[number]
    model = TwoTower(user_inputs, item_inputs, config.model, config.seed)
    optimizer = LazyAdam(config.learning_rate)
    tensors = {name: tf.constant(column) for name, column in columns.items()}

    @tf.function(autograph=False)
    def step(rows: tf.Tensor) -> tf.Tensor:
        batch = {name: tf.gather(column, rows) for name, column in tensors.items()}
        with tf.GradientTape() as tape:
            loss = model.compute_loss(batch, training=True)
        variables = model.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return loss

    rng = np.random.default_rng(config.seed)
    size = min(config.batch_size, len(items))
    losses = []
    for epoch in range(config.epochs):
        order = rng.permutation(len(items))
        # A smaller last batch would have fewer negatives, so its pairs wait for another epoch.
        batches = [order[i : i + size] for i in range(0, len(items) - size + 1, size)]
        losses.append(float(np.mean([step(tf.constant(rows)).numpy() for rows in batches])))
        if on_epoch_end is not None:
            on_epoch_end(epoch + 1, losses[-1])
    return model, tuple(losses)


def embed(
    embed_batch: Callable[[dict[str, tf.Tensor]], tf.Tensor],
    inputs: tuple[InputFeature, ...],
    features: Mapping[str, np.ndarray],
) -> np.ndarray:
    """Embeddings of many users or items, float32 `[n, embedding]`.

    Args:
      embed_batch: ``TwoTower.embed_users`` or ``embed_items``.
      inputs: Its features.
      features: Transformed features by name, `[n]`.
    """
    columns = {feature.name: features[feature.name] for feature in inputs}
    size = len(next(iter(columns.values())))
    parts = []
    for first in range(0, size, _EMBED_BATCH):
        rows = slice(first, first + _EMBED_BATCH)
        batch = {name: tf.constant(column[rows]) for name, column in columns.items()}
        parts.append(embed_batch(batch).numpy())
    return np.concatenate(parts)


def retrieve(users: np.ndarray, items: np.ndarray, number: int) -> np.ndarray:
    """The top items of many users, int64 `[user, number]`; see ``models.retrieval.top_items``."""
    parts = [
        top_items(tf.constant(users[i : i + _TOP_BATCH]), tf.constant(items), number).numpy()
        for i in range(0, len(users), _TOP_BATCH)
    ]
    return np.concatenate(parts).astype(np.int64)


def hit_rate(top: np.ndarray, user_of_pair: np.ndarray, item_of_pair: np.ndarray) -> float:
    """Share of held-out pairs whose item is among its user's top items; NaN without pairs.

    Args:
      top: Indices of items, int `[user, number]`.
      user_of_pair: Row of ``top`` of each pair, int `[pair]`.
      item_of_pair: Index of each pair's item, int `[pair]`.
    """
    if not len(user_of_pair):
        return float("nan")
    return float((top[user_of_pair] == item_of_pair[:, None]).any(axis=1).mean())
