"""Backbones without experts: a bottom for all tasks (Caruana, 1997), and one for each."""

from __future__ import annotations

import tensorflow as tf

from mtfx.datasets.spec import Task
from mtfx.models.keras import keras
from mtfx.models.mtl.base import Backbone
from mtfx.models.mtl.registry import BackboneConfig


class SharedBottom(Backbone):
    """One bottom for all tasks, a tower for each (Caruana, Multitask Learning, 1997)."""

    def __init__(
        self, tasks: tuple[Task, ...], config: BackboneConfig, *, dtype: str = "float32"
    ) -> None:
        """See :class:`Backbone`."""
        super().__init__(tasks, config, dtype=dtype)
        self.bottom = self._experts(1, "bottom")
        self.towers = self._towers()

    @property
    def shared_layers(self) -> list[keras.layers.Layer]:
        """See :attr:`Backbone.shared_layers`."""
        return [self.bottom]

    def call(self, state: tf.Tensor, training: bool = False) -> tf.Tensor:
        """See :meth:`Backbone.call`."""
        (shared,) = self.bottom(state, training=training)
        return self.towers(shared, training=training)


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
