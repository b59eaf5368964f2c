"""Adam in two forms: for embeddings that a batch does not mention, and for agents."""

from __future__ import annotations

import tensorflow as tf

from mtfx.models.keras import keras


class LazyAdam(keras.optimizers.Adam):
    """Adam whose moments and weights change only in the rows that have a gradient.

    Keras's Adam decays the moments of *every* row of an embedding table, and moves every row by its
    remaining momentum, in every step: with tables of 50,000 rows that costs as much as the expert
    layers. This is the update of PyTorch's ``SparseAdam`` and TensorFlow Addons' ``LazyAdam``
    (archived): bias correction counts all steps, as there. Dense variables, and tables of so few
    rows that their gradient is dense (``StateRepresentation``), get Keras's update, but
    in TensorFlow's one fused operation instead of a dozen that each walk through all weights.
    """

    def update_step(self, gradient: tf.Tensor | tf.IndexedSlices, variable: tf.Variable) -> None:
        """Updates one variable; Keras has summed the gradients of equal rows before."""
        index = self._index_dict[self._var_key(variable)]
        first, second = self._momentums[index], self._velocities[index]
        step = tf.cast(self.iterations + 1, variable.dtype)
        decay_1, decay_2 = tf.pow(self.beta_1, step), tf.pow(self.beta_2, step)
        if not isinstance(gradient, tf.IndexedSlices):
            tf.raw_ops.ResourceApplyAdam(
                var=variable.handle,
                m=first.handle,
                v=second.handle,
                beta1_power=decay_1,
                beta2_power=decay_2,
                lr=tf.cast(self.learning_rate, variable.dtype),
                beta1=self.beta_1,
                beta2=self.beta_2,
                epsilon=self.epsilon,
                grad=gradient,
            )
            return
        correction = tf.sqrt(1 - decay_2) / (1 - decay_1)
        rate = tf.cast(self.learning_rate, variable.dtype) * correction
        rows, values = gradient.indices, gradient.values
        mean = self.beta_1 * tf.gather(first, rows) + (1 - self.beta_1) * values
        square = self.beta_2 * tf.gather(second, rows) + (1 - self.beta_2) * tf.square(values)
        first.scatter_update(tf.IndexedSlices(mean, rows))
        second.scatter_update(tf.IndexedSlices(square, rows))
        change = -rate * mean / (tf.sqrt(square) + self.epsilon)
        variable.scatter_add(tf.IndexedSlices(change, rows))


def adam(learning_rate: float) -> keras.optimizers.legacy.Adam:
    """Adam, whose fused kernel updates a variable in one operation.

    Keras keeps a learning rate that is a number in a variable, and checkpoints with it: an agent
    that is restored would learn at the rate of the one that was saved, whatever its settings say.
    A function's value is no variable.

    Args:
      learning_rate: Of the settings.
    """
    return keras.optimizers.legacy.Adam(lambda: learning_rate)
