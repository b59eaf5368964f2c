"""The map from a ranking model's raw predictions to those that are fused.

One implementation for the simulator's world, the exported ranker and its checks, so that a policy
meets the same numbers wherever it is asked. What is mapped is plain data,
``mtfx.datasets.fused_predictions``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from mtfx.datasets.columns import Dtype
from mtfx.datasets.fused_predictions import FusedPrediction

_DTYPES: dict[Dtype, tf.DType] = {"int64": tf.int64, "float32": tf.float32}


class PredictionMap(tf.Module):
    """Makes the fused predictions o of raw ones; no weights, so any graph may hold it.

    All maps are done at once, as a request waits for each operation: with x the raw value, o is
    1 / (1 + scale / x) where there is a scale, and x or 1 - x elsewhere. Written so, each rounding
    keeps the order, and o never falls as x rises (x / (x + scale) may, in the last bit).

    Attributes:
      predictions: The K maps, in order.
      names: Of the fused predictions.
      tasks: Raw predictions that are needed, each once, T of them.
      needs_duration: Whether one of them needs the items' durations.
    """

    def __init__(self, predictions: Sequence[FusedPrediction]) -> None:
        """Prepares the map.

        Raises:
          ValueError: if there is no prediction, or two have one name.
        """
        super().__init__(name="prediction_map")
        self.predictions = tuple(predictions)
        self.names = tuple(one.name for one in self.predictions)
        if not self.names or len(set(self.names)) < len(self.names):
            raise ValueError(f"fused predictions need distinct names, not {self.names}")
        self.tasks = tuple(dict.fromkeys(one.task for one in self.predictions))
        kinds = [one.kind for one in self.predictions]
        self.needs_duration = "play_integrity" in kinds
        self._duration = next((one.duration for one in self.predictions if one.duration), None)
        self._places = [self.tasks.index(one.task) for one in self.predictions]
        self._scales = [one.scale for one in self.predictions]
        self._scaled = [one.has_scale for one in self.predictions]
        self._shares = [kind == "play_integrity" for kind in kinds]
        self._turned = [kind == "negative" for kind in kinds]

    def durations(self, requests: tf.Tensor) -> tf.RaggedTensor:
        """Durations of the candidates of requests, where they are needed.

        Args:
          requests: Serialized ``tf.Example`` protos, string `[n]`.

        Returns:
          float32 `[n, candidate]`, as the requests have them; rows without any are empty.
        """
        assert self._duration is not None
        name = self._duration.name
        kind = tf.io.RaggedFeature(_DTYPES[self._duration.dtype], row_splits_dtype=tf.int64)
        return tf.cast(tf.io.parse_example(requests, {name: kind})[name], tf.float32)

    def __call__(
        self, raw: Mapping[str, tf.Tensor], durations: tf.Tensor | None = None
    ) -> tf.Tensor:
        """The fused predictions.

        A regression that is NaN, infinite or negative stays what it is, so that
        ``mtfx.models.fusion.base.check_predictions`` finds it; nothing is looked for here.

        Args:
          raw: Raw predictions of :attr:`tasks`, float32 `[...]` each.
          durations: Of the items, in the unit of the watch time, float32 `[...]`; only needed where
            :attr:`needs_duration`. Where one is not positive play integrity is not known: 1/2.

        Returns:
          float32 `[..., K]`.

        Raises:
          ValueError: when traced, if durations are needed and not given.
        """
        if self.needs_duration and durations is None:
            raise ValueError("play integrity is fused: give the items' durations")
        tasks = tf.stack([raw[task] for task in self.tasks], axis=-1)
        values = tf.gather(tasks, self._places, axis=-1) if self._moved else tasks
        if durations is not None and self.needs_duration:
            known = (durations > 0.0)[..., tf.newaxis]
            share = tf.math.divide_no_nan(values, durations[..., tf.newaxis])
            # An unknown duration: the share of which o is 1/2.
            share = tf.where(known, share, tf.constant(self._scales))
            values = tf.where(tf.constant(self._shares), share, values)
        fused: Any = values
        if any(self._turned):
            fused = tf.where(tf.constant(self._turned), 1.0 - values, values)
        if any(self._scaled):
            ratio = 1.0 / (1.0 + tf.constant(self._scales) / values)
            ratio = tf.where((values >= 0.0) & (values < math.inf), ratio, values)
            fused = tf.where(tf.constant(self._scaled), ratio, fused)
        return tf.ensure_shape(fused, [*fused.shape[:-1], len(self.names)])

    @property
    def _moved(self) -> bool:
        return self._places != list(range(len(self.tasks)))
