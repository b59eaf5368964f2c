"""Every value that a flag offers is resolved and built: none is only offered.

Each command is run with each value of each of its choices, up to the place where TFX, or a file,
would begin; what the pipeline then holds is built as its executors would.
"""

import dataclasses
import json
from typing import Any, get_args

import click
import numpy as np
import pytest
import tensorflow as tf

from mtfx.agents.building import build_agent
from mtfx.agents.config import OUTER_STAGES, TRANSFERS
from mtfx.agents.exploration import build_exploration
from mtfx.agents.registry import AGENTS
from mtfx.agents.search.registry import SEARCHES
from mtfx.cli.__main__ import cli, main
from mtfx.cli.experiment_kinds import GivenFlags, kind_of
from mtfx.components.feedback_join.config import FeedbackJoinConfig
from mtfx.components.interaction_gen.config import SimulatedInteractionConfig
from mtfx.components.policy_evaluator.config import PolicyEvaluatorConfig, default_estimators
from mtfx.components.policy_search.search import PolicySearchConfig
from mtfx.config import settings_of
from mtfx.datasets.rewards import build_reward
from mtfx.datasets.transitions.codec import encode_transitions
from mtfx.datasets.transitions.spec import TransitionManifest
from mtfx.environments.simulator.fitting.config import WorldConfig
from mtfx.errors import StageError
from mtfx.evaluation.ab_test.trial import TrialSettings, judge_trial
from mtfx.evaluation.ab_test.user_totals import ArmLog
from mtfx.evaluation.ope.data import OfflineData
from mtfx.evaluation.ope.registry import ESTIMATORS, build_estimator
from mtfx.experiments.batchrl.trial import FusionSettings
from mtfx.experiments.engine.run import load_trial_function
from mtfx.experiments.registry import EXPERIMENTS
from mtfx.experiments.rmtl.trial import RmtlTrialSettings
from mtfx.experiments.xmtf.trial import XmtfSettings
from mtfx.models.action_policy import ActionSample
from mtfx.models.fusion.config import CELL_FAMILIES, FormulaFreeConfig, FusionConfig, build_fusion
from mtfx.models.loss_weighting.registry import build_loss_weighting
from mtfx.models.mtl.registry import build_backbone
from mtfx.pipelines import local_runner
from mtfx.pipelines.config import RankingPipelineConfig
from mtfx.pipelines.fusion_config import FusionPipelineConfig
from mtfx.pipelines.fusion_settings import settings_help
from mtfx.pipelines.infra_validation import InfraValidation
from mtfx.setting import read_setting, recorded
from mtfx.trainers.fusion.config import FusionTrainerConfig
from tests.transition_batches import SPEC, random_batch


def choices() -> list:
    """Command, parameter and value of every choice on the command line."""
    return [
        # A stream trains its agents, the others end before they would.
        pytest.param(
            *(name, str(parameter.name), value),
            marks=[pytest.mark.slow] if name == "stream" else [],
            id=f"{name}-{parameter.name}-{value}",
        )
        for name, command in cli.commands.items()
        for parameter in command.params
        if isinstance(parameter.type, click.Choice)
        for value in parameter.type.choices
    ]


@pytest.fixture
def run_dir(tmp_path):
    """What ``mtfx ranking`` leaves, as far as it is looked at before a pipeline runs."""
    directory = tmp_path / "run"
    (directory / "report").mkdir(parents=True)
    (directory / "metadata.db").touch()
    data = {"dataset": "synthetic-video", "data_dir": str(tmp_path / "video")}
    (directory / "report" / "summary.json").write_text(json.dumps({"config": {"data": data}}))
    return directory


@pytest.fixture
def pipelines(monkeypatch):
    """The pipelines that a command would have run."""
    found: list[Any] = []

    def run(pipeline, *_):
        found.append(pipeline)
        raise StageError("none", "as far as this test goes")

    monkeypatch.setattr(local_runner, "run", run)
    monkeypatch.setattr(InfraValidation, "check", lambda self: None)
    return found


