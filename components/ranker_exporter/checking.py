"""A ranker's answers beside those of the parts that it was made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from mtfx.datasets.fused_predictions import FusedPrediction
from mtfx.datasets.request_state import RequestStateConfig
from mtfx.models.export.policy import SavedPolicy
from mtfx.models.export.ranker import HISTORY_LEFT_OUT
from mtfx.models.export.transformed import RANK_TRANSFORMED, REQUEST_STATE, TRANSFORM
from mtfx.models.export.transformed_features import ROW_LENGTHS, SESSION_IDS, SESSION_VALUES
from mtfx.models.fusion.predictions import PredictionMap
from mtfx.models.request_state import RequestState

#: Largest difference, relative to the largest score; float32 sums in another order stay below.
TOLERANCE = 1e-4


def check_answers(
    ranker_dir: str,
    requests: Sequence[bytes],
    policy: SavedPolicy,
    ranking: Any,
    request_state: RequestStateConfig,
    fused: Sequence[FusedPrediction],
) -> None:
    """Asks an exported ranker, and the ranking model, the policy and its fusion one by one.

    Args:
      ranker_dir: The exported ranker.
      requests: Serialized examples.
      policy: The policy that was joined.
      ranking: The ranking model that was joined, as ``tf.saved_model.load`` gives it.
      request_state: Of the requests.
      fused: What is fused of the ranking model's outputs.

    Raises:
      ValueError: if state, predictions, action, scores or the order differ.
    """
    serve = tf.saved_model.load(ranker_dir).signatures["serving_default"]
    predict = ranking.signatures["serving_default"]
    mapped = PredictionMap(fused)
    fusion = policy.fusion(len(mapped.names))
    own_state = RequestState(request_state)
    for number, request in enumerate(requests):
        answer = serve(request=tf.constant(request))
        outputs = predict(examples=tf.constant([request]))
        durations = mapped.durations(tf.constant([request])) if mapped.needs_duration else None
        predictions = mapped(outputs, None if durations is None else durations.to_tensor())[0]
        own = own_state.of_requests(tf.constant([request])).state[0]
        seen = answer["state"][tf.newaxis]
        action = policy.act(seen)
        scores = fusion.scores(predictions[tf.newaxis], action, seen)[0]
        for what, found, wanted in (
            ("state", seen[0], tf.concat([own, tf.reduce_mean(predictions, axis=0)], axis=0)),
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


def check_transformed(ranker_dir: str, requests: Sequence[bytes]) -> None:
    """Asks an exported ranker with examples, and with what its ``transform`` makes of them.

    Args:
      ranker_dir: The exported ranker.
      requests: Serialized examples.

    Raises:
      ValueError: if an output differs.
    """
    signatures = tf.saved_model.load(ranker_dir).signatures
    for number, request in enumerate(requests):
        answer = signatures["serving_default"](request=tf.constant(request))
        features = signatures[TRANSFORM](examples=tf.constant([request]))
        for name in (ROW_LENGTHS, HISTORY_LEFT_OUT):
            del features[name]
        for name in (SESSION_IDS, SESSION_VALUES, REQUEST_STATE):
            features[name] = features[name][0]
        other = signatures[RANK_TRANSFORMED](**features)
        for name, found in other.items():
            if not _close(found.numpy(), answer[name].numpy()):
                raise ValueError(
                    f"{RANK_TRANSFORMED} and serving_default of the exported ranker give other "
                    f"{name} for warm-up request {number}: it cannot be served"
                )


def _close(found: np.ndarray, wanted: np.ndarray) -> bool:
    scale = max(float(np.abs(wanted).max(initial=0.0)), 1.0)
    return found.shape == wanted.shape and bool(
        np.abs(found - wanted).max(initial=0) <= TOLERANCE * scale
    )
