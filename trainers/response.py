"""Fits the response model: network, calibration, and the check of both on held-out rows."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from environments.simulator.watch_time import expected_watch_s
from models.features import InputFeature
from models.response import ResponseNetwork, ResponseNetworkConfig
from trainers.optimizer import LazyAdam
from trainers.response_calibration import (
    FeedbackCalibration,
    check_calibration,
    fit_platt,
    fit_watch_shift,
)

_PREDICT_BATCH = 16_384
#: As in ``datasets.synthetic`` and ``FittedSettings.max_loops``.
_MAX_LOOPS = 3.0


@dataclasses.dataclass(frozen=True)
class ResponseTrainingConfig:
    """How the response model is fitted.

    Attributes:
      network: Sizes.
      epochs: At most this many passes.
      batch_size: Impressions per step.
      learning_rate: Adam's.
      patience: Stop after this many epochs without a better likelihood of the calibration rows.
      seed: Of weights, dropout and shuffling.
      min_random_rows: With fewer random exposures, the training split is used instead.
    """

    network: ResponseNetworkConfig = dataclasses.field(default_factory=ResponseNetworkConfig)
    epochs: int = 30
    batch_size: int = 256
    learning_rate: float = 1e-3
    patience: int = 2
    seed: int = 0
    min_random_rows: int = 5_000

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "patience"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")


class ResponseRows(NamedTuple):
    """Impressions for the response model.

    Attributes:
      features: Transformed, by name, `[n]`.
      feedback: 0 or 1, float32 `[n, feedback]`.
      watch_s: Seconds, float32 `[n]`; None if the log has no watch times.
      duration_s: Of the items, float32 `[n]`; 0 where unknown.
    """

    features: Mapping[str, np.ndarray]
    feedback: np.ndarray
    watch_s: np.ndarray | None
    duration_s: np.ndarray

    def take(self, rows: np.ndarray) -> ResponseRows:
        """Some of them."""
        return ResponseRows(
            {name: column[rows] for name, column in self.features.items()},
            self.feedback[rows],
            None if self.watch_s is None else self.watch_s[rows],
            self.duration_s[rows],
        )


@dataclasses.dataclass(frozen=True)
class FittedNetwork:
    """A fitted and calibrated response model.

    Attributes:
      network: The network.
      inputs: Its features.
      slope: Of each feedback's logit, `[feedback]`.
      level: Added to it, `[feedback]`.
      watch_shift: Added to the mean log watch times, `[2]`.
      watch_sd: `[2]`.
      calibration: By feedback, on held-out rows.
      watch_s: Mean seconds watched of held-out rows: logged (cut at three times the length), and
        expected; None without watch times.
      losses: Negative log likelihood of the calibration rows after each epoch.
    """

    network: ResponseNetwork
    inputs: tuple[InputFeature, ...]
    slope: np.ndarray
    level: np.ndarray
    watch_shift: np.ndarray
    watch_sd: np.ndarray
    calibration: tuple[FeedbackCalibration, ...]
    watch_s: tuple[float, float] | None
    losses: tuple[float, ...]

    def predict(self, features: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Calibrated logits float32 `[n, feedback]` and mean log watch times float32 `[n, 2]`."""
        logits, means = _predict(self.network, self.inputs, features)
        return logits * self.slope + self.level, means + self.watch_shift


def fit_response(
    inputs: tuple[InputFeature, ...],
    feedback_names: tuple[str, ...],
    fit: ResponseRows,
    calibrate: ResponseRows,
    check: ResponseRows,
    config: ResponseTrainingConfig,
    on_epoch_end: Callable[[int, float], None] | None = None,
) -> FittedNetwork:
    """Fits and calibrates.

    Args:
      inputs: The network's features.
      feedback_names: F names, the primary feedback first.
      fit: The rows that are learned from.
      calibrate: Those that stop the training and calibrate it.
      check: Those on which the calibration is reported.
      config: How.
      on_epoch_end: Told the epoch, from 1, and the loss on ``calibrate``.

    Raises:
      ValueError: if one of the three has no rows.
    """
    for name, rows in (("fit", fit), ("calibrate", calibrate), ("check", check)):
        if not len(rows.feedback):
            raise ValueError(f"the response model has no rows to {name}")
    network = ResponseNetwork(inputs, feedback_names, config.network, config.seed)
    losses = _train(network, inputs, fit, calibrate, config, on_epoch_end)
    logits, means = _predict(network, inputs, calibrate.features)
    platt = [fit_platt(logits[:, k], calibrate.feedback[:, k]) for k in range(len(feedback_names))]
    sd = network.watch_sd.numpy()
    result = FittedNetwork(
        network=network,
        inputs=inputs,
        slope=np.array([slope for slope, _, _ in platt], np.float32),
        level=np.array([level for _, level, _ in platt], np.float32),
        watch_shift=_watch_shifts(means, sd, calibrate),
        watch_sd=sd,
        calibration=(),
        watch_s=None,
        losses=losses,
    )
    logits, means = result.predict(check.features)
    chance = 1 / (1 + np.exp(-logits.astype(np.float64)))
    found = tuple(
        check_calibration(name, chance[:, k], check.feedback[:, k], platt[k][2])
        for k, name in enumerate(feedback_names)
    )
    return dataclasses.replace(
        result, calibration=found, watch_s=_watch_check(chance[:, 0], means, sd, check)
    )


