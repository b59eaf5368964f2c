"""Shared bottom (Caruana, Multitask Learning, 1997)."""

from __future__ import annotations

import tensorflow as tf

from mtfx.datasets.spec import Task
from mtfx.models.keras import keras
from mtfx.models.mtl.base import Backbone
from mtfx.models.mtl.registry import BackboneConfig


class SharedBottom(Backbone):
    """One bottom for all tasks, a tower for each."""

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
