"""The real executor on transition files of a test's own, and the Pusher behind it."""

import json
import os

import numpy as np
import pytest
import tensorflow as tf
from tfx.components import Pusher
from tfx.components.evaluator import constants
from tfx.dsl.components.common.importer import Importer
from tfx.orchestration.local.local_dag_runner import LocalDagRunner
from tfx.orchestration.metadata import sqlite_metadata_connection_config
from tfx.orchestration.pipeline import Pipeline
from tfx.proto.pusher_pb2 import PushDestination
from tfx.types import standard_artifacts
from tfx.utils import path_utils

from mtfx.components.artifacts import Simulator as SimulatorArtifact
from mtfx.components.cluster.current_model import CurrentModel
from mtfx.components.policy_evaluator.component import Executor, PolicyEvaluator
from mtfx.components.policy_evaluator.config import PolicyEvaluatorConfig
from mtfx.datasets.transitions.codec import encode_transitions
from mtfx.datasets.transitions.spec import TransitionManifest, TransitionSpec
from mtfx.environments.simulator.config import SimulatorConfig
from mtfx.environments.simulator.dynamics import Simulator
from mtfx.environments.simulator.world import save_world
from mtfx.errors import DataError
from mtfx.evaluation.config import BlessingConfig
from mtfx.evaluation.ope.config import (
    BootstrapConfig,
    ConservativeConfig,
    DoublyRobustConfig,
    FittedQConfig,
    ImportanceSamplingConfig,
)
from mtfx.models.export.policy import PolicyMetadata, PolicyModule, export_policy
from mtfx.models.fusion.config import FormulaFreeConfig, FusionConfig
from tests.simulator_worlds import FEEDBACKS, random_world
from tests.transition_batches import random_batch

RULES = SimulatorConfig(candidates=10, max_views=5)
WORLD = random_world(users=6, pool=15)
STATE_DIM = Simulator(WORLD, RULES).state_dim
SPEC = TransitionSpec(STATE_DIM, WORLD.prediction_names, FEEDBACKS, 3)
FIT = {"steps": 30, "batch_size": 64, "hidden_units": (8,)}
LENIENT = BlessingConfig(reference="low", max_drop=100.0)
CONFIG = PolicyEvaluatorConfig(
    estimators=(
        ("conservative", ConservativeConfig(**FIT)),
        ("importance_sampling", ImportanceSamplingConfig(bandwidth=0.3)),
    ),
    bootstrap=BootstrapConfig(resamples=50),
    blessing=LENIENT,
    simulator=RULES,
    simulated_sessions=40,
)


def personal(states):
    return 0.6 * tf.tanh(states[:, :3])


def export(function, directory, state_dim=STATE_DIM, method="bcq", trained=None):
    """A policy as the trainer leaves it; the model artifact of it."""
    artifact = standard_artifacts.Model()
    artifact.uri = str(directory)
    artifact.id = 7 if method == "bcq" else 3
    export_policy(
        PolicyModule(function, [], state_dim),
        path_utils.serving_model_dir(artifact.uri),
        PolicyMetadata(
            method, state_dim, 3, WORLD.prediction_names, FusionConfig().to_dict(), trained or {}
        ),
    )
    return artifact


def write_interactions(
    directory, known_densities=False, seed=0, fusion=None, reward=None, sessions=60
):
    batch = random_batch(sessions, SPEC, seed)
    if reward is not None:
        batch.reward[:] = reward
    if known_densities:
        batch.log_density[:] = -2.0
    os.makedirs(directory / "Split-eval")
    with tf.io.TFRecordWriter(str(directory / "Split-eval" / "data.gz"), "GZIP") as writer:
        for record in encode_transitions(batch, SPEC):
            writer.write(record)
    meaning = None if fusion is None else fusion.action_meaning()
    TransitionManifest(SPEC, {}, 0, 1, fusion=meaning).write(str(directory))
    artifact = standard_artifacts.Examples()
    artifact.uri, artifact.split_names = str(directory), '["train", "eval"]'
    return artifact


