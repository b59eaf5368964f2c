"""Values between the simulator and its callers; all arrays have the batch in front."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf


class SessionState(NamedTuple):
    """Sessions side by side, each at its next request.

    Attributes:
      users: Index of each session's user, int32 `[batch]`.
      seeds: Everything random in a session follows from its seed, int32 `[batch, 2]`.
      views: Impressions so far, int32 `[batch]`.
      satisfaction: float32 `[batch]`.
      remaining: The slots of the pool; the first ``pool_size - views`` are those not yet watched,
        int32 `[batch, slot]`.
      now_ms: Time of the request, Unix ms, int64 `[batch]`.
      past_ms: Times of the user's earlier impressions, those of this session among them, the newest
        first, -1 behind the last; int64 `[batch, H]`.
      past: What is known of each, float32 `[batch, H, V]`.
    """

    users: tf.Tensor
    seeds: tf.Tensor
    views: tf.Tensor
    satisfaction: tf.Tensor
    remaining: tf.Tensor
    now_ms: tf.Tensor
    past_ms: tf.Tensor
    past: tf.Tensor


class Candidates(NamedTuple):
    """What a request offers.

    Attributes:
      slots: Places in the user's pool, distinct and unwatched, int32 `[batch, candidate]`.
      predictions: Of the ranking model, float32 `[batch, candidate, prediction]`; 0 where masked.
      mask: False where there is no candidate, bool `[batch, candidate]`: the first so many are
        real.
    """

    slots: tf.Tensor
    predictions: tf.Tensor
    mask: tf.Tensor


class StepOutcome(NamedTuple):
    """Outcomes of one impression each.

    Attributes:
      feedback: 0 or 1, float32 `[batch, feedback]`.
      watch_s: Seconds watched, float32 `[batch]`.
      duration_s: Length of the video in seconds, float32 `[batch]`.
      reward: BatchRL-MTF (2), float32 `[batch]`.
      done: Whether the session is over, bool `[batch]`.
    """

    feedback: tf.Tensor
    watch_s: tf.Tensor
    duration_s: tf.Tensor
    reward: tf.Tensor
    done: tf.Tensor
