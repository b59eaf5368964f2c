"""Clients of a ranker in TF Serving: gRPC for services, REST where there is nothing else."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import grpc
import numpy as np
import requests
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from mtfx.serving.messages import (
    AT_RANDOM,
    EXAMPLES,
    EXPLORE,
    EXPLORE_TRANSFORMED,
    RANK_TRANSFORMED,
    REQUEST,
    SEED,
    SIGNATURE,
    TRANSFORM,
    Exploration,
    Ranking,
    RankingError,
    checked,
    checked_examples,
    checked_features,
    rest_body,
)

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-]*")
_KINDS = {
    grpc.StatusCode.INVALID_ARGUMENT: "invalid",
    grpc.StatusCode.NOT_FOUND: "not_found",
    grpc.StatusCode.DEADLINE_EXCEEDED: "timeout",
    grpc.StatusCode.UNAVAILABLE: "unavailable",
    grpc.StatusCode.RESOURCE_EXHAUSTED: "invalid",
}


class RankerClient(Protocol):
    """Ranks the candidates of one request at a time; may be used from many threads."""

    def rank(
        self,
        request: bytes,
        timeout_s: float | None = None,
        exploration: Exploration | None = None,
    ) -> Ranking:
        """Ranks a request.

        Args:
          request: A serialized ``tf.Example``: the user's features, ``timestamp_ms``, the user's
            earlier impressions and the candidates' features as lists; the ranker's ``mtfx.json``
            lists them as ``request``.
          timeout_s: Seconds to wait, in place of the client's own.
          exploration: To try an action out, and learn what comes of it; None for the policy's own.

        Raises:
          RankingError: if there is no answer; its ``kind`` says whether to ask again.
        """
        ...

    def close(self) -> None:
        """Ends the connection."""
        ...


@dataclasses.dataclass(frozen=True)
class ServedModel:
    """Which model to ask for.

    Attributes:
      name: As the server's ``models.config`` has it.
      label: A version label, such as ``canary``.
      version: A version, in place of a label; without both the server's latest.
    """

    name: str = "ranker"
    label: str | None = None
    version: int | None = None

    def __post_init__(self) -> None:
        for kind, text in (("model", self.name), ("label", self.label)):
            # It becomes a part of REST's path.
            if text is not None and not _NAME.fullmatch(text):
                raise ValueError(
                    f"{kind} {text!r} must consist of letters, digits, '-', '_' and '.', and begin "
                    "with a letter or digit"
                )
        if self.label is not None and self.version is not None:
            raise ValueError("give a version or a label, not both")


class GrpcRankerClient:
    """Over gRPC, with one channel that all threads share."""

    def __init__(
        self,
        target: str,
        model: ServedModel | None = None,
        *,
        timeout_s: float = 0.2,
        max_message_mb: int = 64,
    ) -> None:
        """Opens a channel; nothing is sent yet.

        Args:
          target: ``host:port`` of TF Serving's gRPC, usually port 8500.
          model: Which model; ``ranker``, latest version, when None.
          timeout_s: Seconds to wait for an answer.
          max_message_mb: Largest message; gRPC's own 4 MB is about 10,000 candidates.
        """
        size = max_message_mb * 1024 * 1024
        self._channel = grpc.insecure_channel(
            target,
            options=[
                ("grpc.max_send_message_length", size),
                ("grpc.max_receive_message_length", size),
            ],
        )
        self._stub = prediction_service_pb2_grpc.PredictionServiceStub(self._channel)
        self._model, self._timeout_s = model or ServedModel(), timeout_s

    def rank(
        self,
        request: bytes,
        timeout_s: float | None = None,
        exploration: Exploration | None = None,
    ) -> Ranking:
        """See :meth:`RankerClient.rank`."""
        inputs = {REQUEST: tf.make_tensor_proto(checked(request), tf.string, shape=[])}
        signature = SIGNATURE if exploration is None else EXPLORE
        inputs |= _explored(exploration)
        return Ranking.from_outputs(*self._predict(signature, inputs, timeout_s))

    def transform(
        self, examples: Sequence[bytes], timeout_s: float | None = None
    ) -> tuple[dict[str, np.ndarray], int]:
        """Looks features up ahead of the requests that they are part of.

        Args:
          examples: Serialized ``tf.Example`` protos, each of one user and any number of items, or
            of either alone.
          timeout_s: Seconds to wait, in place of the client's own.

        Returns:
          ``session_ids`` int64 `[example, categorical]` and ``session_values`` float32 `[example,
          numeric]` of the users, ``impression_ids`` and ``impression_values`` `[item, ...]` of the
          items, ``row_lengths`` int64 `[example]`, how many items each example has,
          ``request_state`` float32 `[example, S0]`, what user, history and circumstances give of a
          state, ``history_left_out`` int32 `[example]`, ``durations`` float32 `[item]` where the
          ranker fuses play integrity; and the version that looked them up, which alone can rank by
          them.

        Raises:
          RankingError: if there is no answer.
        """
        return self._predict(TRANSFORM, {EXAMPLES: _strings(checked_examples(examples))}, timeout_s)

    def rank_transformed(
        self,
        features: Mapping[str, Any],
        timeout_s: float | None = None,
        exploration: Exploration | None = None,
    ) -> Ranking:
        """Ranks a request by features that :meth:`transform` has looked up.

        Args:
          features: ``request_state`` `[S0]`, ``session_ids`` `[categorical]` and
            ``session_values`` `[numeric]` of the request, ``impression_ids`` `[candidate,
            categorical]` and ``impression_values`` `[candidate, numeric]` of the candidates, and
            their ``durations`` `[candidate]` if it has given those.
          timeout_s: Seconds to wait, in place of the client's own.
          exploration: As for :meth:`rank`.

        Raises:
          RankingError: if there is no answer; ``not_found`` if the version that looked them up, and
            that ``ServedModel`` should name, is served no longer.
        """
        inputs = checked_features(features)
        protos = {name: tf.make_tensor_proto(value) for name, value in inputs.items()}
        signature = RANK_TRANSFORMED if exploration is None else EXPLORE_TRANSFORMED
        protos |= _explored(exploration)
        return Ranking.from_outputs(*self._predict(signature, protos, timeout_s))

    def _predict(
        self, signature: str, inputs: Mapping[str, Any], timeout_s: float | None
    ) -> tuple[dict[str, np.ndarray], int]:
        """A signature's outputs, and the version that answered."""
        request: Any = predict_pb2.PredictRequest()
        spec = request.model_spec
        spec.name, spec.signature_name = self._model.name, signature
        if self._model.label is not None:
            spec.version_label = self._model.label
        if self._model.version is not None:
            spec.version.value = self._model.version
        for name, value in inputs.items():
            request.inputs[name].CopyFrom(value)
        try:
            answer = self._stub.Predict(
                request, timeout=self._timeout_s if timeout_s is None else timeout_s
            )
        except grpc.RpcError as error:
            code, details = error.code(), error.details()  # type: ignore[attr-defined]
            kind = _KINDS.get(code, "server")
            raise RankingError(kind, f"{code.name}: {details}") from error
        outputs = {name: tf.make_ndarray(value) for name, value in answer.outputs.items()}
        return outputs, answer.model_spec.version.value

    def close(self) -> None:
        """See :meth:`RankerClient.close`."""
        self._channel.close()