def build_fusion_stages(pipeline) -> None:
    """What the executors of a fusion pipeline make of their parameters."""
    for stage in pipeline.components:
        properties = stage.exec_properties
        if stage.id.startswith("Trainer-"):
            trainer = FusionTrainerConfig.from_dict(json.loads(properties["custom_config"]))
            build_agent(
                trainer.method,
                4,
                2,
                trainer.agent,
                candidates=3 if AGENTS[trainer.method].needs_candidates else 0,
            )
        elif stage.id.startswith("PolicySearch-"):
            search = PolicySearchConfig.from_json(properties["search"])
            SEARCHES[search.method].config.from_dict(dict(search.settings))
            config = FusionConfig.from_dict(json.loads(properties["fusion"]))
            assert build_fusion(config, 3).action_dim == 3
        elif stage.id.startswith("SimulatedInteractionGen"):
            explored = SimulatedInteractionConfig.from_json(properties["config"])
            build_exploration(explored.exploration, 3, Middle())
            build_reward(explored.simulator.reward, ("click", "like"))
            build_fusion(explored.fusion, 3)
        elif stage.id == "PolicyEvaluator":
            judged = PolicyEvaluatorConfig.from_json(properties["config"])
            assert judged.deciding in dict(judged.estimators)
            for name, settings in judged.estimators:
                build_estimator(name, settings, judged.bootstrap)
        elif stage.id == "SimulatorGen":
            WorldConfig.from_json(properties["config"])


class Middle:
    """A policy to explore around."""

    def actions(self, states, users, seed):
        size = tf.shape(states)[0]
        return ActionSample(tf.zeros([size, 3]), tf.zeros([size]))


def build_ranking(config: RankingPipelineConfig) -> None:
    """Model, training and evaluation of a ranking pipeline's configuration."""
    tasks = config.data.selected_tasks()
    model = config.model
    build_backbone(model.backbone, tasks, model.sizes)
    build_loss_weighting(model.loss_weighting, tasks, [1.0] * len(tasks), seed=0)
    assert (config.rmtl is None) == (config.method_options.name == "supervised")
    assert config.training.batch_size
    assert config.thresholds


def run_fusion_command(name, arguments, run_dir, pipelines):
    small = ["--run-dir", str(run_dir), *arguments]
    assert main([name, *small]) == 1
    [pipeline] = pipelines
    build_fusion_stages(pipeline)


def fusion(arguments, run_dir, pipelines, **_):
    # What is explored around is one of the baselines.
    explored = arguments[1] if arguments[0] == "--explore-around" else "constant"
    layers = ["--set", "hidden_units=(8,8)", "--baselines", explored]
    run_fusion_command("fusion", [*layers, *arguments], run_dir, pipelines)


def simulator(arguments, run_dir, pipelines, **_):
    run_fusion_command("simulator", arguments, run_dir, pipelines)


def ranking(arguments, monkeypatch, tmp_path, **_):
    found = []
    monkeypatch.setattr("mtfx.cli.ranking.run", lambda config, _: found.append(config))
    data = tmp_path / "video"
    data.mkdir()
    (data / "log_standard_1.csv").touch()
    paths = ["--dataset", "synthetic-video", "--data-dir", str(data), "--tasks", "click,like"]
    # ESMM's tasks follow one another, and RMTL takes binary ones.
    assert main(["ranking", *paths, "--output-dir", str(tmp_path / "out"), *arguments]) == 0
    build_ranking(found[0])


def daily(arguments, run_dir, pipelines, **_):
    from mtfx.cli import daily as command
    from mtfx.pipelines.fusion import run_fusion

    needed = ["--dataset", "synthetic-video", "--data-dir", "video", "--span", "1"]
    small = ["--set", "hidden_units=(8,8)", "--tasks", "click,like"]
    parsed = command.daily_command.make_context(
        "daily", [*needed, "--output-dir", str(run_dir), *small, *arguments]
    ).params
    config = command._config(parsed)
    build_ranking(config.ranking)
    with pytest.raises(StageError, match="as far as this test goes"):
        run_fusion(config.fusion, local_runner.SilentObserver())
    build_fusion_stages(pipelines[0])