def _train(
    network: ResponseNetwork,
    inputs: tuple[InputFeature, ...],
    fit: ResponseRows,
    calibrate: ResponseRows,
    config: ResponseTrainingConfig,
    on_epoch_end: Callable[[int, float], None] | None,
) -> tuple[float, ...]:
    weight = 0.0 if fit.watch_s is None else 1.0
    tensors, held_out = _tensors(inputs, fit), _tensors(inputs, calibrate)
    optimizer = LazyAdam(config.learning_rate)

    @tf.function
    def step(rows: tf.Tensor) -> None:
        features, feedback, watch = tf.nest.map_structure(lambda t: tf.gather(t, rows), tensors)
        with tf.GradientTape() as tape:
            loss = network.loss_of(features, feedback, watch, weight, training=True)
        variables = network.trainable_variables
        gradients = tape.gradient(loss, variables, unconnected_gradients="zero")
        optimizer.apply_gradients(zip(gradients, variables, strict=True))

    evaluate = tf.function(lambda: network.loss_of(*held_out, weight))
    rng = np.random.default_rng(config.seed)
    losses: list[float] = []
    best: list[np.ndarray] = []
    size = min(config.batch_size, len(fit.feedback))
    for epoch in range(config.epochs):
        order = rng.permutation(len(fit.feedback))
        for first in range(0, len(order) - size + 1, size):
            step(tf.constant(order[first : first + size]))
        losses.append(float(evaluate()))
        if on_epoch_end is not None:
            on_epoch_end(epoch + 1, losses[-1])
        if losses[-1] <= min(losses):
            best = network.get_weights()
        if epoch - int(np.argmin(losses)) >= config.patience:
            break
    if not np.isfinite(losses).all():
        raise ValueError(
            f"the response model's loss became {losses[-1]}: look for extreme values in the "
            "numeric features and watch times"
        )
    network.set_weights(best)
    return tuple(losses)


def _tensors(
    inputs: tuple[InputFeature, ...], rows: ResponseRows
) -> tuple[dict[str, tf.Tensor], tf.Tensor, tf.Tensor]:
    watch = np.zeros(len(rows.feedback)) if rows.watch_s is None else rows.watch_s
    return (
        {feature.name: tf.constant(rows.features[feature.name]) for feature in inputs},
        tf.constant(rows.feedback, tf.float32),
        tf.constant(watch, tf.float32),
    )


def _predict(
    network: ResponseNetwork, inputs: tuple[InputFeature, ...], features: Mapping[str, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    columns = {feature.name: features[feature.name] for feature in inputs}
    size = len(next(iter(columns.values())))
    parts = [
        network({name: tf.constant(c[i : i + _PREDICT_BATCH]) for name, c in columns.items()})
        for i in range(0, size, _PREDICT_BATCH)
    ]
    logits, means = zip(*parts, strict=True)
    return tf.concat(logits, 0).numpy(), tf.concat(means, 0).numpy()


def _watch_shifts(means: np.ndarray, sd: np.ndarray, rows: ResponseRows) -> np.ndarray:
    if rows.watch_s is None:
        return np.zeros(2, np.float32)
    shifts = []
    for branch, of_branch in enumerate((rows.feedback[:, 0] > 0, rows.feedback[:, 0] == 0)):
        longest = _MAX_LOOPS * rows.duration_s[of_branch]
        shifts.append(
            fit_watch_shift(
                means[of_branch, branch], float(sd[branch]), longest, rows.watch_s[of_branch]
            )
        )
    return np.array(shifts, np.float32)


def _watch_check(
    primary: np.ndarray, means: np.ndarray, sd: np.ndarray, rows: ResponseRows
) -> tuple[float, float] | None:
    if rows.watch_s is None:
        return None
    longest = (_MAX_LOOPS * rows.duration_s).astype(np.float32)
    expected = expected_watch_s(tf.constant(means), tf.constant(sd), longest[:, None]).numpy()
    mixed = primary * expected[:, 0] + (1 - primary) * expected[:, 1]
    logged = np.minimum(rows.watch_s, np.where(longest > 0, longest, np.inf))
    return float(logged.mean()), float(mixed.mean())
