"""A ranker that also takes transformed features, and that XLA may compile."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import tensorflow as tf

from mtfx.datasets.fused_predictions import FusedPrediction
from mtfx.datasets.request_state import RequestStateConfig
from mtfx.models.export.policy import SavedPolicy
from mtfx.models.export.ranker import (
    AT_RANDOM,
    HISTORY_LEFT_OUT,
    SEED,
    Ranker,
    export_ranker,
)
from mtfx.models.export.request_inputs import EXAMPLES
from mtfx.models.export.transformed_features import ROW_LENGTHS, TransformedFeatures
from mtfx.models.request_state import RequestState
from mtfx.serving.request_fields import RequestField, merged

TRANSFORM, RANK_TRANSFORMED = "transform", "rank_transformed"
EXPLORE_TRANSFORMED, REQUEST_STATE = "explore_transformed", "request_state"
DURATIONS = "durations"
_FUNCTIONS = (TRANSFORM, "checked", "predict_request")


class TransformedRanker(Ranker):
    """A ranker of a model that ``mtfx.models.export.ranking.RankingModule`` exported.

    Its further signatures split a request where its strings end. ``transform`` looks up and
    normalises features ahead of time; ``rank_transformed`` and ``explore_transformed`` rank what it
    gave. Where play integrity is fused, ``transform`` gives the items' durations too, as they came,
    and the other two take them.

    After :meth:`compile_for`, XLA compiles the ranking model, once for each of some numbers of
    candidates: a request is padded to the next larger one. What is some hundred small operations,
    each of which a GPU has to be asked for, is then a few. Requests of more candidates are ranked
    without XLA.

    Attributes:
      buckets: The numbers of candidates that XLA compiles for, in ascending order.
    """

    buckets: tuple[int, ...] = ()

    def compile_for(self, buckets: Sequence[int]) -> None:
        """Has XLA compile the ranking model; before :meth:`signatures`.

        Args:
          buckets: Numbers of candidates to compile for; without any, XLA is not used.

        Raises:
          ValueError: if one is not positive or there twice.
        """
        if any(size < 1 for size in buckets) or len(set(buckets)) < len(buckets):
            raise ValueError(f"buckets are different positive numbers of candidates, not {buckets}")
        self.buckets = tuple(sorted(buckets))
        self._compiled = tf.function(self._one_session, autograph=False, jit_compile=True)

    def signatures(self) -> dict[str, Any]:
        """See :meth:`Ranker.signatures`."""
        concrete = self.ranking.checked.concrete_functions[0]
        session_ids, session_values, *impressions = concrete.structured_input_signature[0]
        request = (
            tf.TensorSpec([len(self.request_state.config.names)], tf.float32, name=REQUEST_STATE),
            *(
                tf.TensorSpec(spec.shape[1:], spec.dtype, name=spec.name)
                for spec in (session_ids, session_values)
            ),
            *impressions,
        )
        durations = (
            {DURATIONS: tf.TensorSpec([None], tf.float32, name=DURATIONS)}
            if self.predictions.needs_duration
            else {}
        )
        return {
            **super().signatures(),
            TRANSFORM: self.transform.get_concrete_function(
                tf.TensorSpec([None], tf.string, name=EXAMPLES)
            ),
            RANK_TRANSFORMED: self.rank_transformed.get_concrete_function(*request, **durations),
            EXPLORE_TRANSFORMED: self.explore_transformed.get_concrete_function(
                *request,
                tf.TensorSpec([2], tf.int32, name=SEED),
                tf.TensorSpec([], tf.bool, name=AT_RANDOM),
                **durations,
            ),
        }

    @tf.function(autograph=False)
    def transform(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        """What the ranking model sees of examples, and what they give of a state.

        Args:
          examples: Requests as of :meth:`serve`, or parts of some: a user's without candidates,
            items' without a user; string `[example]`.

        Returns:
          ``session_ids`` int64 `[example, categorical]` and ``session_values`` float32 `[example,
          numeric]`, of users; ``impression_ids`` int64 `[candidate, categorical]` and
          ``impression_values`` float32 `[candidate, numeric]`, of candidates, example by example;
          ``row_lengths`` int64 `[example]`, how many each has; ``request_state`` float32
          `[example, S0]`; ``history_left_out`` int32 `[example]`; and where play integrity is fused
          ``durations`` float32 `[candidate]`.
        """
        facts = self.request_state.of_requests(examples)
        durations = self._durations(examples)
        return {
            **self.ranking.transform(examples),
            REQUEST_STATE: facts.state,
            HISTORY_LEFT_OUT: facts.left_out,
            **({} if durations is None else {DURATIONS: durations}),
        }

    @tf.function(autograph=False)
    def rank_transformed(
        self,
        request_state: tf.Tensor,
        session_ids: tf.Tensor,
        session_values: tf.Tensor,
        impression_ids: tf.Tensor,
        impression_values: tf.Tensor,
        durations: tf.Tensor | None = None,
    ) -> dict[str, tf.Tensor]:
        """Ranks the candidates of one request, whose features :meth:`transform` has looked up.

        The same version has to have done so: ids are places in its vocabularies.

        Args:
          request_state: float32 `[S0]`.
          session_ids: int64 `[categorical]`.
          session_values: float32 `[numeric]`.
          impression_ids: int64 `[candidate, categorical]`.
          impression_values: float32 `[candidate, numeric]`.
          durations: float32 `[candidate]`; only where play integrity is fused.

        Returns:
          As :meth:`serve`, but for ``history_left_out``, which :meth:`transform` has given.

        Raises:
          InvalidArgumentError: as :meth:`serve`, or if an id is none of its feature's; the message
            names it.
        """
        features = session_ids, session_values, impression_ids, impression_values
        state, predictions = self._transformed_request(request_state, features, durations)
        return self._ranked(state, predictions, self._action(state[tf.newaxis]))

    @tf.function(autograph=False)
    def explore_transformed(
        self,
        request_state: tf.Tensor,
        session_ids: tf.Tensor,
        session_values: tf.Tensor,
        impression_ids: tf.Tensor,
        impression_values: tf.Tensor,
        seed: tf.Tensor,
        at_random: tf.Tensor,
        durations: tf.Tensor | None = None,
    ) -> dict[str, tf.Tensor]:
        """Ranks by an action that is tried out; see :meth:`rank_transformed` and :meth:`explore`.

        Args:
          request_state: As of :meth:`rank_transformed`, as are the next four.
          session_ids: Likewise.
          session_values: Likewise.
          impression_ids: Likewise.
          impression_values: Likewise.
          seed: As of :meth:`explore`.
          at_random: Likewise.
          durations: As of :meth:`rank_transformed`.

        Returns:
          As :meth:`explore`, but for ``history_left_out``.
        """
        features = session_ids, session_values, impression_ids, impression_values
        request = self._transformed_request(request_state, features, durations)
        return self._explored(*request, seed, at_random)

    def _transformed_request(
        self,
        request_state: tf.Tensor,
        features: tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor],
        durations: tf.Tensor | None,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """The state `[state]` and the predictions `[candidate, prediction]`, checked."""
        session_ids, session_values, *impressions = features
        session = session_ids[tf.newaxis], session_values[tf.newaxis]
        checked = TransformedFeatures(*self.ranking.checked(*session, *impressions))
        return self._completed(request_state, self._fusible(checked, durations))

    def _predict(self, requests: tf.Tensor) -> tf.Tensor:
        transformed = self.ranking.transform(requests)
        del transformed[ROW_LENGTHS]
        return self._fusible(TransformedFeatures(**transformed), self._durations(requests))

    def _fusible(self, features: TransformedFeatures, durations: tf.Tensor | None) -> tf.Tensor:
        """The predictions to be fused of one request's features, `[candidate, prediction]`."""
        raw = self._predict_transformed(features)
        tasks = self.predictions.tasks
        columns = tf.unstack(raw, num=len(tasks), axis=-1)
        return self._comparable(dict(zip(tasks, columns, strict=True)), durations)

    def _predict_transformed(self, features: TransformedFeatures) -> tf.Tensor:
        """Raw predictions of one request's features, `[candidate, task]`."""
        if not self.buckets:
            return self._one_session(*features)
        count = tf.shape(features.impression_ids)[0]
        buckets = tf.constant(self.buckets)

        def compiled() -> tf.Tensor:
            place = tf.searchsorted(buckets, count[tf.newaxis])[0]
            return self._compiled(*features.padded(buckets[place]))[:count]

        return tf.cond(count <= buckets[-1], compiled, lambda: self._one_session(*features))

    def _one_session(
        self, session_ids: tf.Tensor, session_values: tf.Tensor, *impressions: tf.Tensor
    ) -> tf.Tensor:
        session = (tf.ensure_shape(rows, [1, None]) for rows in (session_ids, session_values))
        outputs = self.ranking.predict_request(*session, *impressions)
        return tf.stack([outputs[task] for task in self.predictions.tasks], axis=-1)

    def _check(self, ranking: Any) -> None:
        super()._check(ranking)
        if missing := [name for name in _FUNCTIONS if not hasattr(ranking, name)]:
            raise ValueError(
                f"the ranking model was exported without {', '.join(missing)}. Train it anew with "
                "`mtfx ranking`"
            )