def compile_(arguments, monkeypatch, tmp_path, **_):
    built = []

    def compile_pipeline(pipeline, *_):
        built.append(pipeline)
        raise StageError("none", "as far as this test goes")

    monkeypatch.setattr("mtfx.pipelines.kubeflow.runner.compile_pipeline", compile_pipeline)
    kind = "ranking" if {"--backbone", "--model-size", "--strategy"} & set(arguments) else "fusion"
    given = [*arguments, *([] if "--pipeline" in arguments else ["--pipeline", kind])]
    given += [] if "--runner" in arguments else ["--runner", "kubeflow"]
    places = ["--image", "i", "--pipeline-root", "gs://b/root", "--data-dir", "gs://b/data"]
    output = ["--dataset", "synthetic-video", "--output-dir", str(tmp_path / "out")]
    assert main(["compile", *given, *places, *output]) == 1
    assert len(built) == 1
    if "ranking" not in given:
        build_fusion_stages(built[0])


def stream(arguments, tmp_path, **_):
    method = arguments[1]
    meaning = build_fusion_meaning(method)
    arriving = tmp_path / "interactions"
    arriving.mkdir()
    TransitionManifest(SPEC, {}, 1, 2, fusion=meaning).write(str(arriving))
    options = tf.io.TFRecordOptions(compression_type="GZIP")
    with tf.io.TFRecordWriter(str(arriving / "a.gz"), options) as writer:
        for record in encode_transitions(random_batch(6), SPEC):
            writer.write(record)
    small = ["--set", "hidden_units=(8,8)", "--set", "batch_size=4", "--set", "buffer_size=50"]
    paths = ["--interactions", str(arriving), "--output-dir", str(tmp_path / "out")]
    assert main(["stream", *paths, *small, "--export-every", "4", *arguments]) == 0


def build_fusion_meaning(method):
    if method != "xmtf":
        return FusionConfig().action_meaning()
    cells = AGENTS["xmtf"].config().cells
    return FormulaFreeConfig(cells.low, cells.high).action_meaning()


def synthesize(arguments, tmp_path, **_):
    paths = ["--impressions", "1000", "--output-dir", str(tmp_path / "data")]
    assert main(["synthesize", *paths, *arguments]) == 0
    assert any((tmp_path / "data").iterdir())


def experiment(arguments, tmp_path, **_):
    scaled = arguments[0] == "--scale"
    name, scale = ("batchrl-table1", arguments[1]) if scaled else (arguments[0], "small")
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "events.csv").write_text(
        "timestamp,visitorid,event,itemid,transactionid\n"
    )
    entry = EXPERIMENTS[name]
    where = {"world": str(tmp_path)}
    if entry.kind == "ranking":
        where = {"dataset": "retailrocket", "data_dir": str(tmp_path / "shop")}
    given = {**where, "output_dir": str(tmp_path / "out")}
    if entry.kind != "ranking":
        given["scale"] = scale
    context = cli.commands["experiment"].make_context(
        "experiment",
        [name, *(part for key, value in given.items() for part in (option(key), value))],
    )
    flags = GivenFlags(context.params, frozenset(given))
    design = entry.design(kind_of(name, flags).read(entry, flags).options)
    assert design.trials
    assert design.tables
    assert callable(load_trial_function(entry.trial_function))


def option(name):
    return "--" + name.replace("_", "-")


def compare(arguments, **_):
    rng = np.random.default_rng(0)
    days = np.repeat([0, 1], 60)
    arms = [
        ArmLog(name, np.tile(np.arange(60), 2), days, rng.gamma(2.0, 1.0, (120, 3)))
        for name in ("a", "b")
    ]
    settings = TrialSettings(metric=arguments[1], min_users=20)
    assert judge_trial(*arms, ("one", "two"), settings).metrics[arguments[1]].looks


def join_feedback(arguments, **_):
    assert FeedbackJoinConfig(("click",), missing=arguments[1]).missing == arguments[1]


BUILD = {
    "fusion": fusion,
    "simulator": simulator,
    "ranking": ranking,
    "daily": daily,
    "compile": compile_,
    "stream": stream,
    "synthesize": synthesize,
    "experiment": experiment,
    "compare": compare,
    "join-feedback": join_feedback,
}


