"""The parts that backbones are made of: parallel MLPs and heads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from mtfx.models.keras import glorot_uniform, keras, seed_for
from mtfx.models.mtl.dropout import drop_threshold, keep_masks, keep_scale


class ParallelMlp(keras.layers.Layer):
    """Several MLPs of one shape side by side: experts, bottoms or towers.

    ReLU and dropout follow every layer. tfrs.layers.blocks.MLP has neither dropout nor a seed. The
    weights of all members are stacked in one variable per layer, so that the optimizer updates few
    large variables; each member's matmul is run on its own, because its activations then stay in
    the cache and TensorFlow fuses matmul, bias and ReLU: on a CPU this is a fifth faster than one
    batched matmul (``benchmarks/ranking_training.py``).
    """

    def __init__(
        self,
        count: int,
        units: Sequence[int],
        *,
        dropout: float,
        seed: int,
        name: str,
        dtype: str = "float32",
    ) -> None:
        """Describes the MLPs.

        Args:
          count: Number of MLPs.
          units: Widths of their layers; may be empty, which leaves the inputs as they are.
          dropout: Share of units dropped after every layer while training.
          seed: Seed of weights and dropout.
          name: Layer name; part of the seed.
          dtype: Keras dtype policy.
        """
        super().__init__(name=name, dtype=dtype)
        self.count = count
        self.units = tuple(units)
        self.dropout = dropout
        self._seed = seed_for(seed, name)

    def build(self, input_shape: tf.TensorShape | list[tf.TensorShape]) -> None:
        """Creates kernels `[count, input, output]` and biases `[count, output]` per layer."""
        width = _width(input_shape)
        # Seeds dropout; a variable, so that a resumed training goes on with fresh masks.
        self.step = self.add_weight(
            name="step",
            shape=(),
            dtype=tf.int32,
            initializer="zeros",
            trainable=False,
            aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
        )
        self.kernels, self.biases = [], []
        for index, units in enumerate(self.units):
            self.kernels.append(
                self.add_weight(
                    name=f"kernel_{index}",
                    shape=(self.count, width, units),
                    initializer=glorot_uniform(width, units, self._seed + index),
                )
            )
            self.biases.append(
                self.add_weight(
                    name=f"bias_{index}", shape=(self.count, units), initializer="zeros"
                )
            )
            width = units
        super().build(input_shape)

    def call(
        self, inputs: tf.Tensor | Sequence[tf.Tensor], training: bool = False
    ) -> list[tf.Tensor]:
        """Runs every MLP.

        Args:
          inputs: `[batch, input]` shared by all MLPs, or a sequence of one such tensor per MLP.
          training: Whether to drop units.

        Returns:
          One tensor `[batch, units[-1]]` per MLP, in the compute dtype.
        """
        members = list(inputs) if isinstance(inputs, (list, tuple)) else [inputs] * self.count
        dropout = self.dropout if training and drop_threshold(self.dropout) else 0.0
        if dropout:
            self.step.assign_add(1)
        # Dropout's scale is applied to the weights: relu(s x) = s relu(x) for s > 0.
        scale = keep_scale(dropout)
        batch = tf.shape(members[0])[0]
        for layer, (kernels, biases) in enumerate(zip(self.kernels, self.biases, strict=True)):
            keep = None
            if dropout:
                keep = keep_masks(
                    self.count,
                    batch,
                    self.units[layer],
                    dropout,
                    tf.stack([self.step, self._seed + layer]),
                    self.compute_dtype,
                )
            members = parallel_relu(members, kernels * scale, biases * scale, keep)
        return members


def parallel_relu(
    members: Sequence[tf.Tensor],
    kernels: tf.Tensor,
    biases: tf.Tensor,
    keep: Sequence[tf.Tensor] | None = None,
) -> list[tf.Tensor]:
    """``relu(member @ kernel + bias) * keep`` for each member, faster than TensorFlow's own.

    * Written as one function with its gradient, matmul, bias and ReLU become one operation.
    * Where an output is positive its unit was active and kept, so ReLU's own gradient, taken at the
      output, is that of both and needs no mask. It also multiplies with the mask.
    * oneDNN multiplies thin matrices up to a fifth slower when the right one is to be transposed on
      the fly, so the kernels are transposed first, all in one operation (TensorFlow's optimizer
      would fold single transpositions back into the matmuls).

    Args:
      members: `[batch, input]` per member, any float type.
      kernels: `[member, input, output]`.
      biases: `[member, output]`.
      keep: Ones and zeros, `[batch, output]` per member, as :func:`keep_masks` draws them.

    Returns:
      `[batch, output]` per member.
    """

    @tf.custom_gradient
    def apply(kernels: tf.Tensor, biases: tf.Tensor, *members: tf.Tensor) -> Any:
        outputs = [
            tf.nn.relu(tf.nn.bias_add(tf.matmul(member, kernel), bias))
            for member, kernel, bias in zip(
                members, tf.unstack(kernels), tf.unstack(biases), strict=True
            )
        ]
        if keep is not None:
            outputs = [
                tf.raw_ops.ReluGrad(gradients=output, features=mask)
                for output, mask in zip(outputs, keep, strict=True)
            ]

        def gradient(*upstream: tf.Tensor) -> tuple[tf.Tensor, ...]:
            changes = [
                tf.raw_ops.ReluGrad(gradients=change, features=output)
                for change, output in zip(upstream, outputs, strict=True)
            ]
            transposed = tf.unstack(tf.transpose(kernels, [0, 2, 1]))
            return (
                tf.stack(
                    [
                        tf.matmul(member, change, transpose_a=True)
                        for member, change in zip(members, changes, strict=True)
                    ]
                ),
                tf.stack([tf.raw_ops.BiasAddGrad(out_backprop=change) for change in changes]),
                *(
                    tf.matmul(change, kernel)
                    for change, kernel in zip(changes, transposed, strict=True)
                ),
            )

        return outputs, gradient

    return apply(kernels, biases, *members)


class Towers(keras.layers.Layer):
    """One tower per task, closed by a linear unit in float32."""

    def __init__(
        self,
        count: int,
        units: Sequence[int],
        *,
        dropout: float,
        seed: int,
        name: str = "towers",
        dtype: str = "float32",
        head_bias: float = 0.0,
    ) -> None:
        """Describes the towers as ParallelMlp does; ``head_bias`` is the initial output bias."""
        super().__init__(name=name, dtype="float32", autocast=False)
        self.hidden = ParallelMlp(
            count, units, dropout=dropout, seed=seed, name=f"{name}_hidden", dtype=dtype
        )
        self.count = count
        self._seed = seed_for(seed, name)
        self._head_bias = head_bias

    def build(self, input_shape: tf.TensorShape | list[tf.TensorShape]) -> None:
        """Creates the heads, `[task, units]` and `[task]`."""
        width = self.hidden.units[-1] if self.hidden.units else _width(input_shape)
        self.head = self.add_weight(
            name="head",
            shape=(self.count, width),
            initializer=glorot_uniform(width, 1, self._seed),
        )
        self.head_bias = self.add_weight(
            name="head_bias",
            shape=(self.count,),
            initializer=keras.initializers.Constant(self._head_bias),
        )
        super().build(input_shape)

    def call(self, inputs: tf.Tensor | Sequence[tf.Tensor], training: bool = False) -> tf.Tensor:
        """Logits of all tasks.

        Args:
          inputs: `[batch, input]` shared by all towers, or a sequence of one such tensor per task.
          training: Whether to drop units.

        Returns:
          float32 `[batch, task]`.
        """
        hidden = self.hidden(inputs, training=training)
        logits = [
            tf.linalg.matvec(tf.cast(units, tf.float32), weights)
            for units, weights in zip(hidden, tf.unstack(self.head), strict=True)
        ]
        return tf.stack(logits, axis=1) + self.head_bias


def _width(shape: object) -> int:
    """The width of an input, or of the members of a list of inputs of one width."""
    first = shape[0] if isinstance(shape, list) else shape
    return int(tf.TensorShape(first)[-1])