def build_ranker(
    ranking: Any,
    policy: SavedPolicy,
    directory: str,
    *,
    predictions: Sequence[FusedPrediction],
    request_state: RequestStateConfig,
    columns: Mapping[str, Sequence[str]],
    request: Iterable[RequestField],
    candidate_buckets: Sequence[int],
    code_version: str,
) -> None:
    """Joins a ranking model and a fusion policy in one SavedModel, with what it was made from.

    Args:
      ranking: The ranking model, as ``tf.saved_model.load`` gives it.
      policy: The policy.
      directory: Target.
      predictions: What is fused, as in the world in which the policy was trained.
      request_state: Of the requests in whose states the policy was trained.
      columns: By tensor of the signature ``transform``, the features in its columns.
      request: What the ranking model reads of a request, as its metadata list it.
      candidate_buckets: See :meth:`TransformedRanker.compile_for`.
      code_version: Recorded.

    Raises:
      ValueError: if the two do not fit together, or a bucket is wrong.
    """
    metadata = policy.metadata
    names = tuple(prediction.name for prediction in predictions)
    if names != metadata.prediction_names:
        raise ValueError(
            f"the policy fuses {', '.join(metadata.prediction_names)}, but the predictions are "
            f"{', '.join(names)}: take those that it was trained with"
        )
    fields = merged(request, request_state.fields)
    ranker = TransformedRanker(
        ranking,
        predictions,
        policy.fusion(len(names)),
        policy.act,
        metadata.state_dim,
        request_state=RequestState(request_state),
        policy_model=policy.model,
    )
    ranker.compile_for(candidate_buckets)
    about = {
        "policy": dataclasses.asdict(metadata),
        "request": [field.to_dict() for field in fields],
        "request_state": request_state.to_dict(),
        "state_names": list(request_state.state_names(names)),
        "predictions": [prediction.to_dict() for prediction in predictions],
        "columns": columns,
        "candidate_buckets": list(candidate_buckets),
        "code_version": code_version,
    }
    export_ranker(ranker, directory, about)