@pytest.mark.parametrize(("command", "parameter", "value"), choices())
def test_every_value_that_is_offered_is_built(
    command, parameter, value, run_dir, pipelines, monkeypatch, tmp_path
):
    [found] = [one for one in cli.commands[command].params if one.name == parameter]
    arguments = [value] if isinstance(found, click.Argument) else [found.opts[0], value]
    more = {"ranking": {"esmm": ["--tasks", "click,long_view"]}}.get(command, {}).get(value, [])
    BUILD[command](
        [*arguments, *more],
        run_dir=run_dir,
        pipelines=pipelines,
        monkeypatch=monkeypatch,
        tmp_path=tmp_path,
    )


def test_every_command_with_choices_is_built():
    assert {one.values[0] for one in choices()} == set(BUILD)


@pytest.mark.parametrize("method", AGENTS)
def test_a_method_is_no_baseline_of_its_own(method, run_dir, pipelines):
    """Seen: `mtfx compile --method td3` made the stage Trainer-td3 twice, and ended in TFX."""
    arguments = ["--method", method, "--set", "hidden_units=(8,8)"]
    run_fusion_command("fusion", [*arguments, "--baselines", ",".join(AGENTS)], run_dir, pipelines)
    config = FusionPipelineConfig(run_dir="", method=method, baselines=tuple(AGENTS))
    assert config.baselines == tuple(name for name in AGENTS if name != method)


@pytest.mark.parametrize("name", [*AGENTS, *SEARCHES])
def test_every_baseline_is_built(name, run_dir, pipelines):
    layers = ["--set", "hidden_units=(8,8)"]
    run_fusion_command(
        "fusion",
        [*layers, "--baselines", f"constant,{name}" if name != "constant" else name],
        run_dir,
        pipelines,
    )
    ids = {stage.id for stage in pipelines[0].components}
    assert f"Trainer-{name}" in ids or f"PolicySearch-{name}" in ids


WORDS = {"outer": OUTER_STAGES, "transfer": TRANSFERS, "cells.family": CELL_FAMILIES}


def test_every_word_among_the_agents_settings_is_tried():
    words = {
        line.partition("=")[0]
        for method in AGENTS
        for line, value in zip(settings_help(method), agent_values(method), strict=True)
        if isinstance(value, str)
    }
    assert words == set(WORDS)


def agent_values(method):
    values = AGENTS[method].config().to_dict()
    flat = []
    for name, value in values.items():
        if isinstance(value, dict):
            flat += value.values()
        elif name not in ("train_steps", "batch_size"):
            flat.append(value)
    return flat


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in WORDS.items() for value in values]
)
def test_every_word_of_a_setting_is_built(name, value, run_dir, pipelines):
    arguments = ["--method", "xmtf", "--set", f"{name}={value}", "--set", "hidden_units=(8,8)"]
    run_fusion_command("fusion", [*arguments, "--baselines", "constant"], run_dir, pipelines)


@pytest.mark.parametrize(
    ("config", "name"),
    [
        (config, name)
        for config in (RmtlTrialSettings(), FusionSettings(), XmtfSettings())
        for name in settings_of(config)
    ],
)
def test_every_choice_of_an_experiments_setting_is_one(config, name):
    setting = settings_of(config)[name]
    words = get_args(setting.kind) or (recorded(setting.default),)
    for value in words:
        assert read_setting(config, name, value) == value
    assert recorded(setting.default) in words


@pytest.mark.slow
@pytest.mark.parametrize("name", ESTIMATORS)
def test_every_estimator_of_a_run_estimates(name):
    """With the settings that a run gives it, but for the steps."""
    batch = random_batch(40)
    _, session = np.unique(batch.session_id, return_inverse=True)
    data = OfflineData.from_arrays(
        states=batch.state,
        actions=batch.action,
        rewards=batch.reward,
        next_states=batch.next_state,
        discounts=batch.discount,
        session=session,
        step=batch.step,
        log_density=np.full(batch.size, -2.0),
    )
    settings = dict(default_estimators(deciding=name))[name]
    if hasattr(settings, "fitted_q"):
        short = dataclasses.replace(settings.fitted_q, steps=20)
        settings = dataclasses.replace(settings, fitted_q=short)
    elif hasattr(settings, "steps"):
        settings = dataclasses.replace(settings, steps=20)
    found = build_estimator(name, settings).estimate(data, Middle(), seed=0)
    assert np.isfinite([found.value, found.low, found.high]).all()
