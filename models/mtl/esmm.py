"""ESMM: probabilities over the entire space (Ma et al., SIGIR 2018)."""

from __future__ import annotations

import tensorflow as tf

from mtfx.datasets.spec import Task
from mtfx.models.keras import keras
from mtfx.models.mtl.base import Backbone
from mtfx.models.mtl.registry import BackboneConfig


class Esmm(Backbone):
    """A feedback that can only follow another has its conditional probability modelled.

    For a task with a parent, p = p_parent · p_conditional (pCTCVR = pCTR · pCVR); parents may have
    parents of their own. Tasks without one are modelled plainly. A bottom and a tower per task, as
    in ESMM's figure 2: the embeddings (here: the state) are what tasks share.
    """

    def __init__(
        self, tasks: tuple[Task, ...], config: BackboneConfig, *, dtype: str = "float32"
    ) -> None:
        """See :class:`Backbone`.

        Raises:
          ValueError: if a parent is not among the tasks, is a regression or has one as a child, or
            if parents form a circle.
        """
        super().__init__(tasks, config, dtype=dtype)
        self.bottoms = self._experts(self.num_tasks, "bottoms")
        self.towers = self._towers()
        self._parents = _parent_indices(self.tasks)

    @property
    def shared_layers(self) -> list[keras.layers.Layer]:
        """See :attr:`Backbone.shared_layers`: a child's prediction runs through its parent's.

        Those of tasks without children are not shared, but stacked in the same variables.
        """
        parents = any(task.parent is not None for task in self.tasks)
        return [self.bottoms, self.towers] if parents else []

    def call(self, state: tf.Tensor, training: bool = False) -> tf.Tensor:
        """See :meth:`Backbone.call`."""
        plain = tf.unstack(
            self.towers(self.bottoms(state, training=training), training=training), axis=1
        )
        joint: dict[int, tf.Tensor] = {}

        def logit(index: int) -> tf.Tensor:
            if index not in joint:
                parent = self._parents[index]
                joint[index] = (
                    plain[index] if parent is None else product_logit(logit(parent), plain[index])
                )
            return joint[index]

        return tf.stack([logit(index) for index in range(self.num_tasks)], axis=1)


def product_logit(first: tf.Tensor, second: tf.Tensor) -> tf.Tensor:
    """The log odds of sigmoid(a) · sigmoid(b), from a and b.

    With p = 1 / ((1 + e⁻ᵃ)(1 + e⁻ᵇ)), (1 - p) / p = e⁻ᵃ + e⁻ᵇ + e⁻ᵃ⁻ᵇ; its negative logarithm is a
    log-sum-exp, finite and exact wherever a and b are, with no probability ever rounded to 0 or 1.

    Args:
      first: Log odds, float32, any shape.
      second: Log odds of the same shape.

    Returns:
      Log odds of the product, of the same shape; never greater than either.
    """
    return -tf.reduce_logsumexp(tf.stack([-first, -second, -first - second]), axis=0)


def _parent_indices(tasks: tuple[Task, ...]) -> tuple[int | None, ...]:
    index_of = {task.name: index for index, task in enumerate(tasks)}
    for task in tasks:
        seen = {task.name}
        child = task
        while child.parent is not None:
            if child.parent not in index_of:
                raise ValueError(
                    f"ESMM: task {child.name!r} has the parent {child.parent!r}, which is not "
                    f"among the trained tasks ({', '.join(index_of)}); add it to the tasks"
                )
            parent = tasks[index_of[child.parent]]
            if parent.name in seen:
                raise ValueError(f"ESMM: the parents of task {task.name!r} form a circle")
            if "regression" in (child.kind, parent.kind):
                raise ValueError(
                    f"ESMM multiplies probabilities: task {child.name!r} and its parent "
                    f"{parent.name!r} must both be binary"
                )
            seen.add(parent.name)
            child = parent
    return tuple(index_of[task.parent] if task.parent else None for task in tasks)
