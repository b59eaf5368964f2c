"""Checkpoints of a training, and the state that says which of them count."""

from __future__ import annotations

import dataclasses
import json
import logging
import os
from typing import Any

import tensorflow as tf

from mtfx.datasets.file_names import pattern_free
from mtfx.files import read_json, write_atomically
from mtfx.models.ranking_model import RankingModel
from mtfx.trainers.ranking.multi_worker import Worker

_STATE_FILE = "state.json"
Metrics = dict[str, "float | None"]


@dataclasses.dataclass(frozen=True)
class TrainingState:
    """How far a training has come.

    Attributes:
      history: Metrics of every complete epoch.
      best_epoch: The best of them, from 1; 0 before the first.
      best_score: Its validation score.
      latest_checkpoint: Path of model and optimizer after the last epoch.
      best_checkpoint: Path of the model after the best epoch.
    """

    history: tuple[Metrics, ...] = ()
    best_epoch: int = 0
    best_score: float = float("-inf")
    latest_checkpoint: str = ""
    best_checkpoint: str = ""


class TrainingCheckpoints:
    """Saves and restores a training.

    The state file is replaced after the checkpoints that it names are complete, and these outlive
    it by one generation, so a kill at any moment leaves a state whose checkpoints exist.
    """

    def __init__(
        self, model: RankingModel, directory: str, fingerprint: str, worker: Worker
    ) -> None:
        """Sets up the directory.

        Args:
          model: A built and compiled model.
          directory: Where checkpoints go; made if missing.
          fingerprint: Of the configuration; a state with another one is not resumed.
          worker: Who this is: all workers resume from the chief's checkpoints, and each goes back
            to its own, which are the same.
        """
        directory = pattern_free(directory)
        own = worker.own(directory)
        tf.io.gfile.makedirs(own)
        self._directory = directory
        self._worker = worker
        self._fingerprint = fingerprint
        self._model = tf.train.Checkpoint(model=model)
        self._training = tf.train.Checkpoint(model=model, optimizer=model.optimizer)
        self._latest = tf.train.CheckpointManager(
            self._training, os.path.join(own, "latest"), max_to_keep=2
        )
        self._best = tf.train.CheckpointManager(
            self._model, os.path.join(own, "best"), max_to_keep=2
        )

    def save(self, state: TrainingState, *, is_best: bool) -> TrainingState:
        """Saves the model as it is after the state's last epoch.

        Args:
          state: The state to save.
          is_best: Whether the last epoch is the best one.

        Returns:
          The state, with the paths of its checkpoints.
        """
        epoch = len(state.history)
        state = dataclasses.replace(
            state, latest_checkpoint=self._latest.save(checkpoint_number=epoch)
        )
        if is_best:
            path = self._best.save(checkpoint_number=epoch)
            state = dataclasses.replace(state, best_checkpoint=path)
        if not self._worker.is_chief:
            return state
        # Checkpoints are named relative to the directory, which may be moved in between.
        content = dataclasses.asdict(state)
        for name in ("latest_checkpoint", "best_checkpoint"):
            content[name] = os.path.basename(content[name])
        path = os.path.join(self._directory, _STATE_FILE)
        # A history may hold NaN, which Python reads back.
        write_atomically(path, json.dumps({"fingerprint": self._fingerprint, "state": content}))
        return state

    def restore_latest(self) -> TrainingState:
        """Puts model and optimizer where an interrupted run left them.

        Returns:
          Its state; an empty one if there is none or it belongs to another configuration.
        """
        path = os.path.join(self._directory, _STATE_FILE)
        if not tf.io.gfile.exists(path):
            return TrainingState()
        content: dict[str, Any] = read_json(path)
        if content["fingerprint"] != self._fingerprint:
            logging.getLogger(__name__).warning(
                "%s holds checkpoints of another configuration; training starts anew",
                self._directory,
            )
            return TrainingState()
        state = TrainingState(**content["state"])
        state = dataclasses.replace(
            state,
            history=tuple(state.history),
            latest_checkpoint=os.path.join(self._directory, "latest", state.latest_checkpoint),
            best_checkpoint=os.path.join(self._directory, "best", state.best_checkpoint),
        )
        self._training.restore(state.latest_checkpoint).assert_existing_objects_matched()
        return state

    def restore_best(self, state: TrainingState) -> None:
        """Gives the model the weights of its best epoch."""
        self._model.restore(state.best_checkpoint).expect_partial()
