from typing import get_args

import pytest

from mtfx.datasets.rewards import REWARD_PRESETS
from mtfx.experiments.engine.design import FusionOptions
from mtfx.experiments.xmtf.tables import LAMBDAS, curves, sweep, table_3
from mtfx.experiments.xmtf.trial import (
    METHODS,
    SMALL,
    WATCH_TIME,
    RewardName,
    XmtfSettings,
    XmtfTrial,
    online_method,
)
from mtfx.setting import read_setting

CHANGED = (
    ("lambda", 0.9),
    ("largest_coefficient", 1.0),
    ("cell_scale", 2.0),
    ("margin", 0.1),
    ("steps", 7),
    ("cem_population", 5),
    ("rho", 0.3),
    ("candidates", 9),
)


@pytest.mark.parametrize(
    ("subject", "concerned"),
    [
        ("equal", {"candidates"}),
        ("longest", {"candidates"}),
        ("cem_1", {"candidates", "steps", "cem_population"}),
        ("td3_2", {"candidates", "steps"}),
        ("batchrl_2", {"candidates", "steps", "rho"}),
        ("xmtf", {"candidates", "steps", "lambda", "cell_scale", "margin", "largest_coefficient"}),
        (
            "xmtf_basis",
            {"candidates", "steps", "lambda", "cell_scale", "margin", "largest_coefficient"},
        ),
        # There are no cells whose loss λ could weigh.
        ("xmtf_no_inner", {"candidates", "steps", "largest_coefficient"}),
        ("xmtf_no_outer", {"candidates", "steps", "lambda", "cell_scale", "margin"}),
    ],
)
def test_a_trial_has_the_settings_that_can_change_its_result(subject, concerned):
    trial = XmtfTrial(subject, 0, CHANGED)
    assert {name for name, _ in trial.settings} == concerned
    assert trial.config.rho == (0.3 if subject == "batchrl_2" else 0.15)


def test_a_default_that_is_given_makes_no_other_trial():
    assert XmtfTrial("xmtf", 1, (("lambda", 0.4),)) == XmtfTrial("xmtf", 1)
    assert XmtfTrial("xmtf", 1).key == "online-xmtf-seed1"
    assert XmtfTrial("xmtf", 1, (("lambda", 0.1),)).key != XmtfTrial("xmtf", 1).key


def test_what_is_unknown_is_named():
    with pytest.raises(ValueError, match="no method 'ddpg'; there are: equal, cem_1"):
        online_method("ddpg")
    with pytest.raises(ValueError, match="seed must not be negative"):
        XmtfTrial("xmtf", -1)
    with pytest.raises(ValueError, match="inner_candidates must be at least 2"):
        read_setting(XmtfSettings(), "inner_candidates", 1)
    assert read_setting(XmtfSettings(), "lambda", "0") == 0.0


def test_rewards_are_those_that_there_are():
    assert get_args(RewardName) == (WATCH_TIME, *REWARD_PRESETS)


def test_the_papers_hyper_parameters_are_the_defaults():
    trial = XmtfTrial("xmtf", 0)
    papers = {
        "actor_learning_rate": 1e-4,
        "critic_learning_rate": 2e-4,
        "inner_learning_rate": 2e-4,
        "gamma": 0.9,
        "buffer_size": 1_000_000,
        "batch_size": 1024,
        "lambda_": 0.4,
    }
    assert {name: getattr(trial.config, name) for name in papers} == papers
    assert all(read_setting(XmtfSettings(), name, value) == value for name, value in SMALL.items())


def test_the_experiments_share_their_trials_and_finish_seed_by_seed():
    options = FusionOptions((0, 1))
    keys = {make.__name__: [t.key for t in make(options).trials] for make in (table_3, sweep)}
    # xMTF with either transfer loss, but not what shows the longest expected.
    columns = len(METHODS)
    assert len(keys["table_3"]) == 2 * columns
    assert [key.split("seed")[1][0] for key in keys["table_3"]] == ["0"] * columns + ["1"] * columns
    assert set(keys["table_3"]) & set(keys["sweep"]) == {"online-xmtf-seed0", "online-xmtf-seed1"}
    drawn = {trial.key for trial in curves(options).trials}
    assert drawn == {*keys["sweep"], "online-xmtf_basis-seed0", "online-xmtf_basis-seed1"}


def test_the_sweep_varies_lambda_and_nothing_else():
    [table] = sweep(FusionOptions((3,), (("steps", 7), ("lambda", 0.2)))).tables
    trials = [column.trials[0] for column in table.columns]
    assert [trial.config.lambda_ for trial in trials] == list(LAMBDAS)
    assert {trial.config.steps for trial in trials} == {7}
    assert {trial.seed for trial in trials} == {3}