def _strings(examples: Sequence[bytes]) -> Any:
    return tf.make_tensor_proto(examples, tf.string, shape=[len(examples)])


def _explored(exploration: Exploration | None) -> dict[str, Any]:
    if exploration is None:
        return {}
    return {
        SEED: tf.make_tensor_proto(exploration.seed, tf.int32),
        AT_RANDOM: tf.make_tensor_proto(exploration.at_random),
    }


class RestRankerClient:
    """Over REST; slower than gRPC, as every number is text."""

    def __init__(
        self, base_url: str, model: ServedModel | None = None, *, timeout_s: float = 0.5
    ) -> None:
        """Keeps where to ask.

        Args:
          base_url: Such as ``http://localhost:8501``.
          model: Which model; ``ranker``, latest version, when None.
          timeout_s: Seconds to wait for an answer.
        """
        model = model or ServedModel()
        path = f"{base_url.rstrip('/')}/v1/models/{model.name}"
        if model.label is not None:
            path += f"/labels/{model.label}"
        if model.version is not None:
            path += f"/versions/{model.version}"
        self._url, self._timeout_s = f"{path}:predict", timeout_s
        self._session = requests.Session()

    def rank(
        self,
        request: bytes,
        timeout_s: float | None = None,
        exploration: Exploration | None = None,
    ) -> Ranking:
        """See :meth:`RankerClient.rank`."""
        body = rest_body(checked(request), exploration)
        timeout = self._timeout_s if timeout_s is None else timeout_s
        try:
            answer = self._session.post(self._url, json=body, timeout=timeout)
            content = answer.json()
        except requests.Timeout as error:
            raise RankingError("timeout", f"{self._url}: no answer within {timeout} s") from error
        except requests.JSONDecodeError as error:
            raise RankingError("server", f"{self._url} does not answer in JSON") from error
        except requests.RequestException as error:
            raise RankingError("unavailable", f"{self._url}: {error}") from error
        if not isinstance(content, dict):
            raise RankingError("server", f"{self._url} answers in JSON that is no object")
        if answer.status_code != 200:
            kinds = {400: "invalid", 404: "not_found", 503: "unavailable", 504: "timeout"}
            message = str(content.get("error", content))
            raise RankingError(kinds.get(answer.status_code, "server"), message)
        outputs = content.get("outputs")
        # A signature of one output answers without its name.
        return Ranking.from_outputs(outputs if isinstance(outputs, dict) else {}, None)

    def close(self) -> None:
        """See :meth:`RankerClient.close`."""
        self._session.close()
