"""The inputs of a policy of one request: its state, and the predictions that are fused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from mtfx.datasets.fused_predictions import FusedPrediction
from mtfx.models.fusion.base import check_finite, check_predictions
from mtfx.models.fusion.predictions import PredictionMap
from mtfx.models.request_state import RequestFacts, RequestState, mean_predictions

EXAMPLES, STATE, PREDICTIONS = "examples", "state", "predictions"
SERVING, PREDICT_TASKS = "serving_default", "predict_tasks"


class RequestInputs(tf.Module):
    """A ranking model and what makes a policy's inputs of its answers and of the request.

    A state is what ``mtfx.models.request_state`` computes of the request, S0 numbers, and the means
    of the candidates' K fused predictions after that.

    Attributes:
      ranking: The ranking model.
      predictions: The map to the K predictions that are fused.
      request_state: Computes the first S0 numbers of a state.
    """

    def __init__(
        self,
        ranking: Any,
        predictions: Sequence[FusedPrediction],
        request_state: RequestState,
        *,
        name: str = "request_inputs",
    ) -> None:
        """Joins the parts.

        Args:
          ranking: A ranking model as ``tf.saved_model.load`` gives it, with the signatures
            ``serving_default`` and ``predict_tasks``.
          predictions: What is fused of its outputs, in the fusion function's order.
          request_state: Of the requests; S0 numbers.
          name: Of the ``tf.Module``.

        Raises:
          ValueError: if the ranking model lacks a signature or a prediction.
        """
        super().__init__(name=name)
        self.predictions = PredictionMap(predictions)
        self._check(ranking)
        # What is an attribute is saved.
        self.ranking, self.request_state = ranking, request_state

    @tf.function(autograph=False)
    def predict_tasks(self, raw: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """The ranking model's own, raw predictions from raw tensors, one impression per row.

        Args:
          raw: By feature, `[batch]`.

        Returns:
          By task, float32 `[batch]`: probabilities, or values in the label's unit.
        """
        return self.ranking.signatures[PREDICT_TASKS](**raw)

    def _request(self, request: tf.Tensor) -> tuple[RequestFacts, tf.Tensor, tf.Tensor]:
        """What a request says, its state `[state]` and its predictions, checked."""
        requests = request[tf.newaxis]
        facts = self.request_state.of_requests(requests)
        return facts, *self._completed(facts.state[0], self._predict(requests))

    def _completed(
        self, request_state: tf.Tensor, predictions: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """The state `[state]` and the predictions `[candidate, prediction]`, checked.

        Args:
          request_state: What the request gives of the state, `[S0]`.
          predictions: Those that are fused.
        """
        count = tf.shape(predictions)[0]
        some = tf.debugging.Assert(count > 0, ["the request has no candidate"])
        with tf.control_dependencies([some]):
            predictions = check_predictions(predictions, None, PREDICTIONS)
        mask = tf.ones([1, count], tf.bool)
        means = mean_predictions(predictions[tf.newaxis], mask)[0]
        return check_finite(tf.concat([request_state, means], axis=0), STATE), predictions

    def _predict(self, requests: tf.Tensor) -> tf.Tensor:
        """The predictions to be fused of one request `[1]`, float32 `[candidate, prediction]`."""
        outputs = self.ranking.signatures[SERVING](**{EXAMPLES: requests})
        raw = {task: outputs[task][0] for task in self.predictions.tasks}
        return self._comparable(raw, self._durations(requests))

    def _comparable(self, raw: Mapping[str, tf.Tensor], durations: tf.Tensor | None) -> tf.Tensor:
        """Raw predictions as they are fused, `[candidate, prediction]`; see ``PredictionMap``."""
        if durations is not None:
            count = tf.size(next(iter(raw.values())))
            each = tf.debugging.Assert(
                tf.equal(tf.size(durations), count), ["durations need a value for each candidate"]
            )
            with tf.control_dependencies([each]):
                durations = tf.identity(durations)
        return self.predictions(raw, durations)

    def _durations(self, requests: tf.Tensor) -> tf.Tensor | None:
        """The items' durations where the map needs them, float32 `[candidate]`."""
        if not self.predictions.needs_duration:
            return None
        return self.predictions.durations(requests).flat_values

    def _check(self, ranking: Any) -> None:
        for signature in (SERVING, PREDICT_TASKS):
            if signature not in ranking.signatures:
                raise ValueError(
                    f"the ranking model has no signature {signature!r}; it has: "
                    f"{', '.join(ranking.signatures)}. Train it anew with `mtfx ranking`"
                )
        outputs = ranking.signatures[SERVING].structured_outputs
        if missing := [task for task in self.predictions.tasks if task not in outputs]:
            raise ValueError(
                f"the ranking model does not predict {', '.join(missing)}; it predicts: "
                f"{', '.join(sorted(outputs))}"
            )
