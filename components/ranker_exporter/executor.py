"""Executor of RankerExporter."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import tensorflow as tf
from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils
from tfx.utils import path_utils

from mtfx.components.ranker_exporter.checking import check_answers, check_transformed
from mtfx.components.ranker_exporter.warmup_requests import SIZES, read_sessions, warmup_requests
from mtfx.datasets.file_names import literal
from mtfx.environments.simulator.dynamics import Simulator
from mtfx.environments.simulator.world import load_world
from mtfx.models.export.policy import SavedPolicy
from mtfx.models.export.ranker import METADATA_FILE, export_ranker
from mtfx.models.export.transformed import TransformedRanker
from mtfx.serving.warmup import write_warmup

#: Users whose first states the warm-up requests have.
_STATES = 8


class Executor(base_executor.BaseExecutor):
    """See the component."""

    def Do(  # noqa: N802 (TFX's name)
        self,
        input_dict: dict[str, list],
        output_dict: dict[str, list],
        exec_properties: dict[str, Any],
    ) -> None:
        """Joins the two models.

        Raises:
          DataError: if an input cannot be read.
          ValueError: if they do not fit together.
        """
        self._log_startup(input_dict, output_dict, exec_properties)
        ranking_dir, policy_dir = (
            path_utils.serving_model_path(artifact_utils.get_single_uri(input_dict[name]))
            for name in ("ranking_model", "policy")
        )
        simulator = Simulator(load_world(artifact_utils.get_single_uri(input_dict["simulator"])))
        policy = SavedPolicy(policy_dir)
        metadata = policy.metadata
        names = simulator.state_names
        ranking = tf.saved_model.load(ranking_dir)
        buckets = json.loads(exec_properties["candidate_buckets"])
        ranker = TransformedRanker(
            ranking,
            metadata.prediction_names,
            policy.fusion(len(metadata.prediction_names)),
            policy.act,
            metadata.state_dim,
            policy_model=policy.model,
            means_at=names.index(f"mean_{metadata.prediction_names[0]}"),
        )
        ranker.compile_for(buckets)
        directory = path_utils.serving_model_dir(
            artifact_utils.get_single_uri(output_dict["model"])
        )
        export_ranker(
            ranker,
            directory,
            {
                "policy": dataclasses.asdict(metadata),
                "state_names": list(names),
                "columns": _columns(ranking_dir),
                "candidate_buckets": buckets,
                "code_version": exec_properties["code_version"],
            },
        )
        session = simulator.reset(tf.range(min(_STATES, simulator.world.num_users)), [0, 0])
        # What is compiled for a bucket is compiled before the version takes traffic.
        requests = warmup_requests(
            read_sessions(_patterns(input_dict["examples"])),
            simulator.observe(session).numpy(),
            sorted({*SIZES, *buckets}),
        )
        check_answers(directory, requests, policy, ranking)
        check_transformed(directory, requests)
        write_warmup(Path(directory), requests)


def _columns(ranking_dir: str) -> dict[str, list[str]]:
    """By tensor of the signature ``transform``, the features in its columns."""
    with tf.io.gfile.GFile(os.path.join(ranking_dir, "assets.extra", METADATA_FILE)) as file:
        return json.loads(file.read())["columns"]


def _patterns(examples: list) -> list[str]:
    """Of the split that no model has learned from."""
    splits = artifact_utils.decode_split_names(
        artifact_utils.get_single_instance(examples).split_names
    )
    uri = artifact_utils.get_split_uri(examples, "test" if "test" in splits else splits[-1])
    return [f"{literal(uri)}/*"]
