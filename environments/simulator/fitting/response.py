"""Fit of the response model: network, calibration, and the check of both on held-out rows.

Random exposures are unbiased but few, so the network learns from the standard log first and goes
on with random exposures from there; levels and slopes, watch times and the moment to stop come from
random exposures that it has not learned from. Chosen by those held out from all of this, as means
of two partitions of the 9,304 random exposures of 100,000 synthetic impressions (63,081 in the
training split), 70% to learn from, Platt's calibration in every case:

=====================================  ==========  =========  =============  =========
learned from                           click: log  click:     long view:     long view:
                                       loss        AUC        log loss       AUC
=====================================  ==========  =========  =============  =========
random exposures alone                 0.568       0.641      0.460          0.651
standard log alone                     0.546       0.691      0.437          0.710
both at once                           0.544       0.697      0.435          0.716
both at once, telling which is which   0.542       0.701      0.435          0.716
standard log, then random exposures    0.542       0.698      0.433          0.718
=====================================  ==========  =========  =============  =========

The last three are as good as one another; the last one needs no input of its own. On items that the
log's policy chose (validation split) all of them predict 0.78 to 0.80 of the logged clicks, random
exposures alone 0.78: the policy knew more of users and items than the features tell, and a model
calibrated on random exposures cannot make that up.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from mtfx.datasets.labels import is_known
from mtfx.environments.simulator.fitting.calibration import (
    FeedbackCalibration,
    check_calibration,
    fit_platt,
)
from mtfx.environments.simulator.fitting.config import ResponseTrainingConfig
from mtfx.environments.simulator.fitting.watch_tables import (
    WatchTables,
    fit_watch_tables,
    no_watch_tables,
)
from mtfx.environments.simulator.watch_time import expected_watch_s
from mtfx.errors import DataError
from mtfx.models.input_features import InputFeature
from mtfx.models.optimizers import LazyAdam
from mtfx.models.response import ResponseNetwork

_PREDICT_BATCH = 16_384
#: As in ``mtfx.datasets.synthetic`` and ``FittedSettings.max_loops``.
_MAX_LOOPS = 3.0


class ResponseRows(NamedTuple):
    """Impressions for the response model.

    Attributes:
      features: Transformed, by name, `[n]`.
      feedback: 0, 1 or ``mtfx.datasets.labels.UNKNOWN``, float32 `[n, feedback]`.
      watch_s: Seconds or ``UNKNOWN``, float32 `[n]`; None if the log has no watch times.
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

    def known(self, k: int) -> np.ndarray:
        """Rows whose feedback ``k`` is known, int `[rows]`."""
        return np.flatnonzero(is_known(self.feedback[:, k]))

    def watched(self) -> np.ndarray:
        """Rows whose watch time and primary feedback are known, int `[rows]`."""
        if self.watch_s is None:
            return np.zeros(0, np.int64)
        return np.flatnonzero(is_known(self.watch_s) & is_known(self.feedback[:, 0]))