class Run:
    """One execution: its summary and its blessing."""

    def __init__(self, directory, inputs, config=CONFIG):
        self.blessing = standard_artifacts.ModelBlessing()
        self.blessing.uri = str(directory / "blessing")
        evaluation = standard_artifacts.ModelEvaluation()
        evaluation.uri = str(directory / "evaluation")
        Executor().Do(
            {name: [artifact] for name, artifact in inputs.items()},
            {"evaluation": [evaluation], "blessing": [self.blessing]},
            {
                "config": config.to_json(),
                "current_component_id": "PolicyEvaluator",
            },
        )
        self.summary = json.loads((directory / "evaluation" / "summary.json").read_text())
        self.files = set(os.listdir(directory / "blessing"))


@pytest.fixture(scope="module")
def interactions(tmp_path_factory):
    return write_interactions(tmp_path_factory.mktemp("interactions") / "examples")


@pytest.mark.parametrize(
    ("method", "collapsed"), [("constant", False), ("bo", False), ("es", True), ("bcq", True)]
)
def test_only_weights_for_everybody_may_be_the_same_in_all_states(
    interactions, tmp_path, method, collapsed
):
    policy = export(
        lambda states: tf.zeros([tf.shape(states)[0], 3]), tmp_path / "policy", method=method
    )
    run = Run(tmp_path, {"interactions": interactions, "policy": policy})
    assert any("has collapsed" in reason for reason in run.summary["reasons"]) == collapsed
    assert ("NOT_BLESSED" in run.files) == collapsed


def test_a_policy_is_valued_against_the_current_one(interactions, tmp_path):
    world = SimulatorArtifact()
    world.uri = str(tmp_path / "world")
    save_world(WORLD, world.uri)
    inputs = {
        "interactions": interactions,
        "policy": export(personal, tmp_path / "new"),
        "baseline_policy": export(lambda s: -personal(s), tmp_path / "old", method="td3"),
        "simulator": world,
    }
    run = Run(tmp_path, inputs)
    assert run.summary["method"] == "bcq"
    assert run.summary["blessed"] is True
    assert run.files == {"BLESSED"}
    blessing = run.blessing
    assert blessing.get_int_custom_property("blessed") == constants.BLESSED_VALUE
    assert blessing.get_int_custom_property("current_model_id") == 7
    assert blessing.get_string_custom_property("current_model") == inputs["policy"].uri
    assert blessing.get_int_custom_property("baseline_model_id") == 3
    assert blessing.get_string_custom_property("component_id") == "PolicyEvaluator"
    estimate = run.summary["estimates"]["conservative"]
    assert estimate["low"] < estimate["value"] < estimate["high"]
    assert run.summary["current"]["conservative"]["value"] != estimate["value"]
    # A fifth of the random log has no density: said, and no failure.
    assert "transitions have none" in run.summary["not_estimated"]["importance_sampling"]
    assert set(run.summary["simulated"]) == {"policy", "current"}
    figures = {
        kind: run.summary[kind]["policy"]["views"] for kind in ("simulated", "simulated_training")
    }
    assert all(1 <= views <= 5 for views in figures.values())
    assert figures["simulated"] != figures["simulated_training"]
    assert run.summary["action_names"] == list(WORLD.prediction_names)
    returns = [0.0] * 60
    batch = random_batch(60, SPEC)
    for session, step, reward in zip(batch.session_id, batch.step, batch.reward, strict=True):
        returns[int(session[1:])] += 0.95**step * reward
    assert run.summary["logged"]["value"] == pytest.approx(np.mean(returns), rel=1e-4)
    assert run.summary["gamma"] == 0.95
    assert run.summary["bar"] == pytest.approx(
        run.summary["current"]["conservative"]["low"] - LENIENT.max_drop
    )
    assert run.summary["bar_source"] == "the current policy's lower bound"


