"""Run function of the TFX Trainer for fusion policies: transitions in, SavedModel out."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import os

import tensorflow as tf
from tfx.components.trainer.fn_args_utils import FnArgs

from mtfx.agents.building import build_agent
from mtfx.agents.config import XmtfConfig
from mtfx.agents.offline_training import OfflineLog, train_offline
from mtfx.agents.registry import AGENTS
from mtfx.datasets.transitions.spec import TransitionManifest
from mtfx.datasets.transitions.table import load_transitions
from mtfx.models.export.policy import PolicyMetadata, export_policy
from mtfx.trainers.fusion.config import FusionTrainerConfig
from mtfx.trainers.fusion.export import (
    exported_fusion,
    order_agreement,
    policy_module,
    restore_agent,
    save_agent,
)

HISTORY_FILE = "history.json"


def run_fn(fn_args: FnArgs) -> None:
    """Trains a fusion policy offline and exports it; see ``tfx.components.Trainer``.

    Reads the ``train`` split of transitions, begins with the agent of ``fn_args.base_model`` if
    there is one, writes a SavedModel to ``fn_args.serving_model_dir`` and TensorBoard's files and
    ``history.json`` to ``fn_args.model_run_dir``.

    Raises:
      DataError: if the transitions cannot be read, or belong to another number of predictions than
        the fusion function, or hold actions of another fusion function.
      TrainingDivergedError: if a loss is not finite.
    """
    config = FusionTrainerConfig.from_dict(fn_args.custom_config)
    # A pattern is URI/Split-train/*, and the manifest lies beside the splits.
    directory = os.path.dirname(os.path.dirname(fn_args.train_files[0]))
    manifest = TransitionManifest.read(directory)
    manifest.check_fusion(config.fusion.action_meaning(), directory)
    spec = manifest.spec
    table = load_transitions(
        fn_args.train_files,
        spec,
        max_transitions=config.agent.buffer_size,
        candidates=_candidates(config),
    )
    agent = build_agent(
        config.method,
        spec.state_dim,
        spec.action_dim,
        config.agent,
        seed=config.seed,
        candidates=0 if table.predictions is None else table.predictions.shape[1],
    )
    if fn_args.base_model:
        restore_agent(agent, fn_args.base_model)
    made_before = int(agent.train_step_counter)
    checkpoint_dir = os.path.join(config.checkpoint_dir, _digest(fn_args))
    writer = tf.summary.create_file_writer(fn_args.model_run_dir)
    history: list[OfflineLog] = []

    def on_log(log: OfflineLog) -> None:
        history.append(log)
        with writer.as_default(step=log.step):
            for name in ("loss", "data_q", "policy_q"):
                tf.summary.scalar(name, getattr(log, name))
            for name, value in log.losses.items():
                tf.summary.scalar(f"losses/{name}", value)
        logging.getLogger("mtfx.progress").info(
            "%s, step %d: loss %.4g, mean Q %.4g", config.method, log.step, log.loss, log.policy_q
        )

    train_offline(
        agent,
        table,
        config.agent.train_steps,
        config.agent.batch_size,
        config.seed,
        log_every=config.log_every,
        on_log=on_log,
        checkpoint_dir=checkpoint_dir,
        made_before=made_before,
    )
    writer.close()
    agreement = order_agreement(agent, table)
    export_policy(
        policy_module(agent, spec.state_dim),
        fn_args.serving_model_dir,
        PolicyMetadata(
            method=config.method,
            state_dim=spec.state_dim,
            action_dim=spec.action_dim,
            prediction_names=spec.prediction_names,
            fusion=exported_fusion(agent, config.fusion).to_dict(),
            config={
                "trainer": config.to_dict(),
                "interactions": manifest.config,
                "data_span_ms": [manifest.first_ms, manifest.last_ms],
                "transitions": table.num_transitions,
                "base_model": fn_args.base_model or "",
                "steps_before": made_before,
                **({} if agreement is None else {"order_agreement": agreement}),
            },
            code_version=config.code_version,
        ),
    )
    save_agent(agent, fn_args.serving_model_dir)
    with tf.io.gfile.GFile(os.path.join(fn_args.model_run_dir, HISTORY_FILE), "w") as file:
        file.write(json.dumps([dataclasses.asdict(log) for log in history], indent=1))
    # Kept until now for a run that is killed; a finished one is in the cache.
    tf.io.gfile.rmtree(checkpoint_dir)


def _candidates(config: FusionTrainerConfig) -> int | None:
    """How many candidates of a request to load; None for a method that does not look at them."""
    if not AGENTS[config.method].needs_candidates:
        return None
    agent = config.agent
    assert isinstance(agent, XmtfConfig)
    # Without inner stage nothing is learned from candidates; the agent's observations have one.
    return agent.inner_candidates if agent.inner_stage else 1


def _digest(fn_args: FnArgs) -> str:
    """Tells trainings apart: the same data and configuration, and only they, may be resumed."""
    key = json.dumps(
        [fn_args.custom_config, list(fn_args.train_files), fn_args.base_model], sort_keys=True
    )
    return hashlib.sha256(key.encode()).hexdigest()[:16]
