"""Whether a task is worse than a constant: the interval against a bootstrap over users."""

import math

import numpy as np
import pytest

from mtfx.evaluation.ranking.user_lists import key_hash
from mtfx.evaluation.ranking.user_sums import GROUPS, UserSums


def hashed(users):
    return np.array([key_hash(int(user)) for user in users], np.uint64)


def entropy(rate):
    return -(rate * math.log(rate) + (1 - rate) * math.log(1 - rate))


def clicks(people, per_user, spread, noise, seed=0):
    """Users of different rates; predictions are the user's rate, off by some noise of the user."""
    rng = np.random.default_rng(seed)
    users = np.repeat(np.arange(people), per_user)
    logit = rng.normal(-1.5, spread, people)
    off = rng.normal(0, noise, people)
    labels = (rng.random(users.size) < 1 / (1 + np.exp(-logit[users]))).astype(float)
    p = 1 / (1 + np.exp(-(logit + off)[users]))
    losses = -(labels * np.log(p) + (1 - labels) * np.log(1 - p))
    return users, labels, losses


def bootstrap_low(users, labels, losses, base, rounds=3000):
    rng = np.random.default_rng(1)
    people = users.max() + 1
    sums = [np.bincount(users, weights=values) for values in (np.ones(users.size), labels, losses)]
    squares = np.bincount(users, weights=labels**2)
    found = []
    for _ in range(rounds):
        drawn = rng.integers(0, people, people)
        n, y, loss = (values[drawn].sum() for values in sums)
        found.append(loss / n - base(y / n, squares[drawn].sum() / n))
    return np.quantile(found, 0.025)


@pytest.mark.parametrize(("spread", "noise"), [(0.1, 0.6), (1.0, 1.5), (1.0, 0.2)])
def test_the_bound_is_that_of_a_bootstrap_over_users(spread, noise):
    users, labels, losses = clicks(800, 12, spread, noise)
    found = UserSums.of(hashed(users), labels, losses).entropy_excess_low()
    expected = bootstrap_low(users, labels, losses, lambda rate, _: entropy(rate))
    excess = losses.mean() - entropy(labels.mean())
    assert found < excess
    assert found == pytest.approx(expected, abs=0.12 * (excess - expected))


def test_a_regression_is_compared_with_its_mean():
    rng = np.random.default_rng(4)
    users = np.repeat(np.arange(700), 9)
    labels = rng.gamma(2, 4000, users.size) + 1e9  # far from 0, as a time would be
    losses = np.square(labels - 1e9 - rng.gamma(2, 4000, 700)[users])
    found = UserSums.of(hashed(users), labels, losses).squared_error_excess_low()
    near = labels - 1e9
    expected = bootstrap_low(users, near, losses, lambda mean, square: square - mean**2)
    excess = losses.mean() - near.var()
    assert 0 < expected < excess
    assert found == pytest.approx(expected, abs=0.12 * (excess - expected))


def test_the_interval_is_of_users_not_of_impressions():
    users, labels, losses = clicks(60, 100, 1.0, 1.0)
    clustered = UserSums.of(hashed(users), labels, losses).entropy_excess_low()
    alone = UserSums.of(hashed(np.arange(users.size)), labels, losses).entropy_excess_low()
    excess = losses.mean() - entropy(labels.mean())
    assert excess - clustered > 2 * (excess - alone)


def test_chance_rarely_refuses_a_calibrated_model():
    """In 400 splits from a model that is right, fewer than the 2.5% of the interval's one side."""
    refused = 0
    for seed in range(400):
        rng = np.random.default_rng(seed)
        users = np.repeat(np.arange(100), 5)
        rates = rng.beta(2, 8, users.size)
        labels = (rng.random(users.size) < rates).astype(float)
        losses = -(labels * np.log(rates) + (1 - labels) * np.log(1 - rates))
        refused += UserSums.of(hashed(users), labels, losses).entropy_excess_low() > 0
    assert refused <= 10


def test_parts_add_up_in_any_order():
    users, labels, losses = clicks(3000, 3, 1.0, 1.0)
    keys = hashed(users)
    whole = UserSums.of(keys, labels, losses)
    bounds = [(0, 100), (100, 5000), (5000, None)]
    parts = [UserSums.of(keys[a:b], labels[a:b], losses[a:b]) for a, b in bounds]
    merged = UserSums.merge([parts[2], UserSums.merge(parts[:2]), UserSums.empty()])
    assert len(merged.groups) <= GROUPS
    assert merged.impressions.sum() == users.size
    assert merged.entropy_excess_low() == pytest.approx(whole.entropy_excess_low())
    assert merged.squared_error_excess_low() == pytest.approx(whole.squared_error_excess_low())


def test_as_good_as_the_constant_is_not_worse():
    labels = np.tile([0.0, 0.0, 1.0], 200)
    loss = -(labels * math.log(1 / 3) + (1 - labels) * math.log(2 / 3))
    keys = hashed(np.arange(600))
    assert UserSums.of(keys, labels, loss).entropy_excess_low() <= 0.0
    error = np.square(labels - labels.mean())
    assert UserSums.of(keys, labels, error).squared_error_excess_low() <= 0.0


def test_what_says_nothing_is_undefined_or_no_bound():
    one_class = UserSums.of(hashed(range(9)), np.zeros(9), np.ones(9))
    assert math.isnan(one_class.entropy_excess_low())
    assert math.isnan(one_class.squared_error_excess_low())
    assert math.isnan(UserSums.merge([]).entropy_excess_low())
    one_user = UserSums.of(hashed([5, 5]), np.array([0.0, 1.0]), np.array([9.0, 9.0]))
    assert one_user.entropy_excess_low() == -math.inf
