"""A ranking model, a fusion policy and a fusion function as one model that ranks candidates."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tensorflow as tf

from mtfx.datasets.fused_predictions import FusedPrediction
from mtfx.models.action_policy import draw_around
from mtfx.models.config import NOISE_DEVIATION, RANDOM_DEVIATION
from mtfx.models.export.request_inputs import (
    PREDICT_TASKS,
    PREDICTIONS,
    SERVING,
    STATE,
    RequestInputs,
)
from mtfx.models.fusion.base import AdditiveFusion, check_finite, check_predictions
from mtfx.models.request_state import RequestState

REQUEST, HISTORY_LEFT_OUT, MASK = "request", "history_left_out", "mask"
ACTION, SCORES, RANKED_INDICES = "action", "scores", "ranked_indices"
SEED, AT_RANDOM, LOG_DENSITY = "seed", "at_random", "log_density"
GRID, INNER, CONTRIBUTION = "grid", "inner", "contribution"
METADATA_FILE = "mtfx.json"
CURVES = "curves"
#: Score of a candidate that the mask leaves out: the lowest number, as JSON has no infinity.
MASKED_SCORE = tf.float32.min
#: In place of an index, where the mask left fewer candidates than there is room for.
NO_CANDIDATE = -1


class Ranker(RequestInputs):
    """Ranks a request's candidates; needs nothing but TensorFlow to load once saved.

    The ranking model predicts every candidate's feedbacks, which a map makes comparable; the policy
    chooses an action in the request's state, and the fusion function makes one score of both.
    ``predict_tasks`` gives the ranking model's raw predictions, all other signatures those that are
    fused. A request is one serialized ``tf.Example``: the user's features with one value,
    ``timestamp_ms``, lists ``history_*`` of the user's earlier impressions, and the candidates'
    features as lists of one length. Its state is what ``mtfx.models.request_state`` computes of it,
    and the means of the predictions that are fused after that.

    Attributes:
      state_dim: S = S0 + K.
    """

    def __init__(
        self,
        ranking: Any,
        predictions: Sequence[FusedPrediction],
        fusion: AdditiveFusion,
        policy: Callable[[tf.Tensor], tf.Tensor],
        state_dim: int,
        *,
        request_state: RequestState,
        policy_model: Any = None,
    ) -> None:
        """Joins the parts.

        Args:
          ranking: A ranking model as ``tf.saved_model.load`` gives it, with the signatures
            ``serving_default`` and ``predict_tasks`` of
            ``mtfx.models.export.ranking.RankingModule``.
          predictions: What is fused of its outputs, in the fusion function's order.
          fusion: The fusion function.
          policy: States float32 `[batch, state]` to actions float32 `[batch, action]`.
          state_dim: S, of the states that the policy takes.
          request_state: Of the requests; S0 numbers.
          policy_model: What holds the policy's variables, if the policy itself is no ``tf.Module``:
            a loaded SavedModel, or a list of variables.

        Raises:
          ValueError: if the ranking model lacks a signature or a prediction, or sizes do not fit.
        """
        super().__init__(ranking, predictions, request_state, name="ranker")
        names = self.predictions.names
        self.state_dim = state_dim
        if fusion.num_predictions != len(names):
            raise ValueError(
                f"the fusion function takes {fusion.num_predictions} predictions, but the ranker "
                f"has {len(names)}: {', '.join(names)}"
            )
        own = len(request_state.config.names)
        if state_dim != own + fusion.num_predictions:
            raise ValueError(
                f"the policy takes states of size {state_dim}, but a request has {own} numbers and "
                f"{fusion.num_predictions} mean predictions: train it in states of such requests"
            )
        # What is an attribute is saved.
        self.fusion, self.policy = fusion, policy
        self.policy_model = policy_model

    def signatures(self) -> dict[str, Any]:
        """Concrete functions by signature name, for ``tf.saved_model.save``.

        Raises:
          ValueError: if the policy's actions or the predictions do not fit the fusion function.
        """
        candidates = [None, None]
        raw = self.ranking.signatures[PREDICT_TASKS].structured_input_signature[1]
        return {
            SERVING: self.serve.get_concrete_function(tf.TensorSpec([], tf.string, name=REQUEST)),
            "explore": self.explore.get_concrete_function(
                tf.TensorSpec([], tf.string, name=REQUEST),
                tf.TensorSpec([2], tf.int32, name=SEED),
                tf.TensorSpec([], tf.bool, name=AT_RANDOM),
            ),
            "fuse": self.fuse.get_concrete_function(
                tf.TensorSpec([None, self.state_dim], tf.float32, name=STATE),
                tf.TensorSpec([*candidates, len(self.predictions.names)], name=PREDICTIONS),
                tf.TensorSpec(candidates, tf.bool, name=MASK),
            ),
            CURVES: self.curves.get_concrete_function(
                tf.TensorSpec([None, self.state_dim], tf.float32, name=STATE),
                tf.TensorSpec([None], tf.float32, name=GRID),
            ),
            PREDICT_TASKS: self.predict_tasks.get_concrete_function(raw),
        }

    @tf.function(autograph=False)
    def serve(self, request: tf.Tensor) -> dict[str, tf.Tensor]:
        """Ranks the candidates of one request.

        Args:
          request: A serialized ``tf.Example``, string `[]`.

        Returns:
          ``action`` float32 `[action]`; ``predictions``, those that are fused, float32 `[candidate,
          prediction]`; ``scores`` float32 `[candidate]`; ``ranked_indices`` int32 `[candidate]`,
          the best candidate first, among equals the one that was named first; ``state`` float32
          `[state]` as the policy saw it; and ``history_left_out`` int32 `[]`, how many earlier
          impressions were not looked at for it, as they are not before the request or older than
          the newest ones that count.

        Raises:
          InvalidArgumentError: if the request is no ``tf.Example`` or has no candidate, lists
            differ in length, a column has another type, or the state or a prediction is NaN, or a
            prediction no probability or below 0; the message names the column or the input.
        """
        facts, state, predictions = self._request(request)
        answer = self._ranked(state, predictions, self._action(state[tf.newaxis]))
        return {**answer, HISTORY_LEFT_OUT: facts.left_out[0]}

    @tf.function(autograph=False)
    def explore(
        self, request: tf.Tensor, seed: tf.Tensor, at_random: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Ranks the candidates of one request by an action that is tried out.

        BatchRL-MTF's mixed exploration (its section 3.3), of which the caller says the part:
        whoever logs the request decides for each user, and has to keep to it.

        Args:
          request: As of :meth:`serve`.
          seed: int32 `[2]`, of which the action is a function; a request's own, such as a hash of
            its id.
          at_random: Whether the user is one of those for whom actions are drawn around the middle
            of their bounds; around the policy's own for the others.

        Returns:
          As :meth:`serve`, with the action that was drawn, and ``log_density`` float32 `[]`, the
          log of the density with which it was.

        Raises:
          InvalidArgumentError: as :meth:`serve`.
        """
        facts, state, predictions = self._request(request)
        answer = self._explored(state, predictions, seed, at_random)
        return {**answer, HISTORY_LEFT_OUT: facts.left_out[0]}

    def _explored(
        self, state: tf.Tensor, predictions: tf.Tensor, seed: tf.Tensor, at_random: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """What :meth:`explore` returns."""
        own = self._action(state[tf.newaxis])
        drawn = draw_around(
            tf.where(at_random, tf.zeros_like(own), own),
            tf.where(at_random, RANDOM_DEVIATION, NOISE_DEVIATION),
            seed,
        )
        return {
            **self._ranked(state, predictions, drawn.action),
            LOG_DENSITY: drawn.log_density[0],
        }

    @tf.function(autograph=False)
    def fuse(
        self, state: tf.Tensor, predictions: tf.Tensor, mask: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Ranks candidates whose predictions are known, many requests at once.

        Args:
          state: float32 `[batch, state]`.
          predictions: Those that are fused, float32 `[batch, candidate, prediction]` in [0, 1].
          mask: bool `[batch, candidate]`: False where there is no candidate, whose predictions may
            then be anything.

        Returns:
          ``action`` float32 `[batch, action]`; ``scores`` float32 `[batch, candidate]`, the lowest
          float32 where masked; ``ranked_indices`` int32 `[batch, candidate]`, masked ones last and
          -1.

        Raises:
          InvalidArgumentError: if the state or a prediction is NaN, or a prediction is no
            probability; the message names the input.
        """
        state = check_finite(state, STATE)
        predictions = check_predictions(predictions, mask, PREDICTIONS)
        return self._fused(state, predictions, mask, self._action(state))

    def _fused(
        self, state: tf.Tensor, predictions: tf.Tensor, mask: tf.Tensor, action: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """What :meth:`fuse` returns, of inputs that are checked."""
        scores = self.fusion.scores(predictions, action, state)
        scores = check_finite(tf.where(mask, scores, 0.0), SCORES)
        # Real scores above the sentinel, and the order among equals the given one.
        scores = tf.where(mask, scores, MASKED_SCORE)
        order = tf.argsort(scores, axis=1, direction="DESCENDING", stable=True)
        count = tf.reduce_sum(tf.cast(mask, tf.int32), axis=1, keepdims=True)
        places = tf.range(tf.shape(scores)[1])[tf.newaxis]
        return {
            ACTION: action,
            SCORES: scores,
            RANKED_INDICES: tf.where(places < count, order, NO_CANDIDATE),
        }

    def _ranked(
        self, state: tf.Tensor, predictions: tf.Tensor, action: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """What :meth:`serve` returns, for the action `[1, action]`."""
        mask = tf.ones([1, tf.shape(predictions)[0]], tf.bool)
        fused = self._fused(state[tf.newaxis], predictions[tf.newaxis], mask, action)
        return {
            **{name: value[0] for name, value in fused.items()},
            PREDICTIONS: predictions,
            STATE: state,
        }

    @tf.function(autograph=False)
    def curves(self, state: tf.Tensor, grid: tf.Tensor) -> dict[str, tf.Tensor]:
        """What each prediction contributes to a score, over the values it may have.

        Args:
          state: float32 `[batch, state]`.
          grid: Fused predictions, float32 `[point]` in [0, 1].

        Returns:
          ``action`` float32 `[batch, action]`; ``inner`` float32 `[batch, prediction, point]`, what
          the action acts on (xMTF's inner stage, or what a formula weighs); ``contribution``
          float32 `[batch, prediction, point]`, what is summed to the score: both stages of xMTF, or
          a formula's weighted part.

        Raises:
          InvalidArgumentError: if the state is NaN, or the grid is no probability.
        """
        state = check_finite(state, STATE)
        grid = check_predictions(grid[:, tf.newaxis], None, GRID)[:, 0]
        action = self._action(state)
        return {
            ACTION: action,
            INNER: self.fusion.inner_curves(state, grid),
            CONTRIBUTION: self.fusion.curves(state, action, grid),
        }

    def _action(self, state: tf.Tensor) -> tf.Tensor:
        return tf.clip_by_value(check_finite(self.policy(state), ACTION), -1.0, 1.0)


def export_ranker(ranker: Ranker, directory: str, metadata: Mapping[str, Any]) -> None:
    """Writes the SavedModel and, in its ``assets.extra``, what it was made from.

    Args:
      ranker: What to save.
      directory: Target.
      metadata: JSON-serialisable.

    Raises:
      ValueError: if the parts do not fit together; nothing is written then.
    """
    signatures = ranker.signatures()
    tf.saved_model.save(ranker, directory, signatures=signatures)
    extra = os.path.join(directory, "assets.extra")
    tf.io.gfile.makedirs(extra)
    with tf.io.gfile.GFile(os.path.join(extra, METADATA_FILE), "w") as file:
        file.write(json.dumps(metadata, indent=1, sort_keys=True))
