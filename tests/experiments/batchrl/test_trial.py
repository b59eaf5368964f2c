import dataclasses
import re
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtfx.experiments.batchrl.policies import (
    ACCURACY_POLICIES,
    POLICIES,
    TABLE_1_POLICIES,
    policy_spec,
    trained_as,
)
from mtfx.experiments.batchrl.trial import (
    ESTIMATOR_NAMES,
    LOGS,
    SMALL,
    FormulaName,
    FusionSettings,
    FusionTrial,
)
from mtfx.experiments.engine.trial import with_requirements
from mtfx.setting import read_setting


def stages(trial):
    return [(other.stage, other.subject) for other in with_requirements([trial])]


def test_the_second_log_explores_around_the_agent_trained_on_the_first():
    assert stages(FusionTrial("evaluation", "td3", 0)) == [
        ("log", "random"),
        ("policy", "bcq_re"),
        ("log", "mixed"),
        ("policy", "td3"),
        ("evaluation", "td3"),
    ]
    assert stages(FusionTrial("policy", "bcq_re", 0)) == [("log", "random"), ("policy", "bcq_re")]
    # Measured on the same held-out sessions as the others.
    assert ("log", "mixed") in stages(FusionTrial("evaluation", "bcq_re", 0))
    assert ("policy", "constant") not in stages(FusionTrial("evaluation", "constant", 0))


def test_estimates_need_the_evaluation_and_accuracy_needs_all_estimates():
    assert FusionTrial("estimates", "bcq", 1).requires == (
        "log-mixed-seed1",
        "policy-bcq-seed1",
        "evaluation-bcq-seed1",
    )
    trial = FusionTrial("accuracy", "fqe", 1)
    assert trial.requires == tuple(f"estimates-{name}-seed1" for name in ACCURACY_POLICIES)
    assert len(ACCURACY_POLICIES) >= 10


def test_noise_is_added_to_a_policy_that_is_trained_already():
    assert trained_as("bcq_noise") == trained_as("bcq_much_noise") == "bcq"
    assert trained_as("bcq_early") == "bcq_early"
    training = FusionTrial("evaluation", "bcq_noise", 0).training
    assert training == FusionTrial("policy", "bcq", 0)
    for name in POLICIES:
        assert not policy_spec(trained_as(name)).noise


def test_settings_are_part_of_the_trials_they_can_change():
    settings = (("rho", 0.3), ("cql_alpha", 1.0), ("ope_penalty", 0.0), ("eval_sessions", 50))

    def names(*trial):
        return [name for name, _ in FusionTrial(*trial, 0, settings).settings]

    assert names("log", "random") == []
    # The perturbation bound changes the policy around which the second log explores.
    assert names("log", "mixed") == ["rho"]
    assert names("policy", "td3") == ["rho"]
    assert names("policy", "cql_sac") == ["cql_alpha", "rho"]
    assert names("policy", "bo") == ["rho"]
    assert names("evaluation", "bcq") == ["eval_sessions", "ope_penalty", "rho"]
    assert FusionTrial("log", "random", 0, (("bo_points", 20),)).key == "log-random-seed0"


def test_a_change_leaves_the_data_as_they_are():
    plain = FusionTrial("evaluation", "bcq", 0)
    changed = FusionTrial("evaluation", "bcq", 0, changes=(("rho", 0.5),))
    assert changed.log == plain.log
    assert changed.training != plain.training
    assert changed.training.config.rho == 0.5
    assert changed.training.log.config.rho == 0.15
    assert FusionTrial("evaluation", "bcq", 0, changes=(("rho", 0.15),)) == plain


def test_a_change_may_be_back_to_the_default():
    trial = FusionTrial("policy", "bcq", 0, (("rho", 0.3),), (("rho", 0.15),))
    assert trial.config.rho == 0.15
    assert trial.log.config.rho == 0.3
    same = FusionTrial("policy", "bcq", 0, (("rho", 0.3),), (("rho", 0.3),))
    assert same == FusionTrial("policy", "bcq", 0, (("rho", 0.3),))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("train", "bcq", 0), "no stage 'train'"),
        (("log", "noise", 0), "no log 'noise'; there are: random, mixed"),
        (("policy", "ddpg", 0), "no policy 'ddpg'"),
        (("policy", "constant", 0), "constant needs no training"),
        (("accuracy", "dice", 0), "no estimator 'dice'"),
        (("policy", "bcq", -1), "a seed must not be negative"),
        (("policy", "bcq", 0, (("rhoo", 1),)), "no setting 'rhoo'"),
    ],
)
def test_what_does_not_exist_is_refused(arguments, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        FusionTrial(*arguments)


@given(
    stage=st.sampled_from(("policy", "evaluation", "estimates")),
    subject=st.sampled_from([name for name in POLICIES if policy_spec(name).trained]),
    seed=st.integers(0, 99),
    rho=st.sampled_from((0.15, 0.3)),
    change=st.sampled_from((None, 0.15, 0.3, 0.5)),
)
def test_equal_keys_are_equal_trials_and_come_after_what_they_need(
    stage, subject, seed, rho, change
):
    changes = () if change is None else (("rho", change),)
    trial = FusionTrial(stage, subject, seed, (("rho", rho),), changes)
    again = FusionTrial(**{f.name: getattr(trial, f.name) for f in dataclasses.fields(trial)})
    assert again == trial
    assert re.fullmatch(r"[\w-]+", trial.key)
    done = set()
    for other in with_requirements([trial]):
        assert set(other.requires) <= done
        assert other.seed == seed
        done.add(other.key)


def test_names_that_must_agree_with_those_of_other_layers():
    from mtfx.agents.config import EXPLORATIONS
    from mtfx.agents.registry import AGENTS as ALL_AGENTS
    from mtfx.datasets.rewards import REWARD_PRESETS
    from mtfx.evaluation.ope.registry import ESTIMATORS
    from mtfx.experiments.batchrl.policies import AGENTS
    from mtfx.models.fusion.config import FORMULAS

    assert set(ESTIMATOR_NAMES) <= set(ESTIMATORS)
    assert set(AGENTS) <= set(ALL_AGENTS)
    assert set(LOGS) <= set(EXPLORATIONS)
    assert get_args(FormulaName) == tuple(FORMULAS)
    assert {spec.reward for spec in TABLE_1_POLICIES.values()} == set(REWARD_PRESETS)


def test_the_small_scale_is_of_settings_that_there_are():
    assert all(
        read_setting(FusionSettings(), name, value) == value for name, value in SMALL.items()
    )


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("es_population", "31", "even"),
        ("bo_points", "16", "more than the 16"),
        ("gamma", "1", "at most 0.999"),
        ("steps", "0", "must be positive"),
    ],
)
def test_settings_have_their_ranges(name, value, message):
    with pytest.raises(ValueError, match=message):
        read_setting(FusionSettings(), name, value)
