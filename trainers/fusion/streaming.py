"""Streaming: a fusion agent that trains on every session when it is over (xMTF, section 5.3)."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf

from mtfx.agents.building import build_agent
from mtfx.agents.config import XmtfConfig
from mtfx.agents.offline_training import training_loop
from mtfx.agents.registry import AGENTS
from mtfx.agents.transition_tensors import CandidateTensors, candidate_tensors, transition_tensors
from mtfx.datasets.file_names import pattern_free
from mtfx.datasets.transitions.spec import TransitionManifest
from mtfx.datasets.transitions.table import TransitionTable
from mtfx.errors import DataError, TrainingDivergedError
from mtfx.models.export.policy import PolicyMetadata, export_policy
from mtfx.trainers.fusion.config import StreamingConfig
from mtfx.trainers.fusion.export import exported_fusion, policy_module
from mtfx.trainers.fusion.replay import TransitionReplay
from mtfx.trainers.fusion.stream_files import StreamFiles, session_rows
from mtfx.trainers.fusion.stream_state import StreamState, read_state

_CHECKPOINTS, _POLICIES = "checkpoints", "policies"


#: Told the directory of an exported policy and its version.
ExportHook = Callable[[str, int], None]


class StreamingTrainer:
    """Trains on files of finished sessions as they arrive.

    A run that was killed goes on from its last checkpoint when made again with the same directory:
    the buffer is filled from the files again, and the sessions after the checkpoint are trained on
    with the same minibatches. Files must appear whole (written elsewhere and renamed), and must not
    change or vanish while their sessions are the buffer's.

    Attributes:
      agent: The agent.
      state: How far the stream has come.
    """

    def __init__(
        self,
        interactions: str,
        directory: str,
        config: StreamingConfig,
        on_export: ExportHook | None = None,
    ) -> None:
        """Builds the agent, or restores it.

        Args:
          interactions: Directory of transition files, as ``InteractionGen`` writes them.
          directory: For checkpoints, policies and the quarantine.
          config: Settings; those of the run that is resumed.
          on_export: Called after every export.

        Raises:
          DataError: if the directory holds no transitions, or actions of another fusion function;
            if a resumed run had another configuration, or misses its files or its checkpoint.
        """
        self._config, self._directory = config, directory
        self._on_export = on_export
        manifest = TransitionManifest.of_files(interactions)
        manifest.check_fusion(config.fusion.action_meaning(), interactions)
        stopped = read_state(directory, config.values())
        self._spec = spec = manifest.spec
        with_candidates = AGENTS[config.method].needs_candidates
        limit = self._limit if with_candidates else None
        self._files = StreamFiles(interactions, directory, spec, limit)
        self.agent: Any = build_agent(
            config.method,
            spec.state_dim,
            spec.action_dim,
            config.agent,
            config.seed,
            self._width if with_candidates else 0,
        )
        self._replay = TransitionReplay(self.agent, config.agent.buffer_size)
        self._train = training_loop(
            self.agent,
            self._replay.data,
            config.agent.batch_size,
            config.seed,
            self._replay.candidates,
            self._replay.size,
        )
        self.state = StreamState()
        self._checkpoint = tf.train.Checkpoint(agent=self.agent)
        self._manager = tf.train.CheckpointManager(
            self._checkpoint, os.path.join(pattern_free(directory), _CHECKPOINTS), max_to_keep=2
        )
        if stopped is not None:
            self._restore(*stopped)

    @property
    def _width(self) -> int:
        agent = self._config.agent
        # Without inner stage nothing is learned from candidates.
        return 1 if isinstance(agent, XmtfConfig) and not agent.inner_stage else self._limit

    @property
    def _limit(self) -> int:
        own = getattr(self._config.agent, "inner_candidates", 0)
        return own or self._config.candidates

    def waiting(self) -> list[str]:
        """Names of the files that have arrived and are not trained on, in order."""
        return self._files.names({*self.state.done, *self.state.skipped})

    def feed(self, name: str) -> Iterator[int]:
        """Trains on the sessions of a file, one after the other.

        A file that cannot be read is noted in ``state.skipped`` and gives no session; the next run
        tries it again.

        Args:
          name: One of :meth:`waiting`.

        Yields:
          The number of training steps of each session.

        Raises:
          TrainingDivergedError: if a loss is not finite.
        """
        try:
            digest = self._files.digest(name)
            table = self._files.load(name)
        except DataError as error:
            self.state.skipped[name] = str(error)
            self._save()
            return
        self.state.digests[name] = digest
        begun = self.state.file_sessions if self.state.file == name else 0
        self.state.file, self.state.file_sessions = name, begun
        self.state.bad_records += table.num_quarantined if not begun else 0
        for first, last in session_rows(table, begun):
            self._add(table, first, last, self.state.transitions)
            yield self._learn(last - first)
            self.state.file_sessions += 1
            self.state.sessions += 1
            self.state.transitions += last - first
            if self.state.sessions % self._config.export_every == 0:
                self.export()
        self.state.done.append(name)
        self.state.file, self.state.file_sessions = "", 0

    def export(self) -> str:
        """Saves a checkpoint, and a policy whose version is the number of sessions.

        Returns:
          Directory of the policy. TF Serving, which loads the highest number, never sees half of
          one.
        """
        version = self.state.sessions
        target = os.path.join(self._directory, _POLICIES, str(version))
        if not tf.io.gfile.exists(target):
            partial = os.path.join(self._directory, f"partial-{version}")
            if tf.io.gfile.exists(partial):
                tf.io.gfile.rmtree(partial)
            export_policy(
                policy_module(self.agent, self._spec.state_dim), partial, self._metadata()
            )
            tf.io.gfile.makedirs(os.path.dirname(target))
            tf.io.gfile.rename(partial, target)
        self._save()
        if self._on_export is not None:
            self._on_export(target, version)
        return target

    def _metadata(self) -> PolicyMetadata:
        config, spec = self._config, self._spec
        return PolicyMetadata(
            method=config.method,
            state_dim=spec.state_dim,
            action_dim=spec.action_dim,
            prediction_names=spec.prediction_names,
            fusion=exported_fusion(self.agent, config.fusion).to_dict(),
            config={
                "streaming": config.values(),
                "sessions": self.state.sessions,
                "transitions": self.state.transitions,
                "steps": int(self.agent.train_step_counter),
            },
            code_version=config.code_version,
        )

    def _add(self, table: TransitionTable, first: int, last: int, number: int) -> None:
        """Takes rows into the buffer, the first as transition ``number`` of the stream."""
        rows = tf.range(first, last)
        part = dataclasses.replace(
            table,
            **{
                name: tf.gather(getattr(table, name), rows)
                for name in ("states", "actions", "rewards", "next_states", "discounts")
            },
            predictions=self._padded(table.predictions, rows),
            mask=self._padded(table.mask, rows),
        )
        candidates: CandidateTensors | None = candidate_tensors(self.agent, part)
        self._replay.add(transition_tensors(self.agent, part), number, candidates)

    def _padded(self, values: tf.Tensor | None, rows: tf.Tensor) -> tf.Tensor | None:
        """Rows of ``[N, C, ...]`` at the agent's width."""
        if values is None:
            return None
        taken = tf.gather(values, rows)[:, : self._width]
        lacking = [[0, 0] for _ in taken.shape]
        lacking[1][1] = self._width - taken.shape[1]
        return tf.pad(taken, lacking)

    def _learn(self, transitions: int) -> int:
        self.state.owed_steps += transitions * self._config.steps_per_transition
        steps = int(self.state.owed_steps)
        self.state.owed_steps -= steps
        if not steps:
            return 0
        try:
            finite = bool(tf.math.is_finite(self._train(tf.constant(steps)).loss))
        except tf.errors.InvalidArgumentError as error:
            # TF-Agents checks its losses in the graph.
            if "Inf" not in str(error) and "NaN" not in str(error):
                raise
            finite = False
        if not finite:
            raise TrainingDivergedError(
                f"the loss of session {self.state.sessions + 1} is not finite; begin anew in "
                "another directory with a lower learning rate of the critics, or scale rewards down"
            )
        return steps

    def _save(self) -> None:
        path = self._manager.save(checkpoint_number=self.state.sessions)
        self.state.write(self._directory, self._config.values(), os.path.basename(path))

    def _restore(self, state: StreamState, checkpoint: str) -> None:
        # Files that could not be read may have been mended since.
        self.state = dataclasses.replace(state, skipped={})
        path = os.path.join(self._directory, _CHECKPOINTS, checkpoint)
        if not tf.io.gfile.exists(path + ".index"):
            raise DataError(
                f"{path}, the checkpoint where this stream stopped, is not there: bring it back, "
                "or begin anew in another directory"
            )
        try:
            # What it lacks would go on with random values.
            self._checkpoint.restore(path).assert_existing_objects_matched()
        except tf.errors.OpError as error:
            raise DataError(
                f"{path}, the checkpoint where this stream stopped, cannot be read: "
                f"{error.message}. Begin anew in another directory"
            ) from error
        except AssertionError as error:
            raise DataError(
                f"{path}, the checkpoint where this stream stopped, is of another version of the "
                "agent: begin anew in another directory"
            ) from error
        self._refill()

    def _refill(self) -> None:
        """Fills the buffer with the transitions before the checkpoint, the latest files first."""
        names = [*self.state.done, *([self.state.file] if self.state.file else [])]
        end = self.state.transitions
        for name in reversed(names):
            if self.state.transitions - end >= self._replay.capacity:
                break
            self._files.check_unchanged(name, self.state.digests.get(name, ""))
            table = self._files.load(name)
            last = table.num_transitions
            if name == self.state.file:
                rows = list(session_rows(table, 0))[: self.state.file_sessions]
                last = rows[-1][1] if rows else 0
            first = max(0, last - self._replay.capacity + self.state.transitions - end)
            if first < last:
                self._add(table, first, last, end - (last - first))
            end -= last
        self._replay.size.assign(min(self.state.transitions, self._replay.capacity))
