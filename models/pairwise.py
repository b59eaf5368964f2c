"""xMTF's losses over all pairs of a request's candidates, (7), (16) and (17).

Both are of the form Σ over pairs with label_i < label_j of a function of score_i - score_j. A
request with n candidates has n² ordered pairs; they are formed for a few requests at a time, and
the gradient is summed up with the loss, so that no pair outlives its chunk.
"""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

#: Pairs held in memory at once: 16 MB per intermediate tensor.
_PAIRS_AT_ONCE = 1 << 22

#: Of the gaps score_i - score_j, the loss of each pair and its derivative, `[row, i, j]` each.
PairLoss = Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]


def monotonicity_loss(
    predictions: tf.Tensor, values: tf.Tensor, mask: tf.Tensor, margin: float = 0.0
) -> tf.Tensor:
    """Σ_k L_k^mono of (18), each Σ_{o_ki < o_kj} max{0, h_k(o_ki) - h_k(o_kj)} (7), (17).

    Args:
      predictions: o, float32 `[batch, candidate, prediction]`.
      values: h, float32 `[batch, candidate, prediction]`.
      mask: bool `[batch, candidate]`, False where there is no candidate.
      margin: m in max{0, m + h_k(o_ki) - h_k(o_kj)}; above 0, ours, a flat cell has a loss.

    Returns:
      float32 `[batch]`; its gradient is that of ``values`` alone.
    """
    count = int(predictions.shape[2])
    rows = _pair_sum(
        _by_prediction(predictions),
        _by_prediction(values),
        tf.repeat(mask, count, axis=0),
        lambda gaps: _hinge(gaps + margin),
    )
    return tf.reduce_sum(tf.reshape(rows, [-1, count]), axis=1)


def transfer_loss(labels: tf.Tensor, scores: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """-Σ_{z_i < z_j} log sigmoid(zᴵ_j - zᴵ_i) (16), the BPR loss (Rendle et al., 2009).

    Args:
      labels: z, float32 `[batch, candidate]`; no gradient flows through them.
      scores: zᴵ, float32 `[batch, candidate]`.
      mask: bool `[batch, candidate]`, False where there is no candidate.

    Returns:
      float32 `[batch]`.
    """
    return _pair_sum(labels, scores, mask, _bpr)


def order_loss(labels: tf.Tensor, scores: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """Σ_{z_i < z_j} max{0, zᴵ_i - zᴵ_j}: (16) with the hinge of (17), 0 once the order is learnt.

    Ours. The BPR loss is never 0: it widens the gaps between scores whose order is right already.

    Arguments `[batch, candidate]` and result `[batch]` are those of :func:`transfer_loss`.
    """
    return _pair_sum(labels, scores, mask, _hinge)


def num_pairs(mask: tf.Tensor) -> tf.Tensor:
    """Unordered pairs of candidates of each request, float32 `[batch]`."""
    count = tf.reduce_sum(tf.cast(mask, tf.float32), axis=1)
    return count * (count - 1.0) / 2.0


def violations(
    predictions: tf.Tensor, values: tf.Tensor, mask: tf.Tensor, tolerance: float = 0.0
) -> tf.Tensor:
    """Share of the pairs with o_i < o_j that have h(o_i) > h(o_j), by prediction.

    Args:
      predictions: o, float32 `[batch, candidate, prediction]`.
      values: h, float32 `[batch, candidate, prediction]`.
      mask: bool `[batch, candidate]`.
      tolerance: A pair is broken if h(o_i) is higher by more than this: float32 values in [0, 1]
        may differ by 1e-7 where they should not.

    Returns:
      float32 `[prediction]`; 0 for a prediction without a pair that differs.
    """
    count = int(predictions.shape[2])
    labels, scores = _by_prediction(predictions), _by_prediction(values)
    rows = tf.repeat(mask, count, axis=0)

    def higher(gaps: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return tf.cast(gaps > tolerance, gaps.dtype), tf.zeros_like(gaps)

    broken = _pair_sum(labels, scores, rows, higher)
    pairs = _pair_sum(labels, labels, rows, lambda gaps: (tf.ones_like(gaps),) * 2)
    broken, pairs = (tf.reduce_sum(tf.reshape(x, [-1, count]), axis=0) for x in (broken, pairs))
    return tf.math.divide_no_nan(broken, pairs)


def _by_prediction(values: tf.Tensor) -> tf.Tensor:
    """`[batch, candidate, prediction]` to `[batch · prediction, candidate]`."""
    return tf.reshape(tf.transpose(values, [0, 2, 1]), [-1, tf.shape(values)[1]])


def _hinge(gaps: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    return tf.nn.relu(gaps), tf.cast(gaps > 0.0, gaps.dtype)


def _bpr(gaps: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    # -log sigmoid(-gap)
    return tf.nn.softplus(gaps), tf.sigmoid(gaps)


def _pair_sum(labels: tf.Tensor, scores: tf.Tensor, mask: tf.Tensor, loss: PairLoss) -> tf.Tensor:
    """A loss summed over the pairs with label_i < label_j: `[row, n]` inputs to `[row]`."""

    @tf.custom_gradient
    def total(scores: tf.Tensor):
        sums, slopes = _in_chunks(tf.stop_gradient(labels), scores, mask, loss)
        return sums, lambda upstream: upstream[:, tf.newaxis] * slopes

    return total(scores)


def _in_chunks(
    labels: tf.Tensor, scores: tf.Tensor, mask: tf.Tensor, loss: PairLoss
) -> tuple[tf.Tensor, tf.Tensor]:
    """The sums `[row]`, and their derivatives with respect to the scores `[row, n]`."""
    rows, size = tf.shape(scores)[0], tf.shape(scores)[1]
    chunk = tf.clip_by_value(_PAIRS_AT_ONCE // tf.maximum(size * size, 1), 1, tf.maximum(rows, 1))
    chunks = -(-rows // chunk)
    missing = chunks * chunk - rows

    def split(values: tf.Tensor) -> tf.Tensor:
        return tf.reshape(tf.pad(values, [[0, missing], [0, 0]]), [chunks, chunk, size])

    def one(inputs: tuple[tf.Tensor, tf.Tensor, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        label, score, present = inputs
        ordered = label[:, :, tf.newaxis] < label[:, tf.newaxis, :]
        ordered &= present[:, :, tf.newaxis] & present[:, tf.newaxis, :]
        value, slope = loss(score[:, :, tf.newaxis] - score[:, tf.newaxis, :])
        zero = tf.zeros([], value.dtype)
        value, slope = tf.where(ordered, value, zero), tf.where(ordered, slope, zero)
        gradient = tf.reduce_sum(slope, axis=2) - tf.reduce_sum(slope, axis=1)
        return tf.reduce_sum(value, axis=[1, 2]), gradient

    dtype = scores.dtype
    sums, slopes = tf.map_fn(
        one,
        (split(labels), split(scores), split(mask)),
        fn_output_signature=(dtype, dtype),
        parallel_iterations=1,
    )
    return tf.reshape(sums, [-1])[:rows], tf.reshape(slopes, [-1, size])[:rows]
