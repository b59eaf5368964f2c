"""Streaming training: a directory of finished sessions in, versioned policies and rankers out."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tensorflow as tf

from mtfx.datasets.fused_predictions import FusedPrediction
from mtfx.datasets.request_state import RequestStateConfig
from mtfx.datasets.transitions.spec import TransitionManifest
from mtfx.errors import TrainingDivergedError, UserError, require, why_unreadable
from mtfx.files import UNREADABLE, read_json
from mtfx.models.export.policy import METADATA_FILE, SavedPolicy
from mtfx.models.export.transformed import build_ranker
from mtfx.models.fusion.config import fusion_config
from mtfx.pipelines.code_version import code_version
from mtfx.pipelines.fusion_settings import agent_config
from mtfx.serving.request_fields import RequestField
from mtfx.trainers.fusion.config import StreamingConfig
from mtfx.trainers.fusion.streaming import StreamingTrainer

_RANKERS = "rankers"


@dataclasses.dataclass(frozen=True)
class StreamOptions:
    """A run of ``mtfx stream``.

    Attributes:
      interactions: Directory of transition files, with ``transitions.json`` in it or above it.
      output_dir: For checkpoints, policies and rankers.
      method: An agent.
      settings: Its hyper-parameters, by name.
      candidates: See :class:`mtfx.trainers.fusion.config.StreamingConfig`, as the next three.
      steps_per_transition: Likewise.
      export_every: Likewise.
      seed: Likewise.
      run_dir: Run whose latest ranking model is joined with every exported policy; None exports
        policies alone.
      idle_minutes: The stream ends when no file has come for so long; 0 ends it with the files that
        are there.
      poll_seconds: Time between two looks at the directory.
    """

    interactions: str
    output_dir: str
    method: str = "xmtf"
    settings: tuple[tuple[str, Any], ...] = ()
    candidates: int = 100
    steps_per_transition: float = 1.0
    export_every: int = 1000
    seed: int = 0
    run_dir: str | None = None
    idle_minutes: float = 0.0
    poll_seconds: float = 5.0

    def __post_init__(self) -> None:
        require(
            os.path.isdir(self.interactions),
            f"--interactions: there is no directory {self.interactions}",
            "give the directory of a split that InteractionGen wrote, where files go on arriving",
        )
        require(self.idle_minutes >= 0, f"--idle-minutes is negative: {self.idle_minutes}")
        require(self.poll_seconds > 0, f"--poll-seconds must be positive: {self.poll_seconds}")


@dataclasses.dataclass(frozen=True)
class StreamProgress:
    """What an observer is told after every session.

    Attributes:
      sessions: Sessions trained on, those of earlier runs included.
      transitions: Transitions trained on.
      steps: Training steps.
      exports: Policies exported by this run.
      files: Files trained on whole.
      skipped: Files that could not be read, and why.
      bad_records: Records left out.
    """

    sessions: int
    transitions: int
    steps: int
    exports: int
    files: int
    skipped: dict[str, str]
    bad_records: int


def run_stream(
    options: StreamOptions, observer: Callable[[StreamProgress], None]
) -> StreamProgress:
    """Trains until no more files come; the last sessions are exported too.

    Args:
      options: What to run.
      observer: Notified after every session.

    Returns:
      How far the stream came.

    Raises:
      DataError: if the directory does not hold what the method learns from.
      UserError: if a setting is wrong, the run has no ranker to take the states from, or a
        loss is not finite.
    """
    join = _Joiner(options) if options.run_dir is not None else None
    exports: list[str] = []

    def exported(directory: str, version: int) -> None:
        exports.append(directory)
        if join is not None:
            join(directory, version)

    trainer = StreamingTrainer(
        options.interactions, options.output_dir, _config(options), on_export=exported
    )
    begun = trainer.state.sessions

    def progress() -> StreamProgress:
        state = trainer.state
        return StreamProgress(
            state.sessions,
            state.transitions,
            int(trainer.agent.train_step_counter),
            len(exports),
            len(state.done),
            dict(state.skipped),
            state.bad_records,
        )

    last_arrival = time.monotonic()
    while True:
        names = trainer.waiting()
        try:
            for name in names:
                for _ in trainer.feed(name):
                    observer(progress())
        except TrainingDivergedError as error:
            raise UserError(str(error)) from error
        if names:
            last_arrival = time.monotonic()
        elif time.monotonic() - last_arrival >= options.idle_minutes * 60:
            break
        else:
            time.sleep(options.poll_seconds)
    if trainer.state.sessions > begun and trainer.state.sessions % options.export_every:
        trainer.export()
    return progress()


def _config(options: StreamOptions) -> StreamingConfig:
    directory = options.interactions
    manifest = TransitionManifest.of_files(directory)
    require(
        manifest.fusion is not None,
        f"{directory}: transitions.json does not say which fusion function the actions are for",
        'write "fusion" into it, as `mtfx fusion` does',
    )
    try:
        return StreamingConfig(
            method=options.method,
            agent=agent_config(options.method, dict(options.settings), offline=False),
            fusion=fusion_config(manifest.fusion or {}),
            candidates=options.candidates,
            steps_per_transition=options.steps_per_transition,
            export_every=options.export_every,
            seed=options.seed,
            code_version=code_version(),
        )
    except ValueError as error:
        raise UserError(str(error)) from error


class _Joiner:
    """Joins every exported policy with a run's ranking model, under the policy's version."""

    def __init__(self, options: StreamOptions) -> None:
        serving = Path(options.run_dir or "", "serving")
        ranking, ranker = (_latest(serving / name) for name in ("ranking", "ranker"))
        require(
            ranking is not None and ranker is not None,
            f"--run-dir {options.run_dir} holds no pushed ranking model and ranker",
            "run `mtfx ranking` and `mtfx fusion` first, or leave --run-dir out to export policies",
        )
        self._ranking = tf.saved_model.load(str(ranking))
        served, trained = _metadata(ranker), _metadata(ranking)
        require(
            "request" in trained and "request_state" in served and "predictions" in served,
            f"{ranking} and {ranker} were made by an earlier release, without what a ranker needs",
            "run `mtfx ranking` and `mtfx fusion` anew, or leave --run-dir out to export policies",
        )
        self._request_state = RequestStateConfig.from_dict(served["request_state"])
        self._predictions = tuple(map(FusedPrediction.from_dict, served["predictions"]))
        self._buckets: list[int] = served.get("candidate_buckets", [])
        self._columns: dict[str, list[str]] = trained["columns"]
        self._request = [RequestField.from_dict(field) for field in trained["request"]]
        self._directory = os.path.join(options.output_dir, _RANKERS)

    def __call__(self, policy_dir: str, version: int) -> None:
        target = os.path.join(self._directory, str(version))
        if os.path.exists(target):
            return
        policy = SavedPolicy(policy_dir)
        state_dim = policy.metadata.state_dim
        wanted = len(self._request_state.state_names(policy.metadata.prediction_names))
        require(
            state_dim == wanted,
            f"the sessions have states of size {state_dim}, the run's ranker of {wanted}",
            "give the run that the sessions were served or simulated with",
        )
        partial = os.path.join(os.path.dirname(self._directory), f"partial-ranker-{version}")
        build_ranker(
            self._ranking,
            policy,
            partial,
            predictions=self._predictions,
            request_state=self._request_state,
            columns=self._columns,
            request=self._request,
            candidate_buckets=self._buckets,
            code_version=code_version(),
        )
        os.makedirs(self._directory, exist_ok=True)
        os.rename(partial, target)


def _metadata(model: Path | None) -> dict[str, Any]:
    path = Path(str(model), "assets.extra", METADATA_FILE)
    try:
        return dict(read_json(path))
    except UNREADABLE as error:
        raise UserError(
            f"{path}, which says what the pushed model was trained with, {why_unreadable(error)}",
            "push it again with `mtfx ranking` and `mtfx fusion`, or leave --run-dir out",
        ) from error


def _latest(directory: Path) -> Path | None:
    """The highest version in a directory that TF Serving may watch."""
    versions = [path for path in directory.glob("*") if path.name.isdigit()]
    return max(versions, key=lambda path: int(path.name), default=None)
