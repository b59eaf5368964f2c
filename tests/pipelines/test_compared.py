"""The policies that are compared, and the simulated users that they are tried on."""

import json

import numpy as np
import pytest

from mtfx.environments.simulator.user_groups import user_groups
from mtfx.environments.simulator.world import save_world
from mtfx.errors import DataError, UserError
from mtfx.evaluation.ab_test.trial import TrialSettings
from mtfx.models.fusion.config import FusionConfig
from mtfx.pipelines.compare import CompareOptions, run_compare
from mtfx.pipelines.compared_policies import CONSTANT, FusionRun
from mtfx.pipelines.simulated_trial import simulated_arms
from mtfx.serving.exploration import TrialPlan
from tests.simulator_worlds import random_world


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    directory = tmp_path_factory.mktemp("run")
    save_world(random_world(users=30, pool=20), directory / "world")
    (directory / "fusion" / "report").mkdir(parents=True)
    config = {"candidates": 5, "reward": "default", "formula": FusionConfig().formula}
    summary = {"config": config, "simulator": str(directory / "world")}
    (directory / "fusion" / "report" / "summary.json").write_text(json.dumps(summary))
    for stage, number in (("Trainer-td3", 9), ("Trainer-td3", 10), ("PolicySearch-bo", 3)):
        path = directory / "fusion" / "pipeline" / stage / "model" / str(number)
        (path / "Format-Serving").mkdir(parents=True)
    return FusionRun(str(directory))


def test_a_methods_policy_is_the_one_made_last(run):
    found = run.methods()
    assert list(found) == ["bo", "td3"]
    assert found["td3"].endswith("/10/Format-Serving")


def test_a_policy_that_is_not_there_or_cannot_be_read_is_named(run):
    with pytest.raises(UserError, match="--control cem: neither") as caught:
        run.policy("--control", "cem")
    assert caught.value.hint == "the run has bo, constant, td3"
    with pytest.raises(DataError, match="holds no policy or ranker of MTFX"):
        run.policy("--control", "td3")


@pytest.mark.parametrize("content", ["", "{}", '{"config": [], "simulator": "x"}'])
def test_a_run_without_a_readable_report_says_what_to_do(tmp_path, content):
    report = tmp_path / "fusion" / "report"
    report.mkdir(parents=True)
    (report / "summary.json").write_text(content)
    with pytest.raises(UserError, match="the report of `mtfx fusion`") as caught:
        FusionRun(str(tmp_path))
    assert "compare logs with --interactions" in caught.value.hint


def test_every_user_has_a_session_a_day_in_one_arm(run):
    constant, told = run.policy("--control", CONSTANT), []
    both = (constant, constant._replace(name="again"))
    arms = simulated_arms(run, both, TrialPlan(0.5), 3, 1, lambda *what: told.append(what))
    judged = len(user_groups(np.arange(30)).evaluation)
    assert sum(arm.users for arm in arms) == judged
    assert told == [(arm.name, 3 * arm.users) for arm in arms]
    for arm in arms:
        assert np.bincount(arm.user).tolist() == [3] * arm.users
        assert (arm.values[:, 1] >= 1).all()
    with pytest.raises(UserError, match=f"groups of {judged} and 0") as caught:
        simulated_arms(run, both, TrialPlan(0.0), 3, 1, lambda *what: None)
    assert "--treatment-share" in caught.value.hint


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, "give either"),
        ({"run_dir": "x", "interactions": "y"}, "give either"),
        ({"run_dir": "x", "days": 0}, "--days must be at least 1"),
        ({"run_dir": "x", "seed": -1}, "--seed"),
        ({"run_dir": "x", "feedback_names": ("like",)}, "--feedback is for"),
        ({"interactions": "y"}, "takes --feedback"),
        ({"interactions": "y", "feedback_names": ("like",), "treatment": "a"}, "both a"),
    ],
)
def test_a_comparison_of_nothing_is_refused(changes, message):
    with pytest.raises(UserError, match=message):
        CompareOptions(**{"control": "a", "treatment": "b", "output_dir": "out", **changes})


def test_nothing_is_written_of_a_log_that_is_not_there(tmp_path):
    options = CompareOptions(
        "a",
        "b",
        str(tmp_path / "out"),
        interactions=str(tmp_path),
        feedback_names=("like",),
        settings=TrialSettings(),
    )
    with pytest.raises(DataError, match="holds no Parquet file"):
        run_compare(options, lambda *what: None)
    assert list(tmp_path.iterdir()) == []