def test_an_artifact_without_a_model_is_no_current_policy(interactions, tmp_path):
    model = standard_artifacts.Model()
    model.uri = str(tmp_path / "model")
    CurrentModel.test_call(push_dir=str(tmp_path / "pushed"), model=model)
    inputs = {"interactions": interactions, "policy": export(personal, tmp_path / "new")}
    run = Run(tmp_path, {**inputs, "baseline_policy": model})
    assert run.summary["current"] == {}
    assert not run.blessing.has_custom_property("baseline_model_id")


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (lambda s: 0.2 + 0 * s[:, :3], "collapsed: its action is the same"),
        (lambda s: tf.sign(s[:, :3]), "collapsed: its actions are at their bounds"),
        (lambda s: tf.where(s[:, :3] > 0.5, np.nan, 0.1), "NaN or infinite"),
    ],
)
def test_a_policy_that_collapsed_is_refused_and_the_run_goes_on(
    interactions, tmp_path, function, reason
):
    run = Run(tmp_path, {"interactions": interactions, "policy": export(function, tmp_path / "p")})
    assert run.summary["blessed"] is False
    assert any(reason in sentence for sentence in run.summary["reasons"])
    assert run.files == {"NOT_BLESSED"}
    assert run.blessing.get_int_custom_property("blessed") == constants.NOT_BLESSED_VALUE
    assert not run.blessing.has_custom_property("baseline_model_id")


def test_densities_are_used_where_they_are_logged(tmp_path):
    weighting = ImportanceSamplingConfig(bandwidth=0.5)
    config = PolicyEvaluatorConfig(
        estimators=(
            ("importance_sampling", weighting),
            ("doubly_robust", DoublyRobustConfig(weighting, FittedQConfig(**FIT))),
        ),
        deciding="doubly_robust",
        bootstrap=BootstrapConfig(resamples=50),
        blessing=BlessingConfig(max_drop=100.0, min_effective_sessions=1.0),
    )
    inputs = {
        "interactions": write_interactions(tmp_path / "examples", known_densities=True),
        "policy": export(personal, tmp_path / "new"),
    }
    run = Run(tmp_path, inputs, config)
    assert run.summary["not_estimated"] == {}
    sampled = run.summary["estimates"]["importance_sampling"]["diagnostics"]
    assert 1 <= sampled["effective_sample_size"] <= 60
    assert run.summary["blessed"] is True
    earned = "what the log's own policy earned in 60 held-out sessions"
    assert run.summary["notes"][0].startswith(
        f"there is no current policy to compare with; the bar is {earned}"
    )
    assert run.summary["bar"] == pytest.approx(run.summary["logged"]["low"] - 100.0)
    assert earned in (tmp_path / "evaluation" / "index.html").read_text().replace("&#39;", "'")


@pytest.mark.parametrize("reward", [0.0, 1.5])
@pytest.mark.parametrize("with_current", [True, False])
def test_rewards_that_do_not_differ_bless_nothing(tmp_path, reward, with_current):
    """Seen: feedback that met no request, rewards of 0 alone, and the policy was pushed."""
    inputs = {
        "interactions": write_interactions(tmp_path / "examples", reward=reward),
        "policy": export(personal, tmp_path / "new"),
    }
    if with_current:
        inputs["baseline_policy"] = export(lambda s: -personal(s), tmp_path / "old", method="td3")
    run = Run(tmp_path, inputs)
    assert run.files == {"NOT_BLESSED"}
    [reason] = run.summary["reasons"]
    assert f"held-out sessions are {reward:.4g}, which tells no policy from another" in reason
    assert run.summary["estimates"] == {}
    assert run.summary["bar"] is None


def test_what_the_deciding_estimator_cannot_judge_is_not_blessed(interactions, tmp_path):
    """A fifth of the log's densities are unknown; one session gives no interval."""
    inputs = {"interactions": interactions, "policy": export(personal, tmp_path / "new")}
    config = PolicyEvaluatorConfig(
        estimators=(("importance_sampling", ImportanceSamplingConfig(bandwidth=0.3)),),
        deciding="importance_sampling",
    )
    run = Run(tmp_path, inputs, config)
    assert run.files == {"NOT_BLESSED"}
    assert (
        "could not be estimated: importance weights need the density" in run.summary["reasons"][0]
    )
    single = tmp_path / "single"
    single.mkdir()
    inputs["interactions"] = write_interactions(single / "examples", sessions=1, seed=3)
    run = Run(single, inputs)
    assert run.files == {"NOT_BLESSED"}
    assert "1 session, and an interval needs two" in run.summary["reasons"][0]


