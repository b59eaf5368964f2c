"""Predictions of a ranking model for the items that a simulator's users may be shown."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from mtfx.datasets.fused_predictions import FusedPrediction, fused_predictions, without
from mtfx.datasets.spec import DatasetSpec
from mtfx.environments.simulator.response import ResponseModel
from mtfx.models.fusion.predictions import PredictionMap

_SIGNATURE, _EXAMPLES = "serving_default", "examples"
_REQUESTS_AT_ONCE = 64
_ITEM = "item_id"
_MS_PER_S = 1_000.0


class RankingPredictions:
    """A ranking model as it is served.

    Attributes:
      outputs: All that it predicts, by name.
      fusible: What can be fused of its outputs, in the order of the data set's tasks; the scales
        are still to be fitted.
    """

    def __init__(self, model: str, spec: DatasetSpec, leave_out: Sequence[str] = ()) -> None:
        """Loads the model.

        Args:
          model: Directory of a SavedModel that takes examples by ``serving_default``.
          spec: The data set.
          leave_out: Names of predictions that are not fused.

        Raises:
          ValueError: if the model lacks the signature or predicts no task of the data set, or a
            name is unknown.
        """
        # The signature is a part of the model, which must be kept.
        self._model = tf.saved_model.load(model)
        found = self._model.signatures
        if _SIGNATURE not in found or set(found[_SIGNATURE].structured_input_signature[1]) != {
            _EXAMPLES
        }:
            raise ValueError(
                f"{model} has no signature {_SIGNATURE!r} that takes {_EXAMPLES!r}; it has: "
                f"{', '.join(found)}. Train it anew with `mtfx ranking`"
            )
        self._predict = found[_SIGNATURE]
        self.outputs = frozenset(self._predict.structured_outputs)
        self.fusible = without(fused_predictions(spec, self.outputs), leave_out)
        self._tasks = tuple(sorted({one.task for one in self.fusible}))
        [item] = spec.columns_of("item")
        kind = tf.string if item.dtype == "string" else tf.int64
        self._item = {_ITEM: tf.io.RaggedFeature(kind, row_splits_dtype=tf.int64)}

    def raw(
        self, examples: Sequence[bytes], tasks: Sequence[str] = ()
    ) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """Raw predictions of requests, or of whole sessions.

        Args:
          examples: Serialized ``tf.Example`` protos.
          tasks: Of :attr:`outputs`; those that are fused if none are named.

        Returns:
          By task float32 `[example, candidate]`, padded with 0; and where there is a candidate,
          bool `[example, candidate]`.
        """
        batch = tf.constant(examples)
        values = self._predict(**{_EXAMPLES: batch})
        raw = {task: values[task].numpy() for task in tasks or self._tasks}
        lengths = tf.io.parse_example(batch, self._item)[_ITEM].row_lengths().numpy()
        width = next(iter(raw.values())).shape[1]
        return raw, np.arange(width) < lengths[:, np.newaxis]

    def raw_of_requests(
        self, requests: Sequence[bytes], tasks: Sequence[str]
    ) -> dict[str, np.ndarray]:
        """Raw predictions of the candidates of requests, by task float32 `[request, candidate]`.

        Args:
          requests: Serialized, each of the same number of candidates.
          tasks: Of :attr:`outputs`.
        """
        parts = [
            self.raw(requests[first : first + _REQUESTS_AT_ONCE], tasks)[0]
            for first in range(0, len(requests), _REQUESTS_AT_ONCE)
        ]
        return {task: np.concatenate([part[task] for part in parts]) for task in tasks}

    def fused(
        self, requests: Sequence[bytes], predictions: Sequence[FusedPrediction]
    ) -> np.ndarray:
        """Fused predictions of the candidates of requests.

        Args:
          requests: Serialized, each of the same number of candidates.
          predictions: K of :attr:`fusible`, with their scales.

        Returns:
          float32 `[request, candidate, K]`.
        """
        mapped, parts = PredictionMap(predictions), []
        for first in range(0, len(requests), _REQUESTS_AT_ONCE):
            batch = requests[first : first + _REQUESTS_AT_ONCE]
            raw, there = self.raw(batch)
            durations = None
            if mapped.needs_duration:
                durations = mapped.durations(tf.constant(batch)).to_tensor(shape=there.shape)
            parts.append(mapped({k: tf.constant(v) for k, v in raw.items()}, durations).numpy())
        return np.concatenate(parts)


def true_predictions(
    response: ResponseModel,
    predictions: Sequence[FusedPrediction],
    users: np.ndarray,
    seed: int,
) -> np.ndarray:
    """What a ranking model without error would predict, as it is fused.

    They are the response model's own probabilities and its expected watch time at a user's first
    impression: no ranking model sees the satisfaction, so it is drawn as a session's start draws
    it, once for each user.

    Args:
      response: How users respond.
      predictions: What is fused, K of them; a regression is the watch time in ms.
      users: Rows of the response model's tables, int32 `[n]`.
      seed: Of the satisfaction.

    Returns:
      float32 `[n, P, K]`.

    Raises:
      ValueError: if the response model lacks a feedback.
    """
    names = {one.task for one in predictions if one.kind in ("probability", "negative")}
    if missing := sorted(names - set(response.feedback_names)):
        raise ValueError(
            f"the response model knows no {', '.join(missing)}, only "
            f"{', '.join(response.feedback_names)}: take the ranking model's predictions"
        )
    slots = response.pool_size
    satisfaction = tf.repeat(
        response.initial_satisfaction(
            tf.constant(users, tf.int32), tf.constant([seed, 0], tf.int32)
        ),
        slots,
    )
    rows = tf.constant(np.repeat(users, slots), tf.int32)
    columns = tf.constant(np.tile(np.arange(slots), len(users)), tf.int32)
    chances = response.probabilities(rows, columns, satisfaction)
    raw = {name: chances[:, response.feedback_names.index(name)] for name in names}
    watch_ms = _MS_PER_S * response.expected_watch_s(rows, columns, satisfaction)
    raw |= {one.task: watch_ms for one in predictions if one.has_scale}
    durations = _MS_PER_S * response.durations_s(rows, columns)
    fused = PredictionMap(predictions)(raw, durations)
    return fused.numpy().reshape(len(users), slots, len(predictions))
