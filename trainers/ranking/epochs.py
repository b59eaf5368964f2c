"""Callbacks between epochs: scores, early stopping, checkpoints, divergence."""

from __future__ import annotations

import dataclasses
import logging
import math
from collections.abc import Callable, Mapping
from typing import Any

from mtfx.errors import TrainingDivergedError
from mtfx.models.keras import keras
from mtfx.trainers.ranking.checkpoints import Metrics, TrainingCheckpoints, TrainingState
from mtfx.trainers.ranking.config import TrainingConfig

ProgressHook = Callable[[int, Metrics], None]

MEAN_AUC = "val_mean_auc"
_AUC_PREFIX, _AUC_SUFFIX = "val_", "_auc"


class EpochKeeper(keras.callbacks.Callback):
    """Keeps a training's state from epoch to epoch.

    Keras's EarlyStopping and BackupAndRestore forget, when a killed run resumes, the best epoch and
    how long ago it was; a resumed run must stop where an uninterrupted one would.

    Attributes:
      state: The state after the last complete epoch.
      undefined_auc: Binary tasks whose validation AUC is undefined.
    """

    def __init__(
        self,
        checkpoints: TrainingCheckpoints,
        state: TrainingState,
        config: TrainingConfig,
        on_epoch_end: ProgressHook | None,
    ) -> None:
        """Takes up a training where ``state`` left it."""
        super().__init__()
        self.state = state
        self.undefined_auc = _undefined(state.history[-1]) if state.history else ()
        self._checkpoints = checkpoints
        self._config = config
        self._hook = on_epoch_end
        self._epoch = len(state.history) + 1

    @property
    def out_of_patience(self) -> bool:
        """Whether the best epoch is too long ago."""
        epochs = len(self.state.history)
        return epochs > 0 and epochs - self.state.best_epoch >= self._config.patience

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Notes the epoch for error messages."""
        self._epoch = epoch + 1

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Stops a training whose loss is not finite (the mean keeps a NaN of any earlier step)."""
        if logs is not None and not math.isfinite(logs["loss"]):
            raise TrainingDivergedError(
                f"the loss is {logs['loss']} in epoch {self._epoch} at step {batch + 1}; lower the "
                f"learning rate (now {self._config.learning_rate:g}) or look for extreme values in "
                "the numeric features and labels"
            )

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Scores and saves the epoch; the weighting of losses moves on before it is saved."""
        logs = {} if logs is None else logs
        metrics: Metrics = {
            name: float(value) if math.isfinite(value) else None for name, value in logs.items()
        }
        by_task = {name: value for name, value in metrics.items() if _is_validation_auc(name)}
        defined = [value for value in by_task.values() if value is not None]
        if by_task:
            metrics[MEAN_AUC] = sum(defined) / len(defined) if defined else None
        self._report_undefined(metrics)
        score = sum(defined) / len(defined) if defined else _negative(metrics["val_loss"])
        state = dataclasses.replace(self.state, history=(*self.state.history, metrics))
        is_best = score > state.best_score or not state.best_epoch
        if is_best:
            state = dataclasses.replace(state, best_epoch=epoch + 1, best_score=score)
        self.model.weighting.end_epoch([logs[f"{task.name}_loss"] for task in self.model.tasks])
        self.state = self._checkpoints.save(state, is_best=is_best)
        # TensorBoard, next in the list of callbacks, draws what is in the logs; it takes no NaN.
        logs.clear()
        logs.update({name: value for name, value in metrics.items() if value is not None})
        self.model.stop_training = self.out_of_patience
        if self._hook is not None:
            self._hook(epoch + 1, metrics)

    def _report_undefined(self, metrics: Metrics) -> None:
        undefined = _undefined(metrics)
        if undefined and undefined != self.undefined_auc:
            logging.getLogger(__name__).warning(
                "validation AUC is undefined for %s: the validation split holds only one class; %s",
                ", ".join(undefined),
                "the best epoch is chosen by the other tasks"
                if metrics[MEAN_AUC] is not None
                else "the best epoch is chosen by the validation loss",
            )
        self.undefined_auc = undefined


def validation_score(metrics: Mapping[str, float]) -> float:
    """What early stopping goes by, of a model's ``evaluate`` on the validation split.

    Args:
      metrics: By name, as Keras returns them.

    Returns:
      The mean AUC over the binary tasks where it is defined; the negative loss if there is none.
    """
    areas = [value for name, value in metrics.items() if name.endswith(_AUC_SUFFIX)]
    defined = [value for value in areas if math.isfinite(value)]
    return sum(defined) / len(defined) if defined else _negative(metrics["loss"])


def _is_validation_auc(name: str) -> bool:
    return name.startswith(_AUC_PREFIX) and name.endswith(_AUC_SUFFIX) and name != MEAN_AUC


def _negative(loss: float | None) -> float:
    return -math.inf if loss is None else -loss


def _undefined(metrics: Metrics) -> tuple[str, ...]:
    return tuple(
        name[len(_AUC_PREFIX) : -len(_AUC_SUFFIX)]
        for name, value in metrics.items()
        if _is_validation_auc(name) and value is None
    )
