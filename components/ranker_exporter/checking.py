"""A ranker's answers beside those of the parts that it was made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from mtfx.models.export.policy import SavedPolicy
from mtfx.models.export.transformed import RANK_TRANSFORMED, TRANSFORM
from mtfx.models.export.transformed_features import ROW_LENGTHS, SESSION_IDS, SESSION_VALUES

#: Largest difference, relative to the largest score; float32 sums in another order stay below.
TOLERANCE = 1e-4


def check_answers(
    ranker_dir: str,
    requests: Sequence[tuple[np.ndarray, Sequence[bytes]]],
    policy: SavedPolicy,
    ranking: Any,
) -> None:
    """Asks an exported ranker, and the ranking model, the policy and its fusion one by one.

    Args:
      ranker_dir: The exported ranker.
      requests: States float32 `[S]` and serialized examples.
      policy: The policy that was joined.
      ranking: The ranking model that was joined, as ``tf.saved_model.load`` gives it.

    Raises:
      ValueError: if predictions, action, scores or the order differ.
    """
    serve = tf.saved_model.load(ranker_dir).signatures["serving_default"]
    predict = ranking.signatures["serving_default"]
    names = policy.metadata.prediction_names
    fusion = policy.fusion(len(names))
    for number, (state, examples) in enumerate(requests):
        given = tf.constant(list(examples), tf.string)
        answer = serve(state=tf.constant(state), examples=given)
        outputs = predict(examples=given)
        predictions = tf.concat([tf.reshape(outputs[name], [-1, 1]) for name in names], axis=1)
        # The means over the candidates are the ranker's to fill in; all else is the request's.
        seen = answer["state"][tf.newaxis]
        action = policy.act(seen)
        scores = fusion.scores(predictions[tf.newaxis], action, seen)[0]
        for what, found, wanted in (
            ("predictions", answer["predictions"], predictions),
            ("action", answer["action"], action[0]),
            ("scores", answer["scores"], scores),
        ):
            if not _close(found.numpy(), wanted.numpy()):
                raise ValueError(
                    f"the exported ranker and its parts give other {what} for warm-up request "
                    f"{number}: it cannot be served"
                )
        order = answer["ranked_indices"].numpy()
        if np.any(np.diff(answer["scores"].numpy()[order]) > 0):
            raise ValueError(f"the ranker does not rank warm-up request {number} by its scores")


def check_transformed(
    ranker_dir: str, requests: Sequence[tuple[np.ndarray, Sequence[bytes]]]
) -> None:
    """Asks an exported ranker with examples, and with what its ``transform`` makes of them.

    Args:
      ranker_dir: The exported ranker.
      requests: States float32 `[S]` and one serialized example each.

    Raises:
      ValueError: if an output differs.
    """
    signatures = tf.saved_model.load(ranker_dir).signatures
    for number, (state, examples) in enumerate(requests):
        given = tf.constant(list(examples), tf.string)
        answer = signatures["serving_default"](state=tf.constant(state), examples=given)
        features = signatures[TRANSFORM](examples=given)
        del features[ROW_LENGTHS]
        for name in (SESSION_IDS, SESSION_VALUES):
            features[name] = features[name][0]
        other = signatures[RANK_TRANSFORMED](state=tf.constant(state), **features)
        for name, value in answer.items():
            if not _close(other[name].numpy(), value.numpy()):
                raise ValueError(
                    f"{RANK_TRANSFORMED} and serving_default of the exported ranker give other "
                    f"{name} for warm-up request {number}: it cannot be served"
                )


def _close(found: np.ndarray, wanted: np.ndarray) -> bool:
    scale = max(float(np.abs(wanted).max(initial=0.0)), 1.0)
    return found.shape == wanted.shape and bool(
        np.abs(found - wanted).max(initial=0) <= TOLERANCE * scale
    )
