"""A ranker's answers beside those of the parts that it was made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from models.fusion.saved_policy import SavedPolicy

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
            found, wanted = found.numpy(), wanted.numpy()
            scale = max(float(np.abs(wanted).max(initial=0.0)), 1.0)
            if (
                found.shape != wanted.shape
                or np.abs(found - wanted).max(initial=0) > TOLERANCE * scale
            ):
                raise ValueError(
                    f"the exported ranker and its parts give other {what} for warm-up request "
                    f"{number}: it cannot be served"
                )
        order = answer["ranked_indices"].numpy()
        if np.any(np.diff(answer["scores"].numpy()[order]) > 0):
            raise ValueError(f"the ranker does not rank warm-up request {number} by its scores")
