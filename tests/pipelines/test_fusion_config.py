"""What ``mtfx fusion`` refuses before anything starts, and what it passes on."""

import dataclasses
import json

import pytest

from mtfx.agents.config import XmtfConfig
from mtfx.agents.registry import AGENTS
from mtfx.cli.__main__ import main
from mtfx.cli.fusion import fusion_command
from mtfx.datasets.rewards import RewardConfig
from mtfx.errors import UserError
from mtfx.evaluation.ope.registry import ESTIMATORS, build_estimator
from mtfx.models.fusion.config import FormulaFreeConfig, FusionConfig
from mtfx.pipelines.fusion_config import FusionPipelineConfig
from mtfx.pipelines.fusion_settings import agent_config, settings_help
from mtfx.pipelines.infra_validation import InfraValidation
from mtfx.pipelines.served_log import ServedLog


@pytest.mark.parametrize(
    ("values", "match"),
    [
        ({"method": "dqn"}, "--method 'dqn'"),
        ({"baselines": ("constant", "grid")}, "--baselines 'grid'"),
        ({"baselines": ("bo", "bo")}, "twice"),
        ({"candidates": 400}, "--candidates 400 is more than --pool 300"),
        (
            {"candidates": 2_000, "response": "published"},
            "--candidates 2000 is more than --pool 1097",
        ),
        ({"pool": 0}, "--pool must be at least 1, got 0"),
        ({"sessions": 0}, "--sessions"),
        ({"seed": -1}, "--seed"),
        ({"max_return_drop": -0.1}, "--max-return-drop must not be negative"),
        ({"max_return_drop": float("nan")}, "--max-return-drop must not be negative"),
        ({"max_return_drop": float("inf")}, "--max-return-drop must not be negative"),
        ({"ope_penalty": -0.1}, "--ope-penalty must not be negative"),
        ({"candidate_buckets": (64, 0)}, "--candidate-buckets .* not 64,0"),
        ({"candidate_buckets": (8, 8)}, "--candidate-buckets must be different"),
        (
            {"candidate_buckets": (8,), "infra_validation": InfraValidation("docker")},
            "--candidate-buckets and --infra-validator exclude each other",
        ),
        ({"settings": (("rho", 9.0),)}, "rho"),
        ({"leave_out": ("hate", "hate")}, "--leave-out names a prediction twice"),
        ({"settings": (("fusion.low", 2.0),)}, "--set fusion: .* low < high"),
        ({"settings": (("fusion.beta", "x"),)}, r"--set fusion.beta=x: beta is a value such as"),
        ({"settings": (("fusion.depth", 2.0),)}, r"no such setting; there are: fusion\.low"),
        ({"settings": (("fusion.formula", "formula1"),)}, "--fusion sets it"),
        ({"settings": (("reward.gamma", 0.9),)}, "--set gamma sets it"),
        ({"settings": (("reward.watch", 1.0),)}, r"there are: reward\.watch_weight"),
        ({"settings": (("reward.watch_cap_s", -1.0),)}, "watch_cap_s must be positive"),
        ({"settings": (("reward.feedback.like", "much"),)}, "a weight is a number"),
        ({"settings": (("reward.feedback.like", float("nan")),)}, "must be a finite number"),
        ({"push": "worst"}, "--push 'worst'"),
        ({"push": "best", "baselines": ()}, "--push best chooses .* there are no baselines"),
        ({"push": "best", "baselines": ("bcq",)}, "--push best chooses .* no baselines"),
        (
            {"push": "best", "method": "xmtf"},
            "--push best cannot judge constant, bo, td3: .* something else than those of xmtf",
        ),
        ({"push": "best", "baselines": ("bo", "xmtf")}, "--push best cannot judge xmtf"),
        ({"explore_around": "td3"}, "--explore-around 'td3'"),
        ({"explore_around": "es"}, "--explore-around es takes .* none has that name"),
        (
            {"explore_around": "bo", "method": "xmtf"},
            "--explore-around bo explores .* the actions of xmtf are none",
        ),
        (
            {"explore_around": "bo", "served": ServedLog("log")},
            "--explore-around and --served-log exclude",
        ),
        ({"settings": (("lambda", 1.0),)}, "lambda"),
        (
            {"settings": (("rho", "high"),)},
            "--set rho=high: rho is a value such as 0.15",
        ),
        ({"settings": (("hidden_units", 64),)}, "hidden_units is a value such as"),
        ({"settings": (("rho", (0.1, 0.2)),)}, "rho is a value such as 0.15"),
        ({"settings": (("rho", True),)}, "rho is a value such as 0.15"),
        ({"settings": (("inner_stage", 1),), "method": "xmtf"}, "inner_stage is a value such as"),
        ({"settings": (("cells.knots", 1),), "method": "xmtf"}, "knots must be at least 2"),
        ({"settings": (("cells.depth", 1),), "method": "xmtf"}, r"no such setting.*cells\.family"),
        (
            {"settings": (("outer", "bc"),), "method": "xmtf"},
            "--set outer=bc: outer is one of actor_critic, batch_constrained",
        ),
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


def test_bounds_beta_and_the_rewards_weights_are_settings():
    config = FusionPipelineConfig(
        run_dir="run",
        method="xmtf",
        reward="time",
        settings=(
            ("fusion.low", 0.1),
            ("fusion.beta", (0.1, 0.2)),
            ("reward.integrity_weight", 2),
            ("reward.feedback.like", 4),
            ("cells.low", -0.3),
        ),
    )
    assert config.fusion == FusionConfig("formula2", low=0.1, beta=(0.1, 0.2))
    assert config.fusion_of("td3") == config.fusion
    reward = config.reward_config
    assert (reward.watch_weight, reward.integrity_weight) == (3.0, 2.0)
    assert dict(reward.feedback_weights)["like"] == 4.0
    assert dict(reward.feedback_weights)["hate"] == -2.0
    assert config.agent("xmtf").cells.low == -0.3
    assert FusionPipelineConfig.from_json(config.to_json()).reward_config == reward


@pytest.mark.parametrize(
    ("values", "sizes", "max_views"),
    [
        ({}, (300, 100), 50),
        ({"pool": 60}, (60, 60), 50),
        ({"pool": 700, "candidates": 8}, (700, 8), 50),
        ({"response": "published"}, (1_097, 1_000), 97),
        ({"response": "published", "pool": 400}, (400, 400), 97),
        ({"response": "published", "candidates": 100}, (1_097, 100), 97),
    ],
)
def test_a_response_has_its_own_sizes_and_rules_where_none_are_given(values, sizes, max_views):
    config = FusionPipelineConfig(run_dir="run", **values)
    assert config.sizes == sizes
    assert FusionPipelineConfig.from_json(config.to_json()).sizes == sizes
    assert (config.simulator.candidates, config.simulator.max_views) == (sizes[1], max_views)
    assert config.simulator.reward == config.reward_config


def _ranking_run(directory, tasks=()):
    (directory / "report").mkdir()
    (directory / "metadata.db").touch()
    data = {"dataset": "kuairand", "data_dir": "data", "tasks": list(tasks)}
    (directory / "report" / "summary.json").write_text(json.dumps({"config": {"data": data}}))


@pytest.mark.parametrize(
    ("values", "match"),
    [
        (
            {"leave_out": ("hate",)},
            "--leave-out: no prediction 'hate' is fused; there are: click, long_view, "
            "watch_time_ms, play_integrity",
        ),
        (
            {"leave_out": ("click", "long_view", "watch_time_ms", "play_integrity")},
            "--leave-out: one prediction must be left",
        ),
        (
            {"settings": (("reward.feedback.dislike", 1.0),)},
            "--set reward.feedback.dislike: kuairand has no such feedback; it has: click",
        ),
        (
            {"settings": (("reward.feedback.hate", 1.0),)},
            r"counts hate for \+1, but the data set kuairand says that it is negative",
        ),
    ],
)
def test_predictions_and_feedbacks_that_the_run_lacks_are_named(tmp_path, values, match):
    _ranking_run(tmp_path)
    with pytest.raises(UserError, match=match):
        FusionPipelineConfig(run_dir=str(tmp_path), **values).check()


def test_the_published_response_needs_the_predicted_watch_time(tmp_path, capsys):
    _ranking_run(tmp_path, ("click", "long_view"))
    for command in ("fusion", "simulator"):
        assert main([command, "--run-dir", str(tmp_path), "--response", "published"]) == 1
        error = " ".join(capsys.readouterr().err.split())
        assert "--response published: the ranking model predicts no watch time" in error
        assert "`mtfx ranking --tasks ...,watch_time_ms`" in error


def test_its_policies_are_compared_under_the_independent_response_too(stages):
    both = stages(response="published")
    names = [name for name in both if name.startswith("PolicyComparison")]
    assert names == ["PolicyComparison", "PolicyComparison-independent"]
    first, second = (both[name] for name in names)
    assert {**first, "world": "independent"} == second
    assert json.loads(first["simulator_config"])["max_views"] == 97
    assert "PolicyComparison-independent" not in stages()
    for values, refused in (({"response": "published"}, True), ({}, False)):
        evaluator = json.loads(stages(**values)["PolicyEvaluator"]["config"])
        assert bool(evaluator["blessing"]["refusal"]) == refused


def test_the_policy_is_chosen_on_other_sessions_than_it_is_judged_on(stages):
    assert "PolicySelector" not in stages()
    found = stages(push="best")
    seeds = {name: found[name]["seed"] for name in ("PolicySelector", "PolicyComparison")}
    searched = json.loads(found["PolicySearch-bo"]["search"])["seed"]
    evaluated = json.loads(found["PolicyEvaluator"]["config"])["seed"]
    assert len({*seeds.values(), searched, evaluated}) == 3
    assert found["PolicySelector"]["method"] == "bcq"


@pytest.mark.parametrize("push", ["method", "best"])
def test_what_is_judged_is_what_is_exported(tmp_path, stages, push):
    from mtfx.pipelines.fusion import create_pipeline

    pipeline = create_pipeline(FusionPipelineConfig(run_dir=str(tmp_path), push=push))
    named = {stage.id: stage for stage in pipeline.components}
    makers = {
        name: named[name].inputs["policy"].producer_component_id
        for name in ("PolicyEvaluator", "RankerExporter")
    }
    assert set(makers.values()) == {{"method": "Trainer-bcq", "best": "PolicySelector"}[push]}


def test_what_is_left_out_reaches_the_simulator(stages):
    found = stages(leave_out=("watch_time_ms",))
    world = json.loads(found["SimulatorGen"]["config"])
    assert (world["leave_out"], world["fused"]) == (["watch_time_ms"], [])


def test_policies_of_other_predictions_or_rewards_are_not_compared():
    from mtfx.pipelines.fusion_stages import pipeline_name

    config = FusionPipelineConfig(run_dir="run")
    names = {
        pipeline_name(dataclasses.replace(config, **values))
        for values in (
            {},
            {"leave_out": ("hate",)},
            {"reward": "time"},
            {"settings": (("reward.feedback.like", 3.0),)},
            {"settings": (("fusion.beta", 0.1),)},
            {"method": "xmtf"},
        )
    }
    assert len(names) == 6
    assert pipeline_name(dataclasses.replace(config, seed=3, settings=(("rho", 0.1),))) in names


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


@pytest.fixture
def stages(tmp_path):
    """Returns a function that builds the pipeline: its stages by name."""
    (tmp_path / "report").mkdir()
    summary = '{"config": {"data": {"dataset": "synthetic-video", "data_dir": "video"}}}'
    (tmp_path / "report" / "summary.json").write_text(summary)
    from mtfx.pipelines.fusion import create_pipeline

    def build(**values):
        pipeline = create_pipeline(FusionPipelineConfig(run_dir=str(tmp_path), **values))
        return {stage.id: stage.exec_properties for stage in pipeline.components}

    return build


def test_the_penalty_and_the_drop_reach_the_evaluator(stages):
    found = []
    for values in ({}, {"ope_penalty": 0.3, "max_return_drop": 0.2}):
        config = judged(stages(**values))
        found.append((dict(config.estimators)["conservative"].penalty, config.blessing.max_drop))
    assert found == [(0.05, 0.0), (0.3, 0.2)]


def judged(stages):
    from mtfx.components.policy_evaluator.config import PolicyEvaluatorConfig

    return PolicyEvaluatorConfig.from_json(stages["PolicyEvaluator"]["config"])


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_the_estimator_that_decides_is_one_of_the_runs_own(stages, estimator):
    config = judged(stages(estimator=estimator))
    assert config.deciding == estimator
    assert estimator in dict(config.estimators)
    for name, settings in config.estimators:
        build_estimator(name, settings, config.bootstrap)


@pytest.mark.parametrize("method", AGENTS)
@pytest.mark.parametrize("gamma", [None, 0.8])
def test_one_discount_is_learnt_searched_estimated_and_simulated(stages, method, gamma):
    settings = () if gamma is None else (("gamma", gamma),)
    wanted = RewardConfig().gamma if gamma is None else gamma
    others = tuple(name for name in AGENTS if name != method)
    found = stages(
        method=method, settings=settings, estimator="doubly_robust", baselines=("bo", *others)
    )
    evaluator = judged(found)
    discounts = {"evaluator": evaluator.gamma, "simulator": evaluator.simulator.reward.gamma}
    for name, config in evaluator.estimators:
        parts = (config.weighting, config.fitted_q) if name == "doubly_robust" else (config,)
        discounts |= {f"{name} {place}": part.gamma for place, part in enumerate(parts)}
    discounts["search"] = json.loads(found["PolicySearch-bo"]["search"])["gamma"]
    discounts["comparison"] = found["PolicyComparison"]["gamma"]
    discounts["compared reward"] = json.loads(found["PolicyComparison"]["simulator_config"])[
        "reward"
    ]["gamma"]
    for name in AGENTS:
        trainer = json.loads(found[f"Trainer-{name}"]["custom_config"])
        discounts[f"agent {name}"] = trainer["agent"]["gamma"]
    assert set(discounts.values()) == {wanted}, discounts
    assert f"gamma={RewardConfig().gamma}" in settings_help(method)


def test_where_sessions_go_on_coming_settings_are_the_algorithms_own():
    """As docs/streaming.md says; what a log that cannot be added to asks for is for such a log."""
    for method, entry in AGENTS.items():
        assert agent_config(method, {}, offline=False) == entry.config()
    assert agent_config("xmtf", {}) != XmtfConfig()


def test_a_discount_that_is_none_is_named():
    for value in (1.0, -0.1, float("nan"), "high", (0.9,)):
        with pytest.raises(UserError, match="gamma"):
            FusionPipelineConfig(run_dir="run", settings=(("gamma", value),))
