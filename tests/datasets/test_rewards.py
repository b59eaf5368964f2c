"""Equation (2): against a plain loop, on arrays and tensors, and what each preset stresses."""

import math

import numpy as np
import pytest
import tensorflow as tf

from mtfx.datasets.rewards import (
    REWARD_PRESETS,
    RewardConfig,
    build_reward,
    positive_feedbacks,
    reward_preset,
)

NAMES = ("click", "like", "hate", "odd")


def views(number=200, seed=0):
    """Random feedback, watch time and duration, with replays, long views and unknown lengths."""
    random = np.random.default_rng(seed)
    feedback = (random.random((number, len(NAMES))) < 0.3).astype(np.float32)
    watch = random.exponential(60, number).astype(np.float32)
    duration = random.exponential(40, number).astype(np.float32)
    watch[:3], duration[3:6] = 5_000, 0
    return feedback, watch, duration


def by_hand(config, feedback, watch, duration):
    """Equation (2), view by view."""
    weights = dict(config.feedback_weights)
    rewards = []
    for row, seconds, length in zip(feedback, watch, duration, strict=True):
        total = config.watch_weight * min(seconds, config.watch_cap_s) / 60
        if length > 0:
            total += config.integrity_weight * min(seconds / length, config.integrity_cap)
        for name, happened in zip(NAMES, row, strict=True):
            weight = weights.get(name, config.other_feedback_weight)
            total += config.interaction_weight * weight * happened
        rewards.append(total)
    return rewards


@pytest.mark.parametrize("preset", REWARD_PRESETS)
def test_equation_2_on_arrays_and_in_a_graph(preset):
    reward = build_reward(preset, NAMES)
    expected = by_hand(reward_preset(preset), *views())
    array = reward(*views())
    assert array.dtype == np.float32
    np.testing.assert_allclose(array, expected, rtol=1e-5, atol=1e-6)
    tensor = tf.function(reward)(*map(tf.constant, views()))
    assert tensor.dtype == tf.float32
    np.testing.assert_allclose(tensor, expected, rtol=1e-5, atol=1e-6)


def test_one_view_without_a_batch():
    reward = build_reward("default", NAMES)
    one = [np.asarray(part[7]) for part in views()]
    np.testing.assert_allclose(reward(*one), reward(*views())[7], rtol=1e-6)
    np.testing.assert_allclose(reward(*map(tf.constant, one)), reward(*views())[7], rtol=1e-6)


@pytest.mark.parametrize(
    ("preset", "view"),
    [
        ("time", ([0, 0, 0, 0], 60.0, 0.0)),
        ("integrity", ([0, 0, 0, 0], 0.01, 0.01)),
        ("interaction", ([0, 1, 0, 0], 0.0, 10.0)),
    ],
)
def test_a_variant_weighs_its_own_part_most(preset, view):
    feedback, watch, duration = view
    arrays = (np.asarray([feedback], np.float32), np.asarray([watch]), np.asarray([duration]))
    found = {name: build_reward(name, NAMES)(*arrays)[0] for name in REWARD_PRESETS}
    assert max(found, key=found.__getitem__) == preset
    others = {value for name, value in found.items() if name != preset}
    assert max(others) - min(others) < 1e-3


def test_configurations_survive_json():
    config = RewardConfig(watch_weight=3, feedback_weights=(("like", 4.0),), integrity_cap=2)
    assert RewardConfig.from_dict(config.to_dict()) == config


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"watch_weight": math.nan}, "watch_weight must be a finite number"),
        ({"feedback_weights": {"like": math.inf}}, r"feedback_weights\[like\]"),
        ({"feedback_weights": (("like", 1), ("like", 2))}, "like"),
        ({"integrity_cap": 0}, "integrity_cap must be positive"),
        ({"watch_cap": 3}, "no 'watch_cap'; it has: watch_weight"),
    ],
)
def test_a_bad_configuration_is_refused_by_name(values, words):
    with pytest.raises(ValueError, match=words):
        RewardConfig.from_dict(values)


def test_an_unknown_preset_names_those_that_exist():
    with pytest.raises(ValueError, match="'fun'; there are: default, time"):
        build_reward("fun", NAMES)


def test_feedback_of_another_width_is_refused():
    with pytest.raises(ValueError, match="2 feedbacks for the names click, like"):
        build_reward("default", NAMES)(np.zeros((3, 2)), np.zeros(3), np.zeros(3))


def test_positive_interactions():
    names = ("click", "long_view", "like", "forward", "hate")
    reward = RewardConfig()
    assert positive_feedbacks(reward, names).tolist() == [False, False, True, True, False]
    assert positive_feedbacks(reward, ("click", "long_view")).tolist() == [True, True]
