"""Gates: how much each task takes of each expert."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from mtfx.models.keras import glorot_uniform, keras, seed_for

#: Experts of fewer units are not worth the half second that compiling takes.
COMPILED_UNITS = 128


class Gate(keras.layers.Layer):
    """Softmax weights over experts, without bias (MMoE equation 6-7, PLE equation 2)."""

    def __init__(self, num_experts: int, *, seed: int, name: str, dtype: str = "float32") -> None:
        """Describes the gate; ``name`` is part of the seed."""
        super().__init__(name=name, dtype=dtype)
        self.num_experts = num_experts
        self._seed = seed_for(seed, name)

    def build(self, input_shape: tf.TensorShape) -> None:
        """Creates the kernel `[input, expert]`."""
        width = int(input_shape[-1])
        self.kernel = self.add_weight(
            name="kernel",
            shape=(width, self.num_experts),
            initializer=glorot_uniform(width, self.num_experts, self._seed),
        )
        super().build(input_shape)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """The weights of the experts.

        Args:
          inputs: `[batch, input]`, what the gate looks at.

        Returns:
          `[batch, expert]`, positive, of sum 1.
        """
        logits = tf.cast(tf.matmul(inputs, self.kernel), tf.float32)
        return tf.cast(tf.nn.softmax(logits), self.compute_dtype)


def mixtures(
    gates: Sequence[tf.Tensor],
    experts: Sequence[tf.Tensor],
    seen: tuple[tuple[int, ...], ...],
    training: bool = False,
) -> list[tf.Tensor]:
    """What each gate makes of the experts that it sees: Σᵢ gateᵢ · expertᵢ.

    MMoE equation 6, PLE equation 1. All it costs is reading and writing memory. While training
    experts of some size, XLA makes one loop of the sums and one of their gradient, so that an
    expert is read once in each and not once per gate. For 8 experts of 256 units, 2 gates and a
    batch of 2048 that took half of the CPU time of TensorFlow's operations.

    Args:
      gates: Per gate, `[batch, seen]`, float of any width.
      experts: `[batch, units]` each, of the gates' type.
      seen: Per gate, the places of its experts, in the order of the gate's columns. Some gate must
        see each of the experts.
      training: Whether a gradient will be asked for.

    Returns:
      `[batch, units]` per gate.
    """
    if not training or experts[0].shape[-1] < COMPILED_UNITS:
        return _sums(gates, experts, seen)

    @tf.custom_gradient
    def apply(*inputs: tf.Tensor) -> Any:
        gates, experts = inputs[: len(seen)], inputs[len(seen) :]

        def gradient(*upstream: tf.Tensor) -> list[tf.Tensor]:
            return _compiled_gradients(gates, experts, seen, upstream)

        return _compiled_sums(gates, experts, seen), gradient

    return apply(*gates, *experts)


def _sums(
    gates: Sequence[tf.Tensor], experts: Sequence[tf.Tensor], seen: tuple[tuple[int, ...], ...]
) -> list[tf.Tensor]:
    """See :func:`mixtures`."""
    return [
        tf.add_n(
            [column * experts[place] for column, place in zip(_columns(gate), places, strict=True)]
        )
        for gate, places in zip(gates, seen, strict=True)
    ]


def _gradients(
    gates: Sequence[tf.Tensor],
    experts: Sequence[tf.Tensor],
    seen: tuple[tuple[int, ...], ...],
    upstream: Sequence[tf.Tensor],
) -> list[tf.Tensor]:
    """Gradients with respect to every gate, then to every expert."""
    to_gates = [
        tf.stack([tf.reduce_sum(change * experts[place], axis=1) for place in places], axis=1)
        for change, places in zip(upstream, seen, strict=True)
    ]
    to_experts: list[list[tf.Tensor]] = [[] for _ in experts]
    for gate, places, change in zip(gates, seen, upstream, strict=True):
        for column, place in zip(_columns(gate), places, strict=True):
            to_experts[place].append(column * change)
    return [*to_gates, *(tf.add_n(changes) for changes in to_experts)]


def _columns(gate: tf.Tensor) -> list[tf.Tensor]:
    return tf.split(gate, gate.shape[1], axis=1)


_compiled_sums = tf.function(_sums, autograph=False, jit_compile=True)
_compiled_gradients = tf.function(_gradients, autograph=False, jit_compile=True)
