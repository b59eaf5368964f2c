"""Small models for the tests of this folder."""

from __future__ import annotations

import dataclasses
import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from mtfx.datasets.spec import Task
from mtfx.models.config import ModelConfig, StateConfig
from mtfx.models.input_features import InputFeature
from mtfx.models.mtl.registry import BACKBONES, PleConfig
from mtfx.models.ranking_model import RankingModel

INPUTS = (
    InputFeature("item", "categorical", 30),
    InputFeature("age", "numeric"),
    InputFeature("user", "categorical", 11),
    InputFeature("duration", "numeric"),
)
#: Five tasks: a chain of three binary ones, another binary one, and a regression.
TASKS = (
    Task("click"),
    Task("cart", parent="click"),
    Task("pay", parent="cart"),
    Task("like"),
    Task("watch", kind="regression", unit=1000.0),
)


class SmallModels:
    """Makes models and data."""

    inputs = INPUTS
    tasks = TASKS

    def sizes(self, backbone: str, **changes):
        defaults = {"bottom_units": (12, 8), "tower_units": (6, 5), "dropout": 0.2, "seed": 7}
        config = BACKBONES[backbone].config
        if config is PleConfig:
            defaults |= {"num_shared_experts": 2, "num_task_experts": 3, "num_levels": 2}
        return dataclasses.replace(config(), **{**defaults, **changes})

    def config(self, backbone: str, **changes) -> ModelConfig:
        return ModelConfig(
            backbone=backbone,
            sizes=self.sizes(backbone, **changes),
            state=StateConfig(embedding_dim=4, hidden_units=(9,), state_dim=10),
        )

    def model(self, backbone: str, num_tasks: int = 5, **changes) -> RankingModel:
        return RankingModel(INPUTS, TASKS[:num_tasks], self.config(backbone, **changes), seed=7)

    def batch(self, rows: int = 24, num_tasks: int = 5):
        rng = np.random.default_rng(1)
        features = {
            "item": rng.integers(0, 30, rows),
            "user": rng.integers(0, 11, rows),
            "age": rng.normal(size=rows).astype(np.float32),
            "duration": rng.normal(size=rows).astype(np.float32),
        }
        labels = rng.integers(0, 2, (rows, 5)).astype(np.float32)
        labels[:, 4] = rng.uniform(0, 60_000, rows)
        return features, labels[:, :num_tasks]


@pytest.fixture(scope="session")
def small() -> SmallModels:
    return SmallModels()


@pytest.fixture(scope="session")
def reference() -> ModuleType:
    """The independent NumPy version; test folders are no packages, so it is loaded by its path."""
    path = Path(__file__).with_name("numpy_reference.py")
    spec = importlib.util.spec_from_file_location("numpy_reference", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
