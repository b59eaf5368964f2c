import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtfx.config import settings_of
from mtfx.experiments.engine.trial import with_requirements
from mtfx.experiments.rmtl.trial import METHODS, WITH_CRITICS, RmtlTrial, RmtlTrialSettings
from mtfx.models.mtl.registry import BACKBONES

NUMBERS = {
    name: setting.default
    for name, setting in settings_of(RmtlTrialSettings()).items()
    if setting.kind in (int, float)
}
SETTING_VALUES = st.dictionaries(
    st.sampled_from(sorted(NUMBERS)), st.sampled_from([0.25, 0.5])
).map(lambda values: tuple((k, 3 if isinstance(NUMBERS[k], int) else v) for k, v in values.items()))
TRIALS = st.builds(
    RmtlTrial,
    st.sampled_from(list(BACKBONES)),
    st.sampled_from(METHODS),
    st.integers(0, 3),
    settings=SETTING_VALUES,
) | st.builds(
    RmtlTrial,
    st.sampled_from(list(BACKBONES)),
    st.sampled_from(WITH_CRITICS),
    st.integers(0, 3),
    st.sampled_from(list(BACKBONES)),
    SETTING_VALUES,
)


@given(TRIALS, TRIALS)
def test_equal_keys_are_equal_trials(one, other):
    assert (one.key == other.key) == (one == other)
    assert re.fullmatch(r"[a-z0-9_-]{1,120}", one.key)


@given(TRIALS)
def test_requirements_are_closed_and_come_first(trial):
    ordered = with_requirements([trial])
    assert ordered[-1] == trial
    seen = set()
    for each in ordered:
        assert set(each.requires) <= seen
        seen.add(each.key)
    assert len(seen) == len(ordered)


def test_what_each_method_requires():
    def requires(method, critic_from=""):
        return RmtlTrial("esmm", method, 1, critic_from).requires

    assert requires("constant") == ()
    assert requires("critics") == ("esmm-constant-seed1",)
    assert requires("ddpg") == ("esmm-constant-seed1",)
    for method in WITH_CRITICS:
        assert requires(method) == ("esmm-constant-seed1", "esmm-critics-seed1")
        assert requires(method, "ple") == ("esmm-constant-seed1", "ple-critics-seed1")


def test_own_critics_are_no_other_backbones():
    assert RmtlTrial("ple", "rmtl", 0, "ple") == RmtlTrial("ple", "rmtl", 0)
    assert RmtlTrial("ple", "rmtl", 0, "mmoe").key != RmtlTrial("ple", "rmtl", 0).key


def test_a_setting_belongs_to_the_trials_that_it_can_change():
    plain = RmtlTrial("ple", "rmtl", 0)
    other = RmtlTrial("ple", "rmtl", 0, settings=(("lambda", 0.3),))
    assert other.key != plain.key
    assert other.requires == plain.requires
    discounted = RmtlTrial("ple", "rmtl", 0, settings=(("gamma", 0.9),))
    assert discounted.requires[0] == plain.requires[0]
    assert discounted.requires[1] != plain.requires[1]
    smaller = RmtlTrial("ple", "rmtl", 0, settings=(("scale", "small"),))
    assert not set(smaller.requires) & set(plain.requires)
    assert smaller.config.scale == smaller.actor.config.scale == "small"


def test_a_default_and_the_way_a_number_is_written_change_nothing():
    plain = RmtlTrial("ple", "rmtl", 0)
    assert RmtlTrial("ple", "rmtl", 0, settings=(("lambda", "0.70"), ("epochs", 10.0))) == plain
    assert plain.config.lambda_ == 0.7
    assert plain.config.epochs == 10
    assert RmtlTrial("ple", "rmtl", 0, settings=(("epochs", "3"),)).config.epochs == 3


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ((("lamda", 0.7),), "no setting 'lamda'; there are: scale"),
        ((("lambda", "much"),), "lambda is a value such as 0.7, its default; got 'much'"),
        ((("lambda", -0.5),), "lambda must not be negative and at most 10, got -0.5"),
        ((("gamma", 1.5),), "gamma must not be negative and at most 0.999, got 1.5"),
        ((("gamma", float("nan")),), "gamma must"),
        ((("epochs", 2.5),), "epochs is a value such as 10, its default; got"),
        ((("epochs", float("inf")),), "epochs is a value such as 10, its default; got"),
        ((("epochs", 0),), "epochs must be positive, got 0"),
        ((("scale", "tiny"),), "scale is one of paper, small; got 'tiny'"),
    ],
)
def test_wrong_settings_are_named(settings, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        RmtlTrial("ple", "rmtl", 0, settings=settings)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("pple", "rmtl", 0), "no backbone 'pple'"),
        (("ple", "rml", 0), "no method 'rml'"),
        (("ple", "rmtl", 0, "emsm"), "no backbone 'emsm'"),
        (("ple", "ddpg", 0, "esmm"), "uses no critics of another backbone"),
        (("ple", "rmtl", -1), "seed"),
    ],
)
def test_wrong_trials_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        RmtlTrial(*arguments)
