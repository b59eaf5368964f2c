"""MMoE: multi-gate mixture of experts (Ma et al., KDD 2018)."""

from __future__ import annotations

import tensorflow as tf

from mtfx.datasets.spec import Task
from mtfx.models.keras import keras
from mtfx.models.mtl.base import Backbone
from mtfx.models.mtl.gates import Gate, mixtures
from mtfx.models.mtl.registry import MmoeConfig


class Mmoe(Backbone):
    """Experts shared by all tasks; each task mixes them with a gate of its own.

    fₖ(x) = Σᵢ gₖ(x)ᵢ · expertᵢ(x), gₖ(x) = softmax(Wₖ x), yₖ = towerₖ(fₖ(x)) (equations 5-7).
    """

    def __init__(
        self, tasks: tuple[Task, ...], config: MmoeConfig, *, dtype: str = "float32"
    ) -> None:
        """See :class:`Backbone`."""
        super().__init__(tasks, config, dtype=dtype)
        self.experts = self._experts(config.num_experts, "experts")
        self.gates = [
            Gate(config.num_experts, seed=config.seed, name=f"gate_{index}", dtype=dtype)
            for index in range(self.num_tasks)
        ]
        self.towers = self._towers()

    @property
    def shared_layers(self) -> list[keras.layers.Layer]:
        """See :attr:`Backbone.shared_layers`."""
        return [self.experts]

    def call(self, state: tf.Tensor, training: bool = False) -> tf.Tensor:
        """See :meth:`Backbone.call`."""
        experts = self.experts(state, training=training)
        gates = [gate(state) for gate in self.gates]
        everyone = tuple(range(len(experts)))
        mixed = mixtures(gates, experts, (everyone,) * self.num_tasks, training)
        return self.towers(mixed, training=training)
