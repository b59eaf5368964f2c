"""The base of every backbone."""

from __future__ import annotations

import tensorflow as tf

from mtfx.datasets.spec import Task
from mtfx.models.keras import keras
from mtfx.models.mtl.blocks import ParallelMlp, Towers
from mtfx.models.mtl.registry import BackboneConfig


class Backbone(keras.layers.Layer):
    """Maps states to logits; subclasses build their layers and implement ``call``.

    Attributes:
      tasks: The tasks, in the order of the logits' columns.
      config: Sizes.
    """

    def __init__(
        self, tasks: tuple[Task, ...], config: BackboneConfig, *, dtype: str = "float32"
    ) -> None:
        """Keeps the tasks and sizes.

        Args:
          tasks: At least one task, names unique.
          config: Sizes.
          dtype: Keras dtype policy of the hidden layers.

        Raises:
          ValueError: if there is no task or a name occurs twice.
        """
        super().__init__(dtype=dtype)
        names = [task.name for task in tasks]
        if not names:
            raise ValueError("a backbone needs at least one task")
        if len(set(names)) < len(names):
            raise ValueError(f"tasks named twice: {names}")
        self.tasks = tuple(tasks)
        self.config = config

    @property
    def num_tasks(self) -> int:
        """Number of tasks, the width of the logits."""
        return len(self.tasks)

    @property
    def shared_layers(self) -> list[keras.layers.Layer]:
        """Layers that more than one task's loss depends on; none, unless a backbone says so.

        Loss weightings that compare the tasks' gradients look at these and at the state
        representation.
        """
        return []

    def call(self, state: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Maps states to logits.

        Args:
          state: `[batch, state_dim]`.
          training: Whether to drop units.

        Returns:
          float32 `[batch, task]`: log odds of binary tasks, logarithms of regressed values.
        """
        raise NotImplementedError

    def _experts(self, count: int, name: str) -> ParallelMlp:
        """Bottoms or experts: MLPs of ``bottom_units``."""
        return ParallelMlp(
            count,
            self.config.bottom_units,
            dropout=self.config.dropout,
            seed=self.config.seed,
            name=name,
            dtype=self.dtype_policy.name,
        )

    def _towers(self) -> Towers:
        """A tower of ``tower_units`` per task."""
        return Towers(
            self.num_tasks,
            self.config.tower_units,
            dropout=self.config.dropout,
            seed=self.config.seed,
            dtype=self.dtype_policy.name,
        )
