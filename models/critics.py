"""RMTL's critics: what session-long reward to expect from predicting as the actor does."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from mtfx.datasets.spec import Task
from mtfx.models.config import CriticConfig
from mtfx.models.features import StateRepresentation
from mtfx.models.input_features import InputFeature
from mtfx.models.keras import glorot_uniform, keras, seed_for
from mtfx.models.mtl.blocks import ParallelMlp, Towers

#: The most likely action value at the start; see :class:`Critics`.
_INITIAL_Q = -1.0


class Critics(keras.layers.Layer):
    """Q_k(s, a_k) of every task k: a shared bottom and a tower per task, RMTL section 2.5.2.

    The features are embedded by a state representation of their own; the action a_k, a prediction,
    by the action layer. Both run through the bottom that all tasks share and then the task's tower,
    whose output unit has a negative ReLU, since no reward is positive. A unit whose ReLU is off for
    every state gets no gradient and stays at Q = 0 for ever, so the output bias starts where almost
    all states are on the active side, at Q = -1, about the reward of a step or two.
    """

    def __init__(
        self, inputs: tuple[InputFeature, ...], tasks: tuple[Task, ...], config: CriticConfig
    ) -> None:
        """Builds the layers.

        Args:
          inputs: The features, as the ranking model has them.
          tasks: The tasks, all binary.
          config: Sizes.

        Raises:
          ValueError: if a task is not binary, as the reward (2) is a cross-entropy, or no feature
            is of the level that the configuration asks for.
        """
        super().__init__(name="critics")
        if not tasks or any(task.kind != "binary" for task in tasks):
            kinds = ", ".join(f"{task.name} ({task.kind})" for task in tasks) or "none"
            raise ValueError(f"RMTL's critics need binary tasks, at least one; got {kinds}")
        self.features = tuple(inputs)
        self.tasks = tuple(tasks)
        self.config = config
        seen = tuple(f for f in inputs if config.features in ("all", f.level))
        if not seen:
            raise ValueError(f"the critics' state is empty: no feature of level {config.features}")
        self.state_representation = StateRepresentation(seen, config.state, seed=config.seed)
        self.bottom = ParallelMlp(
            1, config.bottom_units, dropout=config.dropout, seed=config.seed, name="critic_bottom"
        )
        self.towers = Towers(
            len(tasks),
            config.tower_units,
            dropout=config.dropout,
            seed=config.seed,
            name="critic_towers",
            head_bias=-_INITIAL_Q,
        )

    def build(self, input_shape: Any) -> None:
        """Creates the action layer, a kernel and a bias `[action_units]`."""
        units = self.config.action_units
        self.action_kernel = self.add_weight(
            name="action_kernel",
            shape=(units,),
            initializer=glorot_uniform(1, units, seed_for(self.config.seed, "action")),
        )
        self.action_bias = self.add_weight(name="action_bias", shape=(units,), initializer="zeros")
        super().build(input_shape)

    def call(
        self, features: dict[str, tf.Tensor], actions: tf.Tensor, training: bool = False
    ) -> tf.Tensor:
        """The action values.

        Args:
          features: By name, `[batch]` (multivalued: `[batch, max_values]`): int64 ids or float32
            values, the ranking model's inputs.
          actions: Predictions in [0, 1], float32 `[batch, task]`.
          training: Whether to drop units.

        Returns:
          Q, float32 `[batch, task]`, at most 0.
        """
        count = len(self.tasks)
        state = self.state_representation(features)
        columns = tf.concat(tf.split(actions, count, axis=1), axis=0)
        embedded = columns * self.action_kernel + self.action_bias
        joined = tf.concat([tf.tile(state, [count, 1]), embedded], axis=1)
        (hidden,) = self.bottom(joined, training=training)
        return -tf.nn.relu(self.towers(tf.split(hidden, count, axis=0), training=training))


def build_critics(
    inputs: tuple[InputFeature, ...], tasks: tuple[Task, ...], config: CriticConfig
) -> Critics:
    """Makes critics whose variables exist, as copying and checkpoints need them."""
    critics = Critics(inputs, tasks, config)
    row = {feature.name: tf.zeros([1, *feature.shape], feature.dtype) for feature in inputs}
    critics(row, tf.zeros([1, len(tasks)]))
    return critics
