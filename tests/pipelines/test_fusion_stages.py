"""Stages that are made from a configuration: which policy the log is explored around."""

import pytest
from tfx.types.channel import Channel

from mtfx.components.artifacts import Simulator
from mtfx.pipelines.fusion_config import FusionPipelineConfig
from mtfx.pipelines.fusion_stages import (
    exploration_stages,
    fusion_key,
    learned_methods,
    search_stages,
)

BASELINES = ("constant", "bo", "td3")


def explored(**values):
    config = FusionPipelineConfig(run_dir="run", baselines=BASELINES, **values)
    simulator = Channel(type=Simulator)
    searched = search_stages(config, simulator)
    stages = exploration_stages(config, learned_methods(config), simulator, searched)
    return config, {stage.id: stage for stage in searched}, stages


def test_a_first_log_is_explored_around_equal_weights():
    config, _, stages = explored()
    [stage] = stages.values()
    assert stage is stages[fusion_key(config, "bcq")]
    assert "policy" not in stage.inputs


def test_a_log_is_explored_around_the_weights_that_a_search_found():
    _, searched, stages = explored(explore_around="bo")
    [stage] = stages.values()
    assert stage.inputs["policy"] is searched["PolicySearch-bo"].outputs["model"]


@pytest.mark.parametrize("around", ["constant", "bo"])
def test_a_log_of_other_actions_is_not_explored_around_weights(around):
    baselines = {"baselines": (*BASELINES, "xmtf")}
    config = FusionPipelineConfig(run_dir="run", explore_around=around, **baselines)
    simulator = Channel(type=Simulator)
    searched = search_stages(config, simulator)
    stages = exploration_stages(config, learned_methods(config), simulator, searched)
    assert len(stages) == 2
    assert "policy" not in stages[fusion_key(config, "xmtf")].inputs
