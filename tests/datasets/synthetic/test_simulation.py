import dataclasses

import numpy as np
import pytest

from mtfx.datasets.synthetic.behaviour import BlockImpressions, Intercepts, sigmoid
from mtfx.datasets.synthetic.blocks import split_into_blocks
from mtfx.datasets.synthetic.calibration import calibrate
from mtfx.datasets.synthetic.config import SyntheticConfig
from mtfx.datasets.synthetic.shop import ShopWorld
from mtfx.datasets.synthetic.simulation import keep_first, make_block
from mtfx.datasets.synthetic.video import VideoWorld


def impressions(is_random: list[bool]) -> BlockImpressions:
    count = len(is_random)
    numbers = np.arange(count)
    return BlockImpressions(
        user=numbers,
        item=numbers,
        time_ms=numbers,
        context=np.zeros(count, np.int8),
        is_random=np.array(is_random),
        labels=np.zeros((count, 2), bool),
        extra_ms=numbers,
        satisfaction=np.zeros(count, np.float32),
    )


def test_keep_first_takes_sessions_by_priority_and_cuts_the_last():
    session = np.array([0, 0, 0, 1, 1, 2, 2, 2, 2])
    found = impressions([False, True, False, False, False, False, False, True, False])
    kept = keep_first(found, session, np.array([2, 0, 1]), rows=4)
    assert kept is not None
    # Session 2 is whole with its random row; session 0 ends with its first standard row.
    assert kept.item.tolist() == [0, 5, 6, 7, 8]
    assert keep_first(found, session, np.array([2, 0, 1]), rows=8) is None


def test_keep_first_can_end_with_a_whole_session():
    session = np.array([0, 0, 1, 1])
    kept = keep_first(impressions([False] * 4), session, np.array([1, 0]), rows=2)
    assert kept is not None
    assert kept.item.tolist() == [2, 3]


def test_calibration_is_deterministic_and_finds_a_fixed_point():
    config = SyntheticConfig(impressions=8_000, seed=2)
    world, blocks = VideoWorld(config), split_into_blocks(config)
    intercepts = calibrate(config.seed, world, blocks)
    again = calibrate(config.seed, world, blocks)
    assert np.array_equal(intercepts.tasks, again.tasks)
    _, found = make_block(config.seed, world, blocks[0], intercepts, keep_scores=True)
    assert found.scores is not None
    assert found.side is not None
    p = world.probabilities(found.scores + intercepts.tasks, found.side)[~found.is_random]
    assert p[:, 0].mean() == pytest.approx(world.model.rates[0], rel=0.05)


def test_probabilities_are_those_of_the_draws():
    """Monte Carlo over one impression repeated: the marginals match an independent formula."""
    config = SyntheticConfig(impressions=1_000)
    world = VideoWorld(config)
    size = 200_000
    row = np.array([[-0.4, 0.6, -1.0, -1.5, -2.0, -2.5, -1.2]], np.float32)
    scores = np.repeat(row, size, axis=0)
    late = 0.03
    side = np.full(size, late, np.float32)
    outcome = world.respond(np.random.default_rng(0), np.zeros(size, np.int64), scores, side)
    logistic = 1 / (1 + np.exp(-row[0].astype(np.float64)))
    click = logistic[0]
    expected = [
        click,
        click * logistic[1] + (1 - click) * late,
        *(logistic[2:6] * (click + np.array([0.22, 0.12, 0.03, 0.08]) * (1 - click))),
        logistic[6],
    ]
    np.testing.assert_allclose(world.probabilities(row, side[:1])[0], expected, rtol=1e-5)
    spread = 5 * np.sqrt(np.array(expected) / size)
    assert np.all(np.abs(outcome.labels.mean(axis=0) - expected) < spread)
    assert np.all(outcome.gap_ms >= 1_000)
    assert outcome.reward.min() >= 0
    assert outcome.reward.max() <= 1


def test_users_without_time_are_refused_with_advice():
    config = SyntheticConfig(impressions=1_000, users=4, items=50)
    world, block = VideoWorld(config), split_into_blocks(config)[0]
    impossible = dataclasses.replace(block, rows=1_000_000)
    rates = Intercepts(np.zeros(7, np.float32), leave=0.0, rows_per_session=2.0)
    with pytest.raises(ValueError, match="ask for more users"):
        make_block(0, world, impossible, rates, keep_scores=False)


def test_sigmoid_of_infinity_is_one():
    score = np.array([-80.0, 0.0, 80.0, np.inf], np.float32)
    np.testing.assert_allclose(sigmoid(score), [1.8e-35, 0.5, 1.0, 1.0], rtol=1e-2)


def test_a_shops_draws_have_their_probabilities_and_nobody_pays_without_a_cart():
    world = ShopWorld(SyntheticConfig(profile="shop", impressions=1_000))
    size, sold_out = 200_000, np.float32(0.1)
    scores = np.repeat(np.array([[-0.3, 0.4]], np.float32), size, axis=0)
    side = np.full(size, sold_out, np.float32)
    outcome = world.respond(np.random.default_rng(0), np.zeros(size, np.int64), scores, side)
    cart, pay = 1 / (1 + np.exp(-scores[0].astype(np.float64)))
    expected = np.array([0.1 * cart, 0.1 * cart * pay])
    np.testing.assert_allclose(world.probabilities(scores[:1], side[:1])[0], expected, rtol=1e-5)
    spread = 5 * np.sqrt(expected / size)
    assert np.all(np.abs(outcome.labels.mean(axis=0) - expected) < spread)
    assert not (outcome.labels[:, 1] & ~outcome.labels[:, 0]).any()
    assert 0 <= outcome.reward.min() <= outcome.reward.max() <= 1
