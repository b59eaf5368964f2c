"""Predictions of a ranking model for the items that a simulator's users may be shown."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from mtfx.datasets.spec import DatasetSpec
from mtfx.environments.simulator.response import ResponseModel

_SIGNATURE, _EXAMPLES = "serving_default", "examples"
_REQUESTS_AT_ONCE = 64


class RankingPredictions:
    """A ranking model as it is served.

    Attributes:
      names: Of its probabilities, in the order of the data set's tasks, K of them.
      left_out: Names of its predictions that are no probabilities.
    """

    def __init__(self, model: str, spec: DatasetSpec) -> None:
        """Loads the model.

        Args:
          model: Directory of a SavedModel that takes examples by ``serving_default``.
          spec: The data set.

        Raises:
          ValueError: if the model lacks the signature or predicts no probability.
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
        outputs = set(self._predict.structured_outputs)
        self.names = tuple(t.name for t in spec.tasks if t.name in outputs and t.kind == "binary")
        if not self.names:
            raise ValueError(f"the ranking model predicts no probability, only {sorted(outputs)}")
        self.left_out = tuple(sorted(outputs - set(self.names)))

    def __call__(self, requests: Sequence[bytes]) -> np.ndarray:
        """Probabilities of the candidates of requests.

        Args:
          requests: Serialized, each of the same number of candidates.

        Returns:
          float32 `[request, candidate, K]`.
        """
        parts = []
        for first in range(0, len(requests), _REQUESTS_AT_ONCE):
            batch = tf.constant(requests[first : first + _REQUESTS_AT_ONCE])
            values = self._predict(**{_EXAMPLES: batch})
            parts.append(np.stack([values[name].numpy() for name in self.names], axis=-1))
        return np.concatenate(parts)


def true_predictions(
    response: ResponseModel, names: Sequence[str], users: np.ndarray, seed: int
) -> np.ndarray:
    """What a ranking model without error would predict: the response model's own probabilities.

    They are those of a user's first impression: no ranking model sees the satisfaction, so it is
    drawn as a session's start draws it, once for each user.

    Args:
      response: How users respond.
      names: Of the probabilities wanted, K of them.
      users: Rows of the response model's tables, int32 `[n]`.
      seed: Of the satisfaction.

    Returns:
      float32 `[n, P, K]`.

    Raises:
      ValueError: if the response model lacks a name.
    """
    if missing := sorted(set(names) - set(response.feedback_names)):
        raise ValueError(
            f"the response model knows no {', '.join(missing)}, only "
            f"{', '.join(response.feedback_names)}: take the ranking model's predictions"
        )
    columns = [response.feedback_names.index(name) for name in names]
    slots = response.pool_size
    satisfaction = response.initial_satisfaction(
        tf.constant(users, tf.int32), tf.constant([seed, 0], tf.int32)
    )
    chances = response.probabilities(
        tf.constant(np.repeat(users, slots), tf.int32),
        tf.constant(np.tile(np.arange(slots), len(users)), tf.int32),
        tf.repeat(satisfaction, slots),
    )
    return tf.gather(chances, columns, axis=1).numpy().reshape(len(users), slots, len(names))
