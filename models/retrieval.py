"""Two-tower retrieval: which items a user is likely to respond to, by one inner product."""

from __future__ import annotations

import tensorflow as tf
import tensorflow_recommenders as tfrs

from mtfx.models.config import StateConfig, TwoTowerConfig
from mtfx.models.features import StateRepresentation
from mtfx.models.input_features import InputFeature
from mtfx.models.keras import seed_for

#: Keys of what training needs beside the features.
ITEM, PROBABILITY = "_item", "_sampling_probability"


class _Retrieval(tfrs.tasks.Retrieval):
    """The task for graphs: AutoGraph, which its ``len`` of a tensor needs, stops at the task.

    Left to a ``tf.function``, AutoGraph rewrites Keras' losses too: eight seconds of every process.
    """

    call = tf.autograph.to_graph(tfrs.tasks.Retrieval.call, recursive=False)


class TwoTower(tfrs.Model):
    """Embeds users and items on the unit sphere; trained by a softmax over each batch's items.

    The batch's items are negatives in proportion to their popularity, which the logits are
    corrected for: Yi et al., "Sampling-Bias-Corrected Neural Modeling for Large Corpus Item
    Recommendations", RecSys 2019, equation (4): s(x, y) - log p(y).

    Attributes:
      user_inputs: Features of the user tower.
      item_inputs: Features of the item tower.
      config: Sizes.
    """

    def __init__(
        self,
        user_inputs: tuple[InputFeature, ...],
        item_inputs: tuple[InputFeature, ...],
        config: TwoTowerConfig,
        seed: int = 0,
    ) -> None:
        """Builds the towers.

        Args:
          user_inputs: Features of users.
          item_inputs: Features of items.
          config: Sizes.
          seed: Of the weights.
        """
        super().__init__()
        self.user_inputs, self.item_inputs, self.config = user_inputs, item_inputs, config
        sizes = StateConfig(
            config.feature_dim,
            config.hidden_units,
            config.embedding_dim,
            output_activation="linear",
        )
        self.user_tower = StateRepresentation(user_inputs, sizes, seed=seed_for(seed, "user"))
        self.item_tower = StateRepresentation(item_inputs, sizes, seed=seed_for(seed, "item"))
        self.task = _Retrieval(temperature=config.temperature, remove_accidental_hits=True)

    def embed_users(self, features: dict[str, tf.Tensor]) -> tf.Tensor:
        """Unit vectors float32 `[batch, embedding]` of transformed features `[batch]`."""
        return tf.math.l2_normalize(self.user_tower(features), axis=1)

    def embed_items(self, features: dict[str, tf.Tensor]) -> tf.Tensor:
        """Unit vectors float32 `[batch, embedding]` of transformed features `[batch]`."""
        return tf.math.l2_normalize(self.item_tower(features), axis=1)

    def compute_loss(self, inputs: dict[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        """The corrected softmax loss, mean over the batch.

        Args:
          inputs: Features `[batch]` of pairs of a user and an item they responded to; ``_item``,
            the item's number, and ``_sampling_probability``, its share of the training pairs.
          training: Ignored: the towers have no dropout.
        """
        loss = self.task(
            self.embed_users(inputs),
            self.embed_items(inputs),
            candidate_sampling_probability=inputs[PROBABILITY],
            candidate_ids=inputs[ITEM],
            compute_metrics=False,
        )
        return loss / tf.cast(tf.size(inputs[ITEM]), tf.float32)


def top_items(users: tf.Tensor, items: tf.Tensor, number: int) -> tf.Tensor:
    """The items of the largest inner products, exact.

    Args:
      users: float32 `[user, embedding]`.
      items: float32 `[item, embedding]`.
      number: How many, at most the number of items.

    Returns:
      Indices of items, best first, int32 `[user, number]`.
    """
    search = tfrs.layers.factorized_top_k.BruteForce(k=number)
    search.index(items)
    return search(users)[1]
