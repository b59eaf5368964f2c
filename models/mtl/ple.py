"""PLE: progressive layered extraction (Tang et al., RecSys 2020)."""

from __future__ import annotations

import tensorflow as tf

from mtfx.datasets.spec import Task
from mtfx.models.keras import keras
from mtfx.models.mtl.base import Backbone
from mtfx.models.mtl.blocks import ParallelMlp
from mtfx.models.mtl.gates import Gate, mixtures
from mtfx.models.mtl.registry import PleConfig


class ExtractionLevel(keras.layers.Layer):
    """One level: experts of each task and shared ones, and the gates that mix them.

    A task's gate sees its own experts and the shared ones; the shared gate, needed below the last
    level only, sees all of them.
    """

    def __init__(
        self, num_tasks: int, config: PleConfig, level: int, *, last: bool, dtype: str
    ) -> None:
        """Describes the level.

        Args:
          num_tasks: Number of tasks.
          config: Sizes.
          level: Number of the level, from 0; part of the seeds.
          last: Whether only towers follow, so that no shared output is needed.
          dtype: Keras dtype policy.
        """
        super().__init__(name=f"level_{level}", dtype=dtype)
        self._num_tasks = num_tasks
        self._task_experts_each = config.num_task_experts

        def experts(count: int, name: str) -> ParallelMlp:
            return ParallelMlp(
                count,
                config.bottom_units,
                dropout=config.dropout,
                seed=config.seed,
                name=f"level_{level}_{name}",
                dtype=dtype,
            )

        def gate(count: int, name: str) -> Gate:
            return Gate(count, seed=config.seed, name=f"level_{level}_{name}", dtype=dtype)

        visible = config.num_task_experts + config.num_shared_experts
        everyone = num_tasks * config.num_task_experts + config.num_shared_experts
        self.task_experts = experts(num_tasks * config.num_task_experts, "task_experts")
        self.shared_experts = experts(config.num_shared_experts, "shared_experts")
        self.task_gates = [gate(visible, f"gate_{index}") for index in range(num_tasks)]
        self.shared_gate = None if last else gate(everyone, "shared_gate")

    def call(self, inputs: list[tf.Tensor], training: bool = False) -> list[tf.Tensor]:
        """Extracts.

        Args:
          inputs: `[batch, input]` per task, then the shared one.
          training: Whether to drop units.

        Returns:
          `[batch, units]` per task, then, unless this is the last level, the shared one.
        """
        *task_inputs, shared_input = inputs
        each = self._task_experts_each
        own = self.task_experts(
            [task_input for task_input in task_inputs for _ in range(each)], training=training
        )
        shared = self.shared_experts(shared_input, training=training)
        everyone = tuple(range(len(own) + len(shared)))
        seen = [
            everyone[index * each : (index + 1) * each] + everyone[len(own) :]
            for index in range(self._num_tasks)
        ]
        gates = [gate(task) for gate, task in zip(self.task_gates, task_inputs, strict=True)]
        if self.shared_gate is not None:
            seen.append(everyone)
            gates.append(self.shared_gate(shared_input))
        return mixtures(gates, own + shared, tuple(seen), training)


class Ple(Backbone):
    """Stacked extraction levels, then a tower per task."""

    def __init__(
        self, tasks: tuple[Task, ...], config: PleConfig, *, dtype: str = "float32"
    ) -> None:
        """See :class:`Backbone`."""
        super().__init__(tasks, config, dtype=dtype)
        self.levels = [
            ExtractionLevel(
                self.num_tasks, config, level, last=level == config.num_levels - 1, dtype=dtype
            )
            for level in range(config.num_levels)
        ]
        self.towers = self._towers()

    @property
    def shared_layers(self) -> list[keras.layers.Layer]:
        """See :attr:`Backbone.shared_layers`.

        Below the last level the shared gate mixes everyone's experts, so all tasks use them. A
        task's gate feeds its own experts of the next level, which others see unless that is the
        last.
        """
        layers: list[keras.layers.Layer] = []
        for above, level in enumerate(reversed(self.levels)):
            layers.append(level.shared_experts)
            if above >= 1:
                layers += [level.task_experts, level.shared_gate]
            if above >= 2:
                layers += level.task_gates
        return layers

    def call(self, state: tf.Tensor, training: bool = False) -> tf.Tensor:
        """See :meth:`Backbone.call`."""
        extracted = [state] * (self.num_tasks + 1)
        for level in self.levels:
            extracted = level(extracted, training=training)
        return self.towers(extracted, training=training)
