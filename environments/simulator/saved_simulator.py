"""A simulator as a SavedModel, for programs that have TensorFlow and nothing of this project."""

from __future__ import annotations

import os

import tensorflow as tf

from mtfx.environments.simulator.dynamics import Simulator
from mtfx.environments.simulator.session import SessionState

DIRECTORY = "saved_model"
RESET, REQUEST, STEP = "reset", "request", "step"


class SavedSimulator(tf.Module):
    """A simulator's three signatures.

    - ``reset``: ``users`` int32 `[batch]`, ``seed`` int32 `[2]` -> a session, the fields of
      :class:`~mtfx.environments.simulator.session.SessionState` by name;
    - ``request``: a session -> ``state`` `[batch, S]`, ``slots``, ``predictions`` and ``mask`` of
      its candidates;
    - ``step``: a session and ``chosen``, column of the shown candidate, int32 `[batch]` -> the
      session at its next request, and ``feedback``, ``watch_s``, ``duration_s``, ``reward``,
      ``done`` of this one.
    """

    def __init__(self, simulator: Simulator) -> None:
        """Keeps the simulator."""
        super().__init__(name="saved_simulator")
        self._simulator = simulator
        example = simulator.reset(tf.zeros([1], tf.int32), tf.zeros([2], tf.int32))
        session = {
            name: tf.TensorSpec([None, *part.shape[1:]], part.dtype, name)
            for name, part in example._asdict().items()
        }
        users = tf.TensorSpec([None], tf.int32, "users")
        chosen = tf.TensorSpec([None], tf.int32, "chosen")
        self.functions = {
            RESET: tf.function(self._reset, autograph=False).get_concrete_function(
                users=users, seed=tf.TensorSpec([2], tf.int32, "seed")
            ),
            REQUEST: tf.function(self._request, autograph=False).get_concrete_function(**session),
            STEP: tf.function(self._step, autograph=False).get_concrete_function(
                chosen=chosen, **session
            ),
        }

    def _reset(self, users: tf.Tensor, seed: tf.Tensor) -> dict[str, tf.Tensor]:
        return self._simulator.reset(users, seed)._asdict()

    def _request(self, **session: tf.Tensor) -> dict[str, tf.Tensor]:
        state = SessionState(**session)
        candidates = self._simulator.candidates(state)
        observed = self._simulator.observe(state, candidates)
        return {"state": observed, **candidates._asdict()}

    def _step(self, chosen: tf.Tensor, **session: tf.Tensor) -> dict[str, tf.Tensor]:
        following, outcome = self._simulator.step(SessionState(**session), chosen)
        return {**following._asdict(), **outcome._asdict()}


def export_simulator(simulator: Simulator, directory: str | os.PathLike[str]) -> None:
    """Writes the SavedModel; its rules are the simulator's, and its tables are inside.

    Args:
      simulator: What to save. Tables beyond 2 GB do not fit into a SavedModel's graph.
      directory: Where to.

    Raises:
      ValueError: if TensorFlow cannot hold the tables.
    """
    module = SavedSimulator(simulator)
    tf.saved_model.save(module, os.fspath(directory), signatures=module.functions)