def test_a_policy_of_another_discount_is_named(interactions, tmp_path):
    policy = export(personal, tmp_path / "new", trained={"trainer": {"agent": {"gamma": 0.9}}})
    run = Run(tmp_path, {"interactions": interactions, "policy": policy})
    assert "trained with a discount of 0.9 per request, and is judged with 0.95" in (
        " ".join(run.summary["notes"])
    )


def test_inputs_that_do_not_fit(interactions, tmp_path):
    small = export(lambda s: s[:, :3], tmp_path / "small", state_dim=4)
    with pytest.raises(DataError, match=f"size 4 .* states of size {STATE_DIM}"):
        Run(tmp_path, {"interactions": interactions, "policy": small})
    with pytest.raises(DataError, match="holds no fusion policy"):
        Run(tmp_path, {"interactions": interactions, "policy": interactions})
    other = write_interactions(tmp_path / "other", fusion=FormulaFreeConfig(-0.4, 4.0))
    with pytest.raises(DataError, match=r"actions of the fusion \{'formula': 'xmtf'.*'formula2'"):
        Run(tmp_path, {"interactions": other, "policy": export(personal, tmp_path / "weights")})
    assert not (tmp_path / "blessing").exists()
    # A current policy of another ranking model is not compared with, which is no failure.
    policy = export(personal, tmp_path / "new")
    run = Run(tmp_path, {"interactions": interactions, "policy": policy, "baseline_policy": small})
    assert run.summary["current"] == {}
    assert "state dim 4 instead of" in run.summary["notes"][-1]


def test_settings():
    restored = PolicyEvaluatorConfig.from_json(CONFIG.to_json())
    assert restored.to_dict() == CONFIG.to_dict()
    assert restored.estimators == CONFIG.estimators
    assert PolicyEvaluatorConfig.from_json(PolicyEvaluatorConfig().to_json()).gamma == 0.95
    for message, settings in {
        "no estimator 'x'": {"estimators": (("x", FittedQConfig()),)},
        "deciding is 'fqe', which is none": {**vars(CONFIG), "deciding": "fqe"},
        "named twice": {"estimators": (("fqe", FittedQConfig()),) * 2, "deciding": "fqe"},
        "not by ConservativeConfig": {
            "estimators": (("fqe", ConservativeConfig()),),
            "deciding": "fqe",
        },
        "several discounts": {
            "estimators": (
                ("conservative", ConservativeConfig()),
                ("fqe", FittedQConfig(gamma=0.9)),
            )
        },
        "estimators discount by 0.9, the reward by 0.95": {
            "estimators": (("conservative", ConservativeConfig(gamma=0.9)),)
        },
        "max_transitions must be at least 1": {"max_transitions": 0},
    }.items():
        with pytest.raises(ValueError, match=message):
            PolicyEvaluatorConfig(**settings)


@pytest.mark.slow
@pytest.mark.parametrize("function", [personal, lambda s: 0.2 + 0 * s[:, :3]])
def test_the_pusher_takes_the_blessing(tmp_path, interactions, function):
    policy = export(function, tmp_path / "policy")
    blessed = function is personal
    examples = Importer(
        source_uri=interactions.uri,
        artifact_type=standard_artifacts.Examples,
        properties={"split_names": interactions.split_names},
    ).with_id("Examples")
    model = Importer(source_uri=policy.uri, artifact_type=standard_artifacts.Model).with_id("Model")
    evaluator = PolicyEvaluator(
        interactions=examples.outputs["result"], policy=model.outputs["result"], config=CONFIG
    )
    pusher = Pusher(
        model=model.outputs["result"],
        model_blessing=evaluator.outputs["blessing"],
        push_destination=PushDestination(
            filesystem=PushDestination.Filesystem(base_directory=str(tmp_path / "pushed"))
        ),
    )
    LocalDagRunner().run(
        Pipeline(
            pipeline_name="p",
            pipeline_root=str(tmp_path / "root"),
            components=[examples, model, evaluator, pusher],
            metadata_connection_config=(
                sqlite_metadata_connection_config(str(tmp_path / "metadata.db"))
            ),
        )
    )
    pushed = tmp_path / "pushed"
    assert (pushed.exists() and len(os.listdir(pushed)) == 1) == blessed
