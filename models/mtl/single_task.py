"""Single task: a model per task, sharing only the state representation."""

from __future__ import annotations

import tensorflow as tf

from mtfx.datasets.spec import Task
from mtfx.models.mtl.base import Backbone
from mtfx.models.mtl.registry import BackboneConfig


class SingleTask(Backbone):
    """A bottom and a tower of its own for every task; RMTL's first baseline."""

    def __init__(
        self, tasks: tuple[Task, ...], config: BackboneConfig, *, dtype: str = "float32"
    ) -> None:
        """See :class:`Backbone`."""
        super().__init__(tasks, config, dtype=dtype)
        self.bottoms = self._experts(self.num_tasks, "bottoms")
        self.towers = self._towers()

    def call(self, state: tf.Tensor, training: bool = False) -> tf.Tensor:
        """See :meth:`Backbone.call`."""
        return self.towers(self.bottoms(state, training=training), training=training)
