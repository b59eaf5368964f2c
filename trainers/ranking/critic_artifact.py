"""Critics on disk, so that a model of another backbone can be trained with them."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from mtfx.datasets.spec import Task
from mtfx.files import read_json
from mtfx.models.config import CriticConfig
from mtfx.models.critics import Critics, build_critics
from mtfx.models.input_features import InputFeature

_CONFIG_FILE, _WEIGHTS = "critics.json", "weights"


def save_critics(critics: Critics, directory: str, metadata: Mapping[str, Any]) -> None:
    """Writes the critics' weights and what they are made for.

    Args:
      critics: With variables.
      directory: Made if missing.
      metadata: JSON-serialisable: how they were trained.
    """
    tf.io.gfile.makedirs(directory)
    tf.train.Checkpoint(critics=critics).write(os.path.join(directory, _WEIGHTS))
    content = {
        "config": dataclasses.asdict(critics.config),
        "features": [dataclasses.asdict(feature) for feature in critics.features],
        "tasks": [task.name for task in critics.tasks],
        "metadata": dict(metadata),
    }
    with tf.io.gfile.GFile(os.path.join(directory, _CONFIG_FILE), "w") as file:
        file.write(json.dumps(content, indent=1, sort_keys=True))


def load_critics(directory: str, inputs: Sequence[InputFeature], tasks: Sequence[Task]) -> Critics:
    """Reads critics for a model.

    Args:
      directory: Where :func:`save_critics` wrote.
      inputs: The model's features, which must be those that the critics were trained with.
      tasks: The model's tasks, likewise.

    Raises:
      ValueError: if the directory holds no critics, or those of other features or tasks; the
        message names what differs.
    """
    path = os.path.join(directory, _CONFIG_FILE)
    if not tf.io.gfile.exists(path):
        raise ValueError(
            f"{directory} holds no critics ({_CONFIG_FILE} is missing); give the `critic` folder "
            "that an RMTL training wrote beside its logs"
        )
    content = read_json(path)
    names = [task.name for task in tasks]
    if content["tasks"] != names:
        raise ValueError(f"the critics in {directory} judge {content['tasks']}, not {names}")
    theirs = {values["name"]: values for values in content["features"]}
    ours = {feature.name: json.loads(json.dumps(dataclasses.asdict(feature))) for feature in inputs}
    if differing := sorted(
        name for name in theirs.keys() | ours.keys() if theirs.get(name) != ours.get(name)
    ):
        raise ValueError(
            f"the critics in {directory} were trained with other features or vocabularies: "
            f"{', '.join(differing)} differ; critics transfer between backbones on the same "
            "transformed data only"
        )
    critics = build_critics(tuple(inputs), tuple(tasks), CriticConfig.from_dict(content["config"]))
    checkpoint = tf.train.Checkpoint(critics=critics)
    checkpoint.read(os.path.join(directory, _WEIGHTS)).assert_existing_objects_matched()
    return critics
