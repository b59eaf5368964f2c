"""What ``mtfx fusion`` refuses before anything starts, and what it passes on."""

import json

import pytest

from agents.fusion_registry import FUSION_AGENTS
from components.policy_search.search import SEARCH_METHODS
from evaluation.ope.registry import ESTIMATORS as REGISTERED_ESTIMATORS
from pipelines.__main__ import main
from pipelines.errors import UserError
from pipelines.fusion_config import AGENTS, ESTIMATORS, SEARCHES, FusionPipelineConfig


def test_the_flags_name_what_the_registries_have():
    assert set(AGENTS) == set(FUSION_AGENTS)
    assert set(SEARCHES) == set(SEARCH_METHODS)
    assert set(ESTIMATORS) == set(REGISTERED_ESTIMATORS)


@pytest.mark.parametrize(
    ("values", "match"),
    [
        ({"method": "dqn"}, "--method 'dqn'"),
        ({"baselines": ("constant", "grid")}, "--baselines 'grid'"),
        ({"baselines": ("bo", "bo")}, "twice"),
        ({"candidates": 400}, "--candidates 400 is more than --pool 300"),
        ({"sessions": 0}, "--sessions"),
        ({"seed": -1}, "--seed"),
        ({"settings": (("rho", 9.0),)}, "rho"),
        ({"settings": (("lambda", 1.0),)}, "lambda"),
    ],
)
def test_wrong_values_are_named(values, match):
    with pytest.raises(UserError, match=match):
        FusionPipelineConfig(run_dir="run", **values)


def test_settings_are_the_methods_alone_but_for_the_layers():
    config = FusionPipelineConfig(
        run_dir="run", train_steps=7, settings=(("rho", 0.1), ("hidden_units", (8,)))
    )
    assert config.agent("bcq").rho == 0.1
    assert [config.agent(name).hidden_units for name in AGENTS] == [(8,)] * 4
    assert [config.agent(name).train_steps for name in AGENTS] == [7] * 4
    json.loads(config.to_json())


def test_a_directory_without_a_ranking_run_says_what_to_run_first(tmp_path, capsys):
    assert main(["fusion", "--run-dir", str(tmp_path)]) == 1
    error = capsys.readouterr().err.replace("\n", " ")
    assert "no run of the ranking pipeline" in error
    assert "mtfx ranking" in error


def test_a_setting_that_is_no_value_is_a_usage_error(tmp_path, capsys):
    assert main(["fusion", "--run-dir", str(tmp_path), "--set", "rho"]) == 2
    assert "rho=0.1" in capsys.readouterr().err