@dataclasses.dataclass(frozen=True)
class FittedNetwork:
    """A fitted and calibrated response model.

    Attributes:
      network: The network.
      inputs: Its features.
      slope: Of each feedback's logit, `[feedback]`.
      level: Added to it, `[feedback]`.
      watch: Quantiles of the watch time.
      calibration: By feedback, on held-out rows.
      watch_s: Mean seconds watched of held-out rows: logged (cut at three times the length), and
        expected; None without watch times.
      losses: Negative log likelihood of the calibration rows after each epoch.
      pretraining_epochs: How many of them, at the beginning, were on the standard log.
    """

    network: ResponseNetwork
    inputs: tuple[InputFeature, ...]
    slope: np.ndarray
    level: np.ndarray
    watch: WatchTables
    calibration: tuple[FeedbackCalibration, ...]
    watch_s: tuple[float, float] | None
    losses: tuple[float, ...]
    pretraining_epochs: int = 0

    def predict(self, features: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Predicts.

        Args:
          features: Transformed, by name, `[n]`.

        Returns:
          Calibrated logits float32 `[n, feedback]`; and, with and without the primary feedback, the
          fractional bins of ``watch.quantiles``, float32 `[n, 2]`.
        """
        logits, means = _predict(self.network, self.inputs, features)
        return logits * self.slope + self.level, self.watch.positions(means)


def fit_response(
    inputs: tuple[InputFeature, ...],
    feedback_names: tuple[str, ...],
    fit: ResponseRows,
    calibrate: ResponseRows,
    check: ResponseRows,
    config: ResponseTrainingConfig,
    on_epoch_end: Callable[[int, float], None] | None = None,
    pretrain: ResponseRows | None = None,
) -> FittedNetwork:
    """Fits and calibrates.

    Args:
      inputs: The network's features.
      feedback_names: F names, the primary feedback first.
      fit: The rows that are learned from.
      calibrate: Those that stop the training and calibrate it.
      check: Those on which the calibration is reported.
      config: How.
      on_epoch_end: Called with the epoch, from 1 and on from training on ``pretrain``, and the loss
        on ``calibrate``.
      pretrain: Rows that are learned from before ``fit``; they may be shown with an intention.

    Raises:
      ValueError: if one of them has no rows.
      DataError: if one of them lacks a feature, or has no known label of a feedback.
    """
    stages = {"pretrain": pretrain, "fit": fit, "calibrate": calibrate, "check": check}
    for name, rows in stages.items():
        if rows is not None:
            _check_rows(name, rows, inputs)
            _check_known(name, rows, feedback_names)
    network = ResponseNetwork(inputs, feedback_names, config.network, config.seed)
    first: tuple[float, ...] = ()
    if pretrain is not None:
        first = _train(network, inputs, pretrain, calibrate, config, on_epoch_end)
    losses = first + _train(network, inputs, fit, calibrate, config, on_epoch_end, len(first))
    logits, means = _predict(network, inputs, calibrate.features)
    platt = [
        fit_platt(logits[rows, k], calibrate.feedback[rows, k])
        for k, rows in enumerate(map(calibrate.known, range(len(feedback_names))))
    ]
    result = FittedNetwork(
        network=network,
        inputs=inputs,
        slope=np.array([slope for slope, _, _ in platt], np.float32),
        level=np.array([level for _, level, _ in platt], np.float32),
        watch=_watch_tables(means, calibrate),
        calibration=(),
        watch_s=None,
        losses=losses,
        pretraining_epochs=len(first),
    )
    logits, bins = result.predict(check.features)
    chance = 1 / (1 + np.exp(-logits.astype(np.float64)))
    found = tuple(
        check_calibration(
            name, chance[check.known(k), k], check.feedback[check.known(k), k], platt[k][2]
        )
        for k, name in enumerate(feedback_names)
    )
    return dataclasses.replace(
        result, calibration=found, watch_s=_watch_check(chance[:, 0], bins, result.watch, check)
    )


def _train(
    network: ResponseNetwork,
    inputs: tuple[InputFeature, ...],
    fit: ResponseRows,
    calibrate: ResponseRows,
    config: ResponseTrainingConfig,
    on_epoch_end: Callable[[int, float], None] | None,
    epochs_before: int = 0,
) -> tuple[float, ...]:
    """Losses after each epoch; leaves the weights of the least, those of before included."""
    weight = 0.0 if fit.watch_s is None else 1.0
    tensors, held_out = _tensors(inputs, fit), _tensors(inputs, calibrate)
    optimizer = LazyAdam(config.learning_rate)

    @tf.function(autograph=False)
    def step(rows: tf.Tensor) -> None:
        features, feedback, watch = tf.nest.map_structure(lambda t: tf.gather(t, rows), tensors)
        with tf.GradientTape() as tape:
            loss = network.loss_of(features, feedback, watch, weight, training=True)
        variables = network.trainable_variables
        gradients = tape.gradient(loss, variables, unconnected_gradients="zero")
        optimizer.apply_gradients(zip(gradients, variables, strict=True))

    evaluate = tf.function(lambda: network.loss_of(*held_out, weight), autograph=False)
    rng = np.random.default_rng(config.seed)
    losses = [float(evaluate())]
    best = network.get_weights()
    size = min(config.batch_size, len(fit.feedback))
    for epoch in range(1, config.epochs + 1):
        order = rng.permutation(len(fit.feedback))
        for first in range(0, len(order) - size + 1, size):
            step(tf.constant(order[first : first + size]))
        losses.append(float(evaluate()))
        if on_epoch_end is not None:
            on_epoch_end(epochs_before + epoch, losses[-1])
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
    return tuple(losses[1:])


def _check_rows(name: str, rows: ResponseRows, inputs: tuple[InputFeature, ...]) -> None:
    if not len(rows.feedback):
        raise ValueError(f"the response model has no rows to {name}")
    if lacking := [feature.name for feature in inputs if feature.name not in rows.features]:
        raise DataError(
            f"the rows to {name} of the response model lack the feature "
            f"{', '.join(map(repr, lacking))}; they have: {', '.join(sorted(rows.features))}. "
            "Give all rows the features that the data set declares"
        )


def _check_known(name: str, rows: ResponseRows, feedback_names: tuple[str, ...]) -> None:
    lacking = [each for k, each in enumerate(feedback_names) if not len(rows.known(k))]
    if rows.watch_s is not None and not len(rows.watched()):
        lacking.append("the watch time")
    if lacking:
        raise DataError(
            f"the rows to {name} of the response model have no known label of "
            f"{', '.join(lacking)}: bring more data, or take the task out of the data set"
        )


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


def _watch_tables(means: np.ndarray, rows: ResponseRows) -> WatchTables:
    if rows.watch_s is None:
        return no_watch_tables()
    known = rows.watched()
    rows = rows.take(known)
    assert rows.watch_s is not None
    longest = _MAX_LOOPS * rows.duration_s
    return fit_watch_tables(means[known], rows.feedback[:, 0] > 0, rows.watch_s, longest)


def _watch_check(
    primary: np.ndarray, bins: np.ndarray, tables: WatchTables, rows: ResponseRows
) -> tuple[float, float] | None:
    if rows.watch_s is None:
        return None
    known = rows.watched()
    rows, primary, bins = rows.take(known), primary[known], bins[known]
    assert rows.watch_s is not None
    longest = (_MAX_LOOPS * rows.duration_s).astype(np.float32)
    quantiles = tf.constant(tables.quantiles)
    expected = [
        expected_watch_s(quantiles, tf.fill([len(bins)], branch), bins[:, branch], longest).numpy()
        for branch in range(2)
    ]
    mixed = primary * expected[0] + (1 - primary) * expected[1]
    logged = np.minimum(rows.watch_s, np.where(longest > 0, longest, np.inf))
    return float(logged.mean()), float(mixed.mean())
