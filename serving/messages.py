"""A ranking request and its answer, and how they travel."""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from mtfx.serving.request_fields import HISTORY_PREFIX

SIGNATURE, EXPLORE = "serving_default", "explore"
TRANSFORM, RANK_TRANSFORMED = "transform", "rank_transformed"
EXPLORE_TRANSFORMED = "explore_transformed"
REQUEST, EXAMPLES, HISTORY_LEFT_OUT = "request", "examples", "history_left_out"
SEED, AT_RANDOM, LOG_DENSITY = "seed", "at_random", "log_density"
#: Outputs of the ranker's ``serving_default`` by name, with their dtypes.
OUTPUTS: dict[str, type] = {
    "ranked_indices": np.int32,
    "scores": np.float32,
    "predictions": np.float32,
    "action": np.float32,
    "state": np.float32,
}


#: Inputs of ``rank_transformed``, with dtypes and numbers of axes.
FEATURES: dict[str, tuple[type, int]] = {
    "request_state": (np.float32, 1),
    "session_ids": (np.int64, 1),
    "session_values": (np.float32, 1),
    "impression_ids": (np.int64, 2),
    "impression_values": (np.float32, 2),
}
#: Of a ranker that fuses play integrity, one more.
DURATIONS = "durations"
_MAY_BE_FEATURES: dict[str, tuple[type, int]] = {**FEATURES, DURATIONS: (np.float32, 1)}


class RankingError(RuntimeError):
    """A request that was not answered.

    Attributes:
      kind: ``invalid``: the request is at fault and must not be sent again; ``not_found``: no such
        model or version; ``timeout`` and ``unavailable``: it may be sent again, or ranked without
        the model; ``server``: anything else.
    """

    def __init__(self, kind: str, message: str) -> None:
        """Keeps what went wrong."""
        super().__init__(message)
        self.kind = kind


@dataclasses.dataclass(frozen=True, eq=False)
class Exploration:
    """How a request is explored with; see ``mtfx.serving.exploration`` for both.

    Attributes:
      seed: int32 `[2]`, ``request_seed`` of the request's id.
      at_random: Whether the user is in the arm ``random``; around the policy's action otherwise.
    """

    seed: np.ndarray
    at_random: bool


@dataclasses.dataclass(frozen=True)
class Ranking:
    """The answer to a request of C candidates and K predictions.

    Attributes:
      ranked_indices: int32 `[C]`, the best candidate's place in the request first.
      scores: float32 `[C]`, in the request's order.
      predictions: Those that are fused, the larger the better, float32 `[C, K]` in [0, 1].
      action: float32 `[A]`, the fusion's weights or coefficients that were used.
      state: float32 `[S]`, as the policy saw it.
      version: Of the model that answered; None where the protocol does not tell (REST).
      log_density: Log of the density with which the action was drawn; NaN without exploration.
      history_left_out: Earlier impressions of the request that its state does not count: not before
        the request, or older than the newest ones that count. None where features were looked up
        ahead: ``transform`` has said it then.
    """

    ranked_indices: np.ndarray
    scores: np.ndarray
    predictions: np.ndarray
    action: np.ndarray
    state: np.ndarray
    version: int | None = None
    log_density: float = float("nan")
    history_left_out: int | None = None

    @classmethod
    def from_outputs(cls, outputs: Mapping[str, np.ndarray], version: int | None) -> Ranking:
        """Reads a server's outputs.

        Raises:
          RankingError: if one is missing: the model is no ranker.
        """
        if missing := sorted(set(OUTPUTS) - set(outputs)):
            raise RankingError(
                "server",
                f"the served model answers without {', '.join(missing)}; it is no ranker that "
                "`mtfx fusion` exported",
            )
        left_out = outputs.get(HISTORY_LEFT_OUT)
        return cls(
            **{name: np.asarray(outputs[name], dtype) for name, dtype in OUTPUTS.items()},
            version=version,
            log_density=float(outputs.get(LOG_DENSITY, float("nan"))),
            history_left_out=None if left_out is None else int(left_out),
        )


def checked(request: bytes) -> bytes:
    """A request as it is sent: a serialized ``tf.Example``.

    Raises:
      RankingError: of kind ``invalid``, if it is no bytes.
    """
    if not isinstance(request, bytes):
        raise RankingError(
            "invalid", f"the request is a {type(request).__name__}, not a serialized tf.Example"
        )
    return request


def checked_examples(examples: Sequence[bytes]) -> list[bytes]:
    """Examples to be looked up, each checked as a request is."""
    return [checked(example) for example in examples]


def checked_features(features: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Transformed features as they are sent.

    Args:
      features: The inputs that ``FEATURES`` names, and ``durations`` where the ranker takes them.

    Raises:
      RankingError: of kind ``invalid``, if one is missing, unknown, or no such array.
    """
    if set(features) - {DURATIONS} != set(FEATURES):
        raise RankingError(
            "invalid", f"the features are {', '.join(FEATURES)}, not {', '.join(sorted(features))}"
        )
    found = {}
    for name, value in features.items():
        dtype, axes = _MAY_BE_FEATURES[name]
        given = np.asarray(value)
        whole = dtype is not np.int64 or given.dtype.kind in "iu" or not given.size
        if given.ndim != axes or given.dtype.kind not in "iuf" or not whole:
            raise RankingError(
                "invalid",
                f"{name} must be {np.dtype(dtype).name} with {axes} axes, got {given.dtype} of "
                f"shape {given.shape}",
            )
        with np.errstate(over="ignore"):
            found[name] = given.astype(dtype)
        if given.dtype == np.uint64 and given.size and given.max() > np.iinfo(np.int64).max:
            raise RankingError("invalid", f"{name} holds numbers beyond int64")
        if not np.isfinite(found[name][np.isfinite(given)]).all():
            raise RankingError("invalid", f"{name} holds numbers beyond {np.dtype(dtype).name}")
    return found


def shown_example(request: bytes, shown: int, count: int) -> bytes:
    """The features of one candidate of a request.

    Args:
      request: As it was sent.
      shown: Place of the candidate.
      count: Candidates of the request.

    Returns:
      A serialized ``tf.Example``: features with a value for each candidate keep the shown one's;
      lists of earlier impressions stay as they are.
    """
    example: Any = tf.train.Example.FromString(request)
    for name, feature in example.features.feature.items():
        values = getattr(feature, feature.WhichOneof("kind") or "int64_list").value
        if len(values) == count and not name.startswith(HISTORY_PREFIX):
            kept = values[shown]
            del values[:]
            values.append(kept)
    return example.SerializeToString()


def rest_body(request: bytes, exploration: Exploration | None = None) -> dict[str, Any]:
    """The JSON that TF Serving's REST API takes, by column."""
    inputs: dict[str, Any] = {REQUEST: {"b64": base64.b64encode(request).decode()}}
    if exploration is None:
        return {"signature_name": SIGNATURE, "inputs": inputs}
    inputs |= {SEED: exploration.seed.tolist(), AT_RANDOM: exploration.at_random}
    return {"signature_name": EXPLORE, "inputs": inputs}
