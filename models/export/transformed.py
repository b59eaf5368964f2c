"""A ranker that also takes transformed features, and that XLA may compile."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from mtfx.models.export.policy import SavedPolicy
from mtfx.models.export.ranker import AT_RANDOM, EXAMPLES, SEED, STATE, Ranker, export_ranker
from mtfx.models.export.transformed_features import ROW_LENGTHS, TransformedFeatures
from mtfx.models.fusion.base import check_candidates

TRANSFORM, RANK_TRANSFORMED = "transform", "rank_transformed"
EXPLORE_TRANSFORMED = "explore_transformed"
_FUNCTIONS = (TRANSFORM, "checked", "predict_transformed")


class TransformedRanker(Ranker):
    """A ranker of a model that ``mtfx.models.export.ranking.RankingModule`` exported.

    Its further signatures split a request where its strings end. ``transform`` looks up and
    normalises features ahead of time; ``rank_transformed`` and ``explore_transformed`` rank what it
    gave.

    After :meth:`compile_for`, XLA compiles the ranking model, once for each of some numbers of
    candidates: a request is padded to the next larger one. What is some hundred small operations,
    each of which a GPU has to be asked for, is then a few. Requests of more candidates, and those
    of one example per candidate, are ranked without XLA.

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
            tf.TensorSpec([self.state_dim], tf.float32, name=STATE),
            *(
                tf.TensorSpec(spec.shape[1:], spec.dtype, name=spec.name)
                for spec in (session_ids, session_values)
            ),
            *impressions,
        )
        return {
            **super().signatures(),
            TRANSFORM: self.transform.get_concrete_function(
                tf.TensorSpec([None], tf.string, name=EXAMPLES)
            ),
            RANK_TRANSFORMED: self.rank_transformed.get_concrete_function(*request),
            EXPLORE_TRANSFORMED: self.explore_transformed.get_concrete_function(
                *request,
                tf.TensorSpec([2], tf.int32, name=SEED),
                tf.TensorSpec([], tf.bool, name=AT_RANDOM),
            ),
        }

    @tf.function(autograph=False)
    def transform(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        """What the ranking model sees of examples.

        Args:
          examples: As of :meth:`serve`, of as many users as there are examples.

        Returns:
          ``session_ids`` int64 `[example, categorical]` and ``session_values`` float32 `[example,
          numeric]`, of users; ``impression_ids`` int64 `[candidate, categorical]` and
          ``impression_values`` float32 `[candidate, numeric]`, of candidates, example by example;
          ``row_lengths`` int64 `[example]`, how many each has.
        """
        return self.ranking.transform(examples)

    @tf.function(autograph=False)
    def rank_transformed(
        self,
        state: tf.Tensor,
        session_ids: tf.Tensor,
        session_values: tf.Tensor,
        impression_ids: tf.Tensor,
        impression_values: tf.Tensor,
    ) -> dict[str, tf.Tensor]:
        """Ranks the candidates of one request, whose features :meth:`transform` has looked up.

        The same version has to have done so: ids are places in its vocabularies.

        Args:
          state: As of :meth:`serve`.
          session_ids: int64 `[categorical]`.
          session_values: float32 `[numeric]`.
          impression_ids: int64 `[candidate, categorical]`.
          impression_values: float32 `[candidate, numeric]`.

        Returns:
          As :meth:`serve`.

        Raises:
          InvalidArgumentError: as :meth:`serve`, or if an id is none of its feature's; the message
            names it.
        """
        features = session_ids, session_values, impression_ids, impression_values
        state, predictions = self._transformed_request(state, *features)
        return self._ranked(state, predictions, self._action(state[tf.newaxis]))

    @tf.function(autograph=False)
    def explore_transformed(
        self,
        state: tf.Tensor,
        session_ids: tf.Tensor,
        session_values: tf.Tensor,
        impression_ids: tf.Tensor,
        impression_values: tf.Tensor,
        seed: tf.Tensor,
        at_random: tf.Tensor,
    ) -> dict[str, tf.Tensor]:
        """Ranks by an action that is tried out; see :meth:`rank_transformed` and :meth:`explore`.

        Args:
          state: As of :meth:`rank_transformed`, as are the next four.
          session_ids: Likewise.
          session_values: Likewise.
          impression_ids: Likewise.
          impression_values: Likewise.
          seed: As of :meth:`explore`.
          at_random: Likewise.

        Returns:
          As :meth:`explore`.
        """
        features = session_ids, session_values, impression_ids, impression_values
        return self._explored(*self._transformed_request(state, *features), seed, at_random)

    def _transformed_request(
        self,
        state: tf.Tensor,
        session_ids: tf.Tensor,
        session_values: tf.Tensor,
        *impressions: tf.Tensor,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """The complete state `[state]` and the predictions `[candidate, prediction]`, checked."""
        session = session_ids[tf.newaxis], session_values[tf.newaxis]
        features = TransformedFeatures(*self.ranking.checked(*session, *impressions))
        return self._completed(state, self._predict_transformed(features))

    def _predict(self, examples: tf.Tensor) -> tf.Tensor:
        transformed = self.ranking.transform(examples)
        lengths = transformed.pop(ROW_LENGTHS)
        rows, most = tf.size(lengths), tf.reduce_max(tf.concat([lengths, [0]], axis=0))
        check_candidates(rows, most, (rows <= 1) | tf.reduce_all(lengths >= 1))
        return self._predict_transformed(TransformedFeatures(**transformed))

    def _predict_transformed(self, features: TransformedFeatures) -> tf.Tensor:
        """The predictions to be fused, `[candidate, prediction]`, of one session, or one each."""
        rows, count = tf.shape(features.session_ids)[0], tf.shape(features.impression_ids)[0]

        def plain() -> tf.Tensor:
            return self._stacked(features, tf.minimum(tf.range(count), rows - 1))

        if not self.buckets:
            return plain()
        buckets = tf.constant(self.buckets)

        def compiled() -> tf.Tensor:
            place = tf.searchsorted(buckets, count[tf.newaxis])[0]
            return self._compiled(*features.padded(buckets[place]))[:count]

        return tf.cond((rows == 1) & (count <= buckets[-1]), compiled, plain)

    def _one_session(self, *features: tf.Tensor) -> tf.Tensor:
        packed = TransformedFeatures(*features)
        return self._stacked(packed, tf.zeros(tf.shape(packed.impression_ids)[:1], tf.int32))

    def _stacked(self, features: TransformedFeatures, session: tf.Tensor) -> tf.Tensor:
        outputs = self.ranking.predict_transformed(*features, tf.cast(session, tf.int64))
        return tf.stack([outputs[name] for name in self.prediction_names], axis=-1)

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
    state_names: Sequence[str],
    columns: Mapping[str, Sequence[str]],
    candidate_buckets: Sequence[int],
    code_version: str,
) -> None:
    """Joins a ranking model and a fusion policy in one SavedModel, with what it was made from.

    Args:
      ranking: The ranking model, as ``tf.saved_model.load`` gives it.
      policy: The policy.
      directory: Target.
      state_names: Of the policy's states; they say where the means of the predictions are.
      columns: By tensor of the signature ``transform``, the features in its columns.
      candidate_buckets: See :meth:`TransformedRanker.compile_for`.
      code_version: Recorded.

    Raises:
      ValueError: if the two do not fit together, or a bucket is wrong.
    """
    metadata = policy.metadata
    names = metadata.prediction_names
    ranker = TransformedRanker(
        ranking,
        names,
        policy.fusion(len(names)),
        policy.act,
        metadata.state_dim,
        policy_model=policy.model,
        means_at=list(state_names).index(f"mean_{names[0]}"),
    )
    ranker.compile_for(candidate_buckets)
    about = {
        "policy": dataclasses.asdict(metadata),
        "state_names": list(state_names),
        "columns": columns,
        "candidate_buckets": list(candidate_buckets),
        "code_version": code_version,
    }
    export_ranker(ranker, directory, about)
