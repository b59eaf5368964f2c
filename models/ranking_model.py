"""The multi-task ranking model: state representation, backbone, one loss per task."""

from __future__ import annotations

import tensorflow as tf
import tensorflow_recommenders as tfrs

from mtfx.datasets.spec import Task
from mtfx.models.calibration import Calibration
from mtfx.models.config import ModelConfig
from mtfx.models.features import StateRepresentation
from mtfx.models.input_features import InputFeature
from mtfx.models.keras import keras
from mtfx.models.known_labels import known_mask, with_zeros
from mtfx.models.loss_weighting.base import Batch, LossWeighting, Step
from mtfx.models.loss_weighting.registry import build_loss_weighting
from mtfx.models.metrics import LogitAuc, SumOfMeans
from mtfx.models.mtl.registry import BACKBONES, build_backbone

#: Logarithms of the smallest and largest value a regression may predict, in the task's unit.
MIN_LOG, MAX_LOG = -8.0, 16.0
#: Weight of a regression's loss where none is given. The deviance of a watch time in seconds is
#: some ten times the cross-entropy of a click, and with a weight of 1 decided what the shared
#: layers learn: the AUC of every other task fell (docs/ranking-quality.md).
REGRESSION_WEIGHT = 0.1


class RankingModel(tfrs.Model):
    """Predicts every task's feedback for an impression.

    Loss: Σₖ wₖ · Lₖ, with weights as ``mtfx.models.loss_weighting`` finds them, constant unless
    asked otherwise; Lₖ is the binary cross-entropy of the logits for a binary task, and the Tweedie
    deviance of power 1.5 for a regression such as watch time (see :class:`TweedieDeviance`). Lₖ is
    the mean over the impressions whose label of the task is known (``mtfx.datasets.labels``), 0 if
    there is none; others change neither it nor its gradient.

    Attributes:
      inputs: The features.
      tasks: The tasks, in the order of the logits' columns.
      config: Sizes and weights.
      state_representation: Features to state.
      backbone: State to logits.
      weighting: How the tasks' losses are weighted while training.
      calibration: What is served instead of the logits; none until it is set after training.
    """

    def __init__(
        self,
        inputs: tuple[InputFeature, ...],
        tasks: tuple[Task, ...],
        config: ModelConfig,
        *,
        seed: int = 0,
        mixed_precision: bool = False,
        weighting: LossWeighting | None = None,
    ) -> None:
        """Builds the layers.

        Args:
          inputs: The features.
          tasks: The tasks.
          config: Sizes and weights.
          seed: Seed of the state representation and the weighting; the backbone's is in its own
            config, unless that is None, then this one.
          mixed_precision: Compute hidden layers in bfloat16 (``mixed_bfloat16``); variables, heads
            and losses stay float32.
          weighting: How the tasks' losses are weighted; as ``config`` says if None.

        Raises:
          ValueError: if a weight names an unknown task, or as the parts raise it.
        """
        super().__init__(name="ranking_model")
        names = [task.name for task in tasks]
        if unknown := sorted(name for name, _ in config.task_weights if name not in names):
            raise ValueError(f"weights for {unknown}, but the model's tasks are {names}")
        dtype = "mixed_bfloat16" if mixed_precision else "float32"
        sizes = config.sizes or BACKBONES[config.backbone].config(seed=seed)
        self.features = tuple(inputs)
        self.tasks = tuple(tasks)
        self.config = config
        self.calibration = Calibration()
        self.state_representation = StateRepresentation(
            inputs, config.state, history=config.history, seed=seed, dtype=dtype
        )
        self.backbone = build_backbone(config.backbone, tasks, sizes, dtype=dtype)
        weights = dict(config.task_weights)
        self._task_weights = [
            weights.get(task.name, 1.0 if task.kind == "binary" else REGRESSION_WEIGHT)
            for task in tasks
        ]
        self.weighting = weighting or build_loss_weighting(
            config.loss_weighting, self.tasks, self._task_weights, seed
        )
        self._ranking_tasks = [_ranking_task(task) for task in tasks]
        self._loss_tracker = SumOfMeans(len(names), name="loss")
        self._task_loss_trackers = [keras.metrics.Mean(name=f"{name}_loss") for name in names]

    @property
    def shared_variables(self) -> list[tf.Variable]:
        """The trainable variables that more than one task's loss depends on; built models only."""
        layers = [self.state_representation, *self.backbone.shared_layers]
        return [variable for layer in layers for variable in layer.trainable_variables]

    def call(
        self,
        inputs: dict[str, tf.Tensor],
        training: bool = False,
        session: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """Maps features to logits.

        Args:
          inputs: For every feature, `[batch]`: int64 ids or float32 values.
          training: Whether to drop units.
          session: The place of each impression's session, `[batch]`; features of level ``session``
            are `[session]` then. See :meth:`StateRepresentation.call`.

        Returns:
          float32 `[batch, task]`: log odds of binary tasks, log(value / unit) of regressions.
        """
        state = self.state_representation(inputs, session, training)
        return self.backbone(state, training=training)

    def predict_tasks(
        self, inputs: dict[str, tf.Tensor], session: tf.Tensor | None = None
    ) -> dict[str, tf.Tensor]:
        """What is served.

        Args:
          inputs: As for :meth:`call`.
          session: Likewise.

        Returns:
          By task name, float32 `[batch]`: a probability, or the expected feedback in the label's
          unit (between ``unit · exp(MIN_LOG)`` and ``unit · exp(MAX_LOG)``).
        """
        logits = self(inputs, training=False, session=session)
        served = self.calibration.apply(logits, self.tasks)
        columns = tf.unstack(served, num=len(self.tasks), axis=1)
        return {
            task.name: _prediction(task, column)
            for task, column in zip(self.tasks, columns, strict=True)
        }

    def compute_loss(
        self, inputs: tuple[dict[str, tf.Tensor], tf.Tensor], training: bool = False
    ) -> tf.Tensor:
        """The loss with constant weights; validation also updates AUC and log loss.

        Args:
          inputs: Features as for :meth:`call`, and labels float32 `[batch, task]`,
            ``mtfx.datasets.labels.UNKNOWN`` where unknown.
          training: Whether this is a training step, which computes no metrics but the losses.

        Returns:
          float32 scalar.
        """
        batch = self.losses(inputs, training=training)
        total = tf.reduce_sum(tf.constant(self._task_weights) * batch.mean_losses())
        self._track(batch)
        return total

    def losses(
        self, inputs: tuple[dict[str, tf.Tensor], tf.Tensor], training: bool = False
    ) -> Batch:
        """The loss of every impression and task.

        Args:
          inputs: As for :meth:`compute_loss`.
          training: Likewise.

        Returns:
          The batch with its logits and losses.
        """
        features, labels = inputs
        logits = self(features, training=training)
        known, possible = known_mask(labels), with_zeros(labels)
        losses = [
            ranking(
                _target(task, possible[:, index : index + 1]),
                logits[:, index : index + 1],
                sample_weight=known[:, index : index + 1],
                compute_metrics=not training,
            )
            for index, (task, ranking) in enumerate(
                zip(self.tasks, self._ranking_tasks, strict=True)
            )
        ]
        counts = tf.reduce_sum(known, axis=0)
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        if training and replicas > 1 and any(task.may_be_unknown for task in self.tasks):
            # A replica with few known labels must not weigh as much as one with many.
            replica = tf.distribute.get_replica_context()
            counts = replica.all_reduce("sum", counts) / float(replicas)
        return Batch(features, labels, logits, tf.stack(losses, axis=1), counts)

    # Keras traces it with AutoGraph, which would rewrite all that it calls: most of a minute.
    @tf.autograph.experimental.do_not_convert
    def train_step(self, inputs: tuple[dict[str, tf.Tensor], tf.Tensor]) -> dict[str, tf.Tensor]:
        """One step of the optimizer.

        Differs from tfrs.Model's in the weighting of losses, in that it is right under
        tf.distribute, and in what it reports: the epoch's mean losses, and no metric that only
        validation updates (whose result would be computed in every step).
        """
        # The optimizer sums the gradients of the replicas, whose losses are means.
        share = 1.0 / tf.distribute.get_strategy().num_replicas_in_sync
        with tf.GradientTape(persistent=self.weighting.uses_task_gradients) as tape:
            batch = self.losses(inputs, training=True)
            total = self.weighting.total_loss(batch)
            scaled = share * total
            means = share * batch.mean_losses()
            task_losses = (
                tf.unstack(means, num=len(self.tasks)) if self.weighting.uses_task_gradients else []
            )
        variables = self.trainable_variables
        gradients = self.weighting.gradients(
            Step(
                tape=tape,
                total=scaled,
                task_losses=task_losses,
                variables=variables,
                shared=self.shared_variables,
                last_shared=self.state_representation.mlp[-1].kernel,
                present=tf.cast(batch.known_counts > 0, tf.float32),
            )
        )
        self.optimizer.apply_gradients(zip(gradients, variables, strict=True))
        self._track(batch, total)
        weights = {metric.name: metric.result() for metric in self.weighting.metrics}
        return self._mean_losses() | weights

    @tf.autograph.experimental.do_not_convert
    def test_step(self, inputs: tuple[dict[str, tf.Tensor], tf.Tensor]) -> dict[str, tf.Tensor]:
        """One batch of validation: mean losses and each task's metrics so far."""
        self.compute_loss(inputs, training=False)
        metrics = self._mean_losses()
        for ranking in self._ranking_tasks:
            metrics |= {metric.name: metric.result() for metric in ranking.metrics}
        return metrics

    def _track(self, batch: Batch, total: tf.Tensor | None = None) -> None:
        """Adds a batch to the means that training and validation report.

        Args:
          batch: The batch.
          total: Its loss as training weighs it; None takes the tasks' means with constant weights.
        """
        known, sums = tf.reduce_sum(batch.known, axis=0), tf.reduce_sum(batch.losses, axis=0)
        for index, tracker in enumerate(self._task_loss_trackers):
            mean = tf.math.divide_no_nan(sums[index], known[index])
            tracker.update_state(mean, sample_weight=known[index])
        if total is None:
            self._loss_tracker.update_state(tf.constant(self._task_weights) * sums, known)
        else:
            rows = tf.cast(tf.shape(batch.losses)[0], tf.float32) * tf.one_hot(0, len(self.tasks))
            self._loss_tracker.update_state(total * rows, rows)

    def _mean_losses(self) -> dict[str, tf.Tensor]:
        trackers = [self._loss_tracker, *self._task_loss_trackers]
        return {tracker.name: tracker.result() for tracker in trackers}


def _ranking_task(task: Task) -> tfrs.tasks.Ranking:
    """The loss of a task, with an AUC for validation where it is binary (its log loss is its loss).

    Labels and predictions are `[batch, 1]`, over whose last axis Keras's losses take the mean, so
    that without a reduction a loss per impression is left.
    """
    reduction = keras.losses.Reduction.NONE
    if task.kind == "binary":
        loss = keras.losses.BinaryCrossentropy(from_logits=True, reduction=reduction)
        metrics = [LogitAuc(name=f"{task.name}_auc")]
    else:
        loss = TweedieDeviance(reduction=reduction)
        metrics = []
    return tfrs.tasks.Ranking(loss=loss, metrics=metrics, name=f"{task.name}_task")


class TweedieDeviance(keras.losses.Loss):
    """Deviance of a Tweedie distribution of power 1.5 (compound Poisson-gamma), log link.

    With mean μ = exp(logit) and label y ≥ 0 it is 4 (√y - √μ)² / √μ, zero for a perfect prediction.
    In expectation it is least at μ = E[y], so predictions are right on average, as fusing them asks
    for; a squared error on log1p(y) learns the mean of the logarithm, which for watch times is
    less than half of the mean. Zeros are allowed, and the weight of the tail grows less than with
    a squared error. Jørgensen, "The Theory of Dispersion Models", 1997, chapter 4.
    """

    def call(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        """Labels and logits, float32 `[..., batch]`, to the mean deviance, `[...]`."""
        half = tf.clip_by_value(y_pred, MIN_LOG, MAX_LOG) / 2
        deviance = 4 * (y_true * tf.exp(-half) + tf.exp(half) - 2 * tf.sqrt(y_true))
        return tf.reduce_mean(deviance, axis=-1)


def _target(task: Task, labels: tf.Tensor) -> tf.Tensor:
    """What the logits are compared with: the label, in the task's unit if it is a regression."""
    return labels if task.kind == "binary" else labels / task.unit


def _prediction(task: Task, logits: tf.Tensor) -> tf.Tensor:
    """A probability, or a value in the label's unit."""
    if task.kind == "binary":
        return tf.sigmoid(logits)
    return task.unit * tf.exp(tf.clip_by_value(logits, MIN_LOG, MAX_LOG))
