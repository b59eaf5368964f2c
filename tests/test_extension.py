"""New methods: a module and one entry of a registry each, and every flag and builder has them."""

import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

import mtfx.agents
import mtfx.models.mtl
from mtfx.agents.building import build_agent, q_values
from mtfx.agents.carried_state import TD3
from mtfx.agents.config import Td3Config
from mtfx.agents.offline_training import train_offline
from mtfx.agents.registry import AGENTS, AgentEntry
from mtfx.agents.transition_tensors import TransitionTensors
from mtfx.datasets.spec import Task
from mtfx.models.config import ModelConfig
from mtfx.models.input_features import InputFeature
from mtfx.models.keras import keras
from mtfx.models.mtl.registry import BACKBONES, BackboneConfig, BackboneEntry
from mtfx.models.ranking_model import RankingModel
from mtfx.pipelines.fusion_config import FusionPipelineConfig

BACKBONE = '''
from mtfx.models.mtl.base import Backbone


class Mean(Backbone):
    """The mean of two bottoms below the towers."""

    def __init__(self, tasks, config, *, dtype="float32"):
        super().__init__(tasks, config, dtype=dtype)
        self.bottoms = self._experts(2, "bottoms")
        self.towers = self._towers()

    def call(self, state, training=False):
        first, second = self.bottoms(state, training=training)
        return self.towers((first + second) / 2, training=training)
'''
AGENT = '''
import tensorflow as tf

from mtfx.agents.td3 import Td3Agent


class Bold(Td3Agent):
    """Acts twice as far from the middle."""

    def greedy_actions(self, states, seed):
        return tf.clip_by_value(2 * super().greedy_actions(states, seed), -1.0, 1.0)


def build_bold(time_step_spec, action_spec, config, seed):
    return Bold(time_step_spec, action_spec, config, seed=seed)
'''
SMALL = BackboneConfig(bottom_units=(8,), tower_units=(4,))
ENTRIES = """
from mtfx.agents.registry import *
from mtfx.models.mtl.registry import *
AGENTS.register("bold", AgentEntry("agents.bold:build_bold", Td3Config, "a new agent", TD3))
SMALL = BackboneConfig(bottom_units=(8,))
BACKBONES.register("mean", BackboneEntry("models.mtl.mean:Mean", BackboneConfig, "new", SMALL))
"""


@pytest.fixture
def added(tmp_path, monkeypatch):
    """The two modules where those of the project are, and their entries."""
    (tmp_path / "mean.py").write_text(BACKBONE)
    (tmp_path / "bold.py").write_text(AGENT)
    for package in (mtfx.agents, mtfx.models.mtl):
        monkeypatch.setattr(package, "__path__", [*package.__path__, str(tmp_path)])
    for name in ("mtfx.agents.bold", "mtfx.models.mtl.mean"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setattr(AGENTS, "_entries", dict(AGENTS))
    monkeypatch.setattr(BACKBONES, "_entries", dict(BACKBONES))
    AGENTS.register("bold", AgentEntry("agents.bold:build_bold", Td3Config, "a new agent", TD3))
    entry = BackboneEntry("models.mtl.mean:Mean", BackboneConfig, "a new backbone", SMALL)
    BACKBONES.register("mean", entry)


def test_a_new_backbone_trains_by_its_flag(added):
    config = ModelConfig.of_size("small", "mean").with_seed(3)
    tasks = (Task("click"), Task("like"))
    model = RankingModel((InputFeature("item", "categorical", 20),), tasks, config, seed=3)
    items = np.random.default_rng(0).integers(0, 20, 512)
    labels = np.stack([items % 2, items % 3 == 0], axis=1).astype(np.float32)
    model.compile(keras.optimizers.Adam(0.02))
    data = tf.data.Dataset.from_tensor_slices(({"item": items}, labels)).batch(64)
    losses = model.fit(data, epochs=8, verbose=0).history["loss"]
    assert losses[-1] < losses[0] / 2
    assert type(model.backbone).__name__ == "Mean"


def test_a_new_agent_trains_by_its_flag(added):
    settings = (("hidden_units", (6,)), ("policy_delay", 3))
    config = FusionPipelineConfig(
        run_dir="run", method="bold", settings=settings, train_steps=4
    ).agent("bold")
    assert (type(config), config.hidden_units, config.policy_delay) == (Td3Config, (6,), 3)
    agent = build_agent("bold", 3, 2, config, seed=1)
    draws = np.random.default_rng(0).normal(size=(40, 9)).astype(np.float32)
    table = TransitionTensors(
        states=draws[:, :3],
        actions=np.tanh(draws[:, 3:5]),
        rewards=draws[:, 5],
        next_states=draws[:, 6:],
        discounts=np.ones(40, np.float32),
    )
    logs = train_offline(agent, table, config.train_steps, 8, seed=2, log_every=4)
    assert [log.step for log in logs] == [4]
    states = tf.zeros([1, 3])
    assert np.isfinite(q_values(agent, states, agent.greedy_actions(states, tf.constant([0, 0]))))


@pytest.mark.parametrize(("command", "name"), [("ranking", "mean"), ("fusion", "bold")])
def test_the_help_names_what_is_registered(command, name):
    code = f"{ENTRIES}\nfrom mtfx.cli.__main__ import main\nmain(['{command}', '--help'])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert name in shown.stdout, shown.stderr
