"""What ``mtfx fusion`` refuses before anything starts, and what it passes on."""

import dataclasses
import json

import pytest

from agents.fusion_registry import FUSION_AGENTS
from components.policy_search.search import SEARCH_METHODS
from evaluation.ope.registry import ESTIMATORS as REGISTERED_ESTIMATORS
from models.fusion.config import FormulaFreeConfig, FusionConfig
from pipelines.__main__ import main
from pipelines.commands.fusion import fusion_command
from pipelines.errors import UserError
from pipelines.fusion_config import AGENTS, ESTIMATORS, SEARCHES, FusionPipelineConfig
from pipelines.infra_validation import InfraValidation


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
        ({"ope_penalty": -0.1}, "--ope-penalty must not be negative"),
        ({"candidate_buckets": (64, 0)}, "--candidate-buckets .* not 64,0"),
        ({"candidate_buckets": (8, 8)}, "--candidate-buckets must be different"),
        (
            {"candidate_buckets": (8,), "infra_validation": InfraValidation("docker")},
            "--candidate-buckets and --infra-validator exclude each other",
        ),
        ({"settings": (("rho", 9.0),)}, "rho"),
        ({"settings": (("lambda", 1.0),)}, "lambda"),
        ({"settings": (("rho", "high"),)}, "--set rho=high: rho is no word"),
        ({"settings": (("cells.knots", 1),), "method": "xmtf"}, "knots must be at least 2"),
        ({"settings": (("cells.depth", 1),), "method": "xmtf"}, r"no such setting.*cells\.family"),
        ({"settings": (("outer", "bc"),), "method": "xmtf"}, "no outer stage 'bc'"),
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
    assert [config.agent(name).hidden_units for name in AGENTS] == [(8,)] * 5
    assert [config.agent(name).train_steps for name in AGENTS] == [7] * 5
    json.loads(config.to_json())


def test_xmtf_learns_offline_and_under_its_own_fusion():
    config = FusionPipelineConfig(
        run_dir="run",
        method="xmtf",
        settings=(("cells.low", -0.3), ("monotonicity_weight", 0.9)),
    )
    agent = config.agent("xmtf")
    assert (agent.outer, agent.monotonicity_weight) == ("batch_constrained", 0.9)
    assert agent.monotonicity_margin == 0
    assert (agent.cells.family, agent.cells.low) == ("basis", -0.3)
    assert config.fusion_of("xmtf") == FormulaFreeConfig(-0.3, 4.0)
    assert config.fusion_of("td3") == FusionConfig("formula2")
    # The paper's outer stage can be had, and the ablation without one.
    for settings in ((("outer", "actor_critic"),), (("outer_stage", False),)):
        other = dataclasses.replace(config, settings=settings, train_steps=50)
        assert other.agent("xmtf").outer == "actor_critic"
        assert other.agent("xmtf").warmup_steps == 10
    papers = dataclasses.replace(config, settings=(("cells.family", "mlp"),))
    assert papers.agent("xmtf").cells.family == "mlp"


def test_every_setting_is_in_the_help(capsys):
    assert main(["fusion", "--help"]) == 0
    text = capsys.readouterr().out
    for method in AGENTS:
        values = FusionPipelineConfig(run_dir="run", method=method).agent(method).to_dict()
        for name in set(values) - {"train_steps", "batch_size", "cells"}:
            assert f"{name}=" in text
    assert "outer=batch_constrained" in text
    assert "cells.family=basis" in text


@pytest.mark.parametrize("text", ["outer=actor_critic", "outer='actor_critic'"])
def test_a_word_needs_no_quotes(text):
    command = fusion_command.make_context("fusion", ["--run-dir", "x", "--set", text])
    assert command.params["settings"] == (("outer", "actor_critic"),)


def test_a_directory_without_a_ranking_run_says_what_to_run_first(tmp_path, capsys):
    assert main(["fusion", "--run-dir", str(tmp_path)]) == 1
    error = capsys.readouterr().err.replace("\n", " ")
    assert "no run of the ranking pipeline" in error
    assert "mtfx ranking" in error


def test_a_setting_that_is_no_value_is_a_usage_error(tmp_path, capsys):
    assert main(["fusion", "--run-dir", str(tmp_path), "--set", "rho"]) == 2
    assert "rho=0.1" in capsys.readouterr().err
    assert main(["fusion", "--run-dir", str(tmp_path), "--candidate-buckets", "8,x"]) == 2
    assert "'8,x' is no list of whole numbers" in capsys.readouterr().err


def test_the_penalty_reaches_the_evaluator(tmp_path):
    (tmp_path / "report").mkdir()
    summary = '{"config": {"data": {"dataset": "synthetic-video", "data_dir": "video"}}}'
    (tmp_path / "report" / "summary.json").write_text(summary)
    from components.policy_evaluator.config import PolicyEvaluatorConfig
    from pipelines.fusion import create_pipeline

    found = []
    for penalty in (None, 0.3):
        pipeline = create_pipeline(FusionPipelineConfig(run_dir=str(tmp_path), ope_penalty=penalty))
        [stage] = [one for one in pipeline.components if one.id == "PolicyEvaluator"]
        config = PolicyEvaluatorConfig.from_json(stage.exec_properties["config"])
        found.append(dict(config.estimators)["conservative"].penalty)
    assert found == [0.05, 0.3]
