"""Stages that judge policies, made from a configuration."""

import pytest
from tfx.types import standard_artifacts
from tfx.types.channel import Channel

from mtfx.components.artifacts import Simulator
from mtfx.pipelines.fusion_config import FusionPipelineConfig
from mtfx.pipelines.fusion_evaluation import (
    EVALUATION_SEED,
    SELECTION_SEED,
    comparison_stage,
    evaluation_config,
    headroom_stages,
    independent_stages,
    selection_stages,
)


def parts(**values):
    config = FusionPipelineConfig(run_dir="run", **values)
    policies = [Channel(type=standard_artifacts.Model) for _ in range(3)]
    return config, Channel(type=Simulator), policies


def test_a_policy_is_chosen_on_other_sessions_than_it_is_judged_on():
    config, simulator, policies = parts(push="best", seed=3)
    [selector] = selection_stages(config, simulator, policies)
    comparison = comparison_stage(config, simulator, policies)
    assert selector.exec_properties["seed"] == 3 + SELECTION_SEED
    assert comparison.exec_properties["seed"] == 3 + EVALUATION_SEED
    assert selection_stages(parts()[0], simulator, policies) == []


@pytest.mark.parametrize("response", ["auto", "published"])
def test_only_circular_users_are_doubted(response):
    config, simulator, policies = parts(response=response)
    circular = response == "published"
    assert bool(evaluation_config(config).blessing.refusal) == circular
    assert len(independent_stages(config, simulator, policies)) == circular


@pytest.mark.parametrize("wanted", [True, False])
def test_headroom_can_be_left_out(wanted):
    config, simulator, _ = parts(headroom=wanted)
    assert len(headroom_stages(config, simulator)) == wanted
