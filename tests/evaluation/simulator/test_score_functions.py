"""Functions of predictions, fitted to planted worths, of users that they were not fitted to."""

import numpy as np
import pytest

from mtfx.evaluation.simulator.score_functions import (
    Requests,
    best_formula,
    boosted,
    equal_weights,
)
from mtfx.models.fusion.config import FusionConfig

USERS, POOL = 40, 30
RNG = np.random.default_rng(0)
PREDICTIONS = RNG.random((USERS, POOL, 2)).astype(np.float32)
FOLDS = np.arange(USERS) % 2
REQUESTS = Requests(
    np.repeat(np.arange(USERS), 5),
    np.stack([RNG.permutation(POOL)[:10] for _ in range(5 * USERS)]),
    np.ones((5 * USERS, 10), bool),
)


def worth(scores, rewards):
    return REQUESTS.worth_of_top(scores, rewards).mean()


def test_the_top_candidate_is_never_one_that_is_not_there():
    requests = Requests(np.array([0]), np.array([[2, 1]]), np.array([[True, False]]))
    scores, rewards = np.array([[0.0, 9.0, 1.0]]), np.array([[5.0, 6.0, 7.0]])
    assert requests.worth_of_top(scores, rewards).tolist() == [7.0]
    assert len(requests.of(np.array([False])).users) == 0


def test_equal_weights_are_the_formulas_own():
    found = equal_weights(PREDICTIONS, FusionConfig(formula="formula2", beta=0.5))
    np.testing.assert_allclose(found, np.log(PREDICTIONS + 0.5).sum(axis=2), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("weights", [(1.0, 0.2), (0.1, 1.0)])
def test_the_best_formula_finds_planted_weights(weights):
    rewards = PREDICTIONS @ np.array(weights, np.float32)
    scores, names = best_formula(PREDICTIONS, rewards, REQUESTS, FOLDS, seed=1)
    assert len(names) == 2
    best = worth(rewards, rewards)
    assert worth(scores, rewards) > best - 0.02
    assert worth(equal_weights(PREDICTIONS, FusionConfig()), rewards) < worth(scores, rewards)


def test_a_sum_of_increasing_functions_rises_and_does_not_interact():
    rewards = (PREDICTIONS[..., 0] - PREDICTIONS[..., 1] * (PREDICTIONS[..., 0] > 0.5)).astype(
        np.float32
    )
    free = boosted(PREDICTIONS, rewards, FOLDS, 0)
    rising = boosted(PREDICTIONS, rewards, FOLDS, 0, increasing_sum=True)
    assert worth(free, rewards) > worth(rising, rewards) + 0.02
    for fold in (0, 1):
        first, second = PREDICTIONS[fold == FOLDS].reshape(-1, 2).T
        scores = rising[fold == FOLDS].ravel()
        # Falls with the second in truth: an increasing function of it is constant.
        order = np.argsort(first, kind="stable")
        assert (np.diff(scores[order]) >= -1e-5).all()
        assert len(second) == len(scores)


def test_nobody_is_scored_by_what_was_fitted_to_them():
    rewards = RNG.random((USERS, POOL)).astype(np.float32)
    scores = boosted(PREDICTIONS, rewards, FOLDS, 0)
    changed = rewards.copy()
    changed[FOLDS == 0] = 0.0
    again = boosted(PREDICTIONS, changed, FOLDS, 0)
    np.testing.assert_array_equal(again[FOLDS == 0], scores[FOLDS == 0])
    assert (again[FOLDS == 1] != scores[FOLDS == 1]).any()
