"""PCGrad, gradient surgery (Yu, Kumar, Gupta, Levine, Hausman and Finn, NeurIPS 2020)."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import tensorflow as tf

from mtfx.datasets.spec import Task
from mtfx.models.loss_weighting.base import Gradient, LossWeighting, Step


class ProjectedGradients(LossWeighting):
    """Each task's gradient loses what conflicts with another's; then they are summed.

    Algorithm 1: starting from gₖᴾᶜ = gₖ, for all other tasks j in random order, if gₖᴾᶜ · gⱼ < 0
    then gₖᴾᶜ ← gₖᴾᶜ - (gₖᴾᶜ · gⱼ) / ‖gⱼ‖² gⱼ. The step is Σₖ gₖᴾᶜ. gₖ is the gradient of cₖ Lₖ, cₖ
    the constant weight, in the shared variables, where alone tasks can conflict; other variables
    get the plain sum.

    All gₖᴾᶜ are combinations of the gⱼ, so the algorithm runs on their coefficients and on the dot
    products gᵢ · gⱼ of the whole batch, and only one combination of gradients is taken. Each
    replica takes it of its own gradients; their sum, which the optimizer forms, is that of the
    whole batch's. Dot products over several replicas need every task's gradients from all of them.

    Embeddings' gradients stay slices. Every task looks at the same rows in the same order, because
    each depends on the whole state.
    """

    uses_task_gradients = True

    def __init__(self, tasks: tuple[Task, ...], constant: Sequence[float], seed: int = 0) -> None:
        """See :class:`LossWeighting`; the order of projections is random."""
        super().__init__(tasks, constant, seed)
        # Seeds the order; a variable, so that a resumed training goes on with fresh orders.
        self.step = self.add_weight(
            name="step",
            shape=(),
            dtype=tf.int32,
            initializer="zeros",
            trainable=False,
            aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
        )

    def gradients(self, step: Step) -> list[Gradient]:
        """See :meth:`LossWeighting.gradients`."""
        if len(self.trained) < 2:
            return super().gradients(step)
        by_task = [
            step.tape.gradient(
                step.task_losses[index],
                step.variables,
                output_gradients=tf.constant(self.constant[index]),
            )
            for index in self.trained
        ]
        by_variable = [_Stack.of(gradients) for gradients in zip(*by_task, strict=True)]
        shared = {id(variable) for variable in step.shared}
        products = tf.zeros([len(self.trained)] * 2)
        for variable, stack in zip(step.variables, by_variable, strict=True):
            if stack is not None and id(variable) in shared:
                products += stack.products()
        self.step.assign_add(1)
        # Sorting uniform numbers gives every order the same chance.
        order = tf.argsort(tf.random.stateless_uniform(products.shape, [self.seed, self.step]))
        factors = tf.reduce_sum(projections(products, order), axis=0)
        plain = tf.ones_like(factors)
        return [
            stack and stack.combine(factors if id(variable) in shared else plain)
            for variable, stack in zip(step.variables, by_variable, strict=True)
        ]


def projections(products: tf.Tensor, order: tf.Tensor) -> tf.Tensor:
    """Algorithm 1 on the coefficients of the gradients.

    Args:
      products: gᵢ · gⱼ, float32 `[task, task]`.
      order: In row k, the order in which gₖ meets the tasks' gradients, int32 `[task, task]`.

    Returns:
      C, float32 `[task, task]`: gₖᴾᶜ = Σⱼ Cₖⱼ gⱼ.
    """
    count = int(order.shape[0])
    norms = tf.linalg.diag_part(products)
    coefficients = tf.eye(count)
    for other in tf.unstack(order, axis=1):
        dots = tf.reduce_sum(coefficients * tf.gather(products, other), axis=1)
        share = tf.math.divide_no_nan(tf.minimum(dots, 0.0), tf.gather(norms, other))
        share = tf.where(other == tf.range(count), 0.0, share)
        coefficients -= share[:, None] * tf.one_hot(other, count)
    return coefficients


@dataclasses.dataclass(frozen=True)
class _Stack:
    """The gradients of all tasks in one variable.

    Attributes:
      values: float32 `[task, row, width]`; a dense variable is one row.
      like: One of the gradients, for indices and shape.
    """

    values: tf.Tensor
    like: tf.Tensor | tf.IndexedSlices

    @classmethod
    def of(cls, gradients: Sequence[Gradient]) -> _Stack | None:
        """Stacks gradients; None, if no task depends on the variable."""
        like = next((gradient for gradient in gradients if gradient is not None), None)
        if like is None:
            return None
        rows = tf.shape(like.values)[0] if isinstance(like, tf.IndexedSlices) else 1
        zeros = tf.zeros_like(_numbers(like))
        values = [zeros if gradient is None else _numbers(gradient) for gradient in gradients]
        return cls(tf.stack([tf.reshape(value, [rows, -1]) for value in values]), like)

    def products(self) -> tf.Tensor:
        """Dot products of the tasks' gradients of the whole batch, `[task, task]`."""
        replica = tf.distribute.get_replica_context()
        values = self.values
        count = int(values.shape[0])
        if isinstance(self.like, tf.IndexedSlices):
            indices = self.like.indices
            if replica.num_replicas_in_sync > 1:
                indices = replica.all_gather(indices, axis=0)
                values = replica.all_gather(values, axis=1)
            # A row that occurs several times has the sum of its slices.
            rows = tf.unique(indices).idx
            values = tf.stack(
                [
                    tf.math.unsorted_segment_sum(task, rows, tf.shape(rows)[0])
                    for task in tf.unstack(values, num=count)
                ]
            )
        elif replica.num_replicas_in_sync > 1:
            values = replica.all_reduce("sum", values)
        flat = tf.reshape(values, [count, -1])
        return tf.matmul(flat, flat, transpose_b=True)

    def combine(self, factors: tf.Tensor) -> tf.Tensor | tf.IndexedSlices:
        """Σₖ factorsₖ gₖ of this replica, as sparse as the gradients."""
        combined = tf.tensordot(factors, self.values, axes=1)
        if isinstance(self.like, tf.IndexedSlices):
            return tf.IndexedSlices(combined, self.like.indices, self.like.dense_shape)
        return tf.reshape(combined, tf.shape(self.like))


def _numbers(gradient: tf.Tensor | tf.IndexedSlices) -> tf.Tensor:
    return gradient.values if isinstance(gradient, tf.IndexedSlices) else gradient
