"""GradNorm (Chen, Badrinarayanan, Lee and Rabinovich, ICML 2018)."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from mtfx.datasets.spec import Task
from mtfx.models.loss_weighting.base import Batch, Gradient, LossWeighting, Step

ALPHA = 1.5
LEARNING_RATE = 0.025
#: No weight falls below this, so that none turns negative by one long step.
MIN_WEIGHT = 1e-3
_DECAY_1, _DECAY_2, _EPSILON = 0.9, 0.999, 1e-7


class GradNorm(LossWeighting):
    """Weights under which all tasks pull equally hard at what they share, slow ones harder.

    With Gₖ = ‖∇_W wₖ Lₖ‖₂ at the last shared kernel W, their mean Ḡ, and the inverse training rate
    rₖ = (Lₖ / Lₖ(0)) / meanᵢ(Lᵢ / Lᵢ(0)), the weights descend Σₖ |Gₖ - Ḡ rₖ^alpha| (equation 2) by
    steps of their own Adam, the targets Ḡ rₖ^alpha held fixed, and are then scaled to sum to the
    number of tasks (algorithm 1). As |Gₖ - target| has the derivative sign(Gₖ - target) ‖∇_W Lₖ‖ in
    wₖ, no second derivatives are taken. Lₖ(0) is the first step's loss.

    W is the kernel that makes the state, the input of every backbone. Single-task models share
    nothing above it; in MMoE and PLE a task's gate decides how much of the experts it uses, so that
    its gradient there may vanish while it trains experts of its own. Only the state's gradient
    holds everything that a task asks for, whatever the backbone.

    The norms are of losses without the constant weights cₖ, which multiply wₖ: they would else be
    balanced away. Tasks whose cₖ is 0 take no part, and in a step without a known label of a task
    neither does that task: its loss of 0 says nothing about its rate. All replicas see the same
    gradients and losses, those of the whole batch.
    """

    uses_task_gradients = True

    def __init__(
        self,
        tasks: tuple[Task, ...],
        constant: Sequence[float],
        seed: int = 0,
        alpha: float = ALPHA,
        learning_rate: float = LEARNING_RATE,
    ) -> None:
        """Starts with equal weights.

        Args:
          tasks: See :class:`LossWeighting`.
          constant: Likewise.
          seed: Likewise; nothing is random.
          alpha: Its power; the larger, the more is asked of slow tasks.
          learning_rate: Adam's on the weights.

        Raises:
          ValueError: if the learning rate is not positive.
        """
        super().__init__(tasks, constant, seed)
        if not learning_rate > 0:
            raise ValueError(f"GradNorm's learning rate must be positive, got {learning_rate}")
        self.alpha = alpha
        self.learning_rate = learning_rate
        self.task_weights = self.add_state("task_weights", (len(tasks),), initial=1.0)
        self.initial_losses = self.add_state("initial_losses", (len(tasks),))
        self.moments = self.add_state("moments", (2, len(tasks)))
        self.steps = self.add_state("steps", ())

    def loss_weights(self, batch: Batch) -> tf.Tensor:
        """cₖ wₖ, `[task]`."""
        return tf.constant(self.constant) * self.task_weights

    def gradients(self, step: Step) -> list[Gradient]:
        """See :meth:`LossWeighting.gradients`; also updates the weights, for the next step."""
        if len(self.trained) > 1:
            kernels = [
                step.tape.gradient(step.task_losses[index], step.last_shared)
                for index in self.trained
            ]
            # Losses and gradients are shares of the whole batch's: their sum is over replicas.
            replica = tf.distribute.get_replica_context()
            kernels, losses = replica.all_reduce(
                "sum", [tf.stack(kernels), tf.stack(step.task_losses)]
            )
            norms = tf.sqrt(tf.reduce_sum(tf.square(kernels), axis=[1, 2]))
            norms = tf.scatter_nd([[k] for k in self.trained], norms, losses.shape)
            self.update(norms, losses, step.present)
        return super().gradients(step)

    def update(self, norms: tf.Tensor, losses: tf.Tensor, present: tf.Tensor | None = None) -> None:
        """One step of the weights.

        Args:
          norms: ‖∇_W Lₖ‖₂ of every task, without its weight, float32 `[task]`.
          losses: Lₖ, float32 `[task]`.
          present: See :class:`Step`.
        """
        trained = tf.constant([float(index in self.trained) for index in range(len(self.tasks))])
        mask = trained if present is None else trained * present
        first = tf.where((self.initial_losses > 0) | (mask == 0), self.initial_losses, losses)
        self.initial_losses.assign(first)
        # One task alone is balanced against nothing: its pull is the mean, its rate 1.
        count = tf.maximum(tf.reduce_sum(mask), 1.0)
        pull = mask * self.task_weights * norms
        rates = mask * tf.math.divide_no_nan(losses, first)
        rates = tf.math.divide_no_nan(rates * count, tf.reduce_sum(rates))
        target = tf.reduce_sum(pull) / count * tf.pow(rates, self.alpha)
        step = mask * self._adam(tf.sign(pull - target) * norms, mask)
        descended = self.task_weights - step
        weights = trained * tf.maximum(descended, MIN_WEIGHT)
        weights *= len(self.trained) / tf.reduce_sum(weights)
        self.task_weights.assign(weights)

    def _adam(self, gradient: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
        """The change that Adam subtracts, `[task]`; moments stay where the mask is 0."""
        count = self.steps + 1.0
        mean = _DECAY_1 * self.moments[0] + (1 - _DECAY_1) * gradient
        square = _DECAY_2 * self.moments[1] + (1 - _DECAY_2) * tf.square(gradient)
        self.moments.assign(tf.where(mask > 0, tf.stack([mean, square]), self.moments))
        self.steps.assign(count)
        mean /= 1 - tf.pow(_DECAY_1, count)
        square /= 1 - tf.pow(_DECAY_2, count)
        return self.learning_rate * mean / (tf.sqrt(square) + _EPSILON)
