"""Statistics of features' values as inputs: brought to one scale, and the trust they justify."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import tensorflow as tf

from mtfx.models.input_features import InputFeature, impressions_of, is_statistics
from mtfx.models.keras import keras

#: Deviations from the mean that are further out say no more.
_FARTHEST = 6.0
#: Numbers that differ less than this between impressions are noise, and stay small.
_LEAST_DEVIATION = 0.2


class Standardisation:
    """Mean 0 and deviation 1, at most, of the numbers of all statistics.

    Log odds of rare feedback differ little between values, and would be learned last. Transform
    could do it only by reading the log once more, as the rates themselves are smoothed by what
    it finds there.

    Attributes:
      features: The statistics among a model's inputs, in order.
      mean: Of their numbers, side by side: float32 `[width]`, zeros before :meth:`learn`.
      scale: What a difference from the mean is multiplied by: likewise, ones.
    """

    mean: tf.Variable
    scale: tf.Variable

    def __init__(self, inputs: Sequence[InputFeature]) -> None:
        """Finds the statistics.

        Args:
          inputs: A model's, in the order in which it takes them.
        """
        self.features = tuple(feature for feature in inputs if is_statistics(feature))
        self._places: dict[str, slice] = {}
        self._width = 0
        for feature in self.features:
            self._places[feature.name] = slice(self._width, self._width + feature.width)
            self._width += feature.width

    def build(self, layer: keras.layers.Layer) -> None:
        """Makes the weights, which belong to a layer, and are not trained.

        Args:
          layer: Saves them as ``statistics_mean`` and ``statistics_scale``. It gets none where
            there are no statistics.
        """
        if not self.features:
            return
        self.mean, self.scale = (
            layer.add_weight(name=name, shape=(self._width,), initializer=start, trainable=False)
            for name, start in (("statistics_mean", "zeros"), ("statistics_scale", "ones"))
        )

    def learn(self, batches: Iterable[Mapping[str, tf.Tensor]]) -> None:
        """Sets mean and scale by training's numbers.

        Args:
          batches: Features of training, at least one batch; the layer is built.
        """
        if not self.features:
            return
        rows = [
            tf.concat([tf.reshape(batch[f.name], [-1, f.width]) for f in self.features], axis=1)
            for batch in batches
        ]
        mean, variance = tf.nn.moments(tf.concat(rows, axis=0), axes=[0])
        self.mean.assign(mean)
        self.scale.assign(1.0 / tf.maximum(tf.sqrt(variance), _LEAST_DEVIATION))

    def apply(self, name: str, numbers: tf.Tensor) -> tf.Tensor:
        """The numbers of a feature on the common scale; of one that is no statistics, as they are.

        Args:
          name: The feature's.
          numbers: Float `[batch, width]`.

        Returns:
          Likewise, within 6 deviations of the mean.
        """
        if name not in self._places:
            return numbers
        own = self._places[name]
        mean, scale = (tf.cast(weight[own], numbers.dtype) for weight in (self.mean, self.scale))
        return tf.clip_by_value((numbers - mean) * scale, -_FARTHEST, _FARTHEST)


def shrunk(embedded: tf.Tensor, statistics: tf.Tensor, shrinkage: float) -> tf.Tensor:
    """Embeddings as far as their values were seen: n / (n + shrinkage) of each.

    An id of a handful of rows would be learned by heart, at the expense of all others.

    Args:
      embedded: `[batch, embedding]`.
      statistics: Of the values, float32 `[batch, 1 + feedback]` as Transform writes them.
      shrinkage: Impressions for half of an embedding, above 0.

    Returns:
      Like ``embedded``.
    """
    seen = impressions_of(statistics)
    return embedded * tf.cast(seen / (seen + shrinkage), embedded.dtype)
