"""Figures of two rankers, and when one is said to be better."""

import numpy as np
import pytest
from sklearn.metrics import log_loss, r2_score, roc_auc_score

from mtfx.datasets.labels import UNKNOWN
from mtfx.evaluation.ope.config import BootstrapConfig
from mtfx.evaluation.ranking.paired_comparison import (
    PairedComparison,
    RankerFigures,
    TreesBeside,
    _Auc,
    compare_paired,
    ranker_figures,
)

RNG = np.random.default_rng(0)
USERS = RNG.integers(0, 300, 3000)
SIGNAL = RNG.normal(size=3000)
CLICK = (RNG.random(3000) < 1 / (1 + np.exp(-SIGNAL))).astype(np.float32)


def probability(noise):
    logit = SIGNAL + noise * np.random.default_rng(1).normal(size=3000)
    # Rounded, so that there are ties.
    return np.round(1 / (1 + np.exp(-logit)), 2)


def test_figures_are_scikit_learns():
    predicted = np.clip(probability(1.0), 0.01, 0.99)
    found = ranker_figures("binary", CLICK, predicted)
    rate = CLICK.mean()
    assert found.auc == pytest.approx(roc_auc_score(CLICK, predicted))
    assert found.logloss == pytest.approx(log_loss(CLICK, predicted))
    constant = log_loss(CLICK, np.full(3000, rate))
    assert found.normalised_entropy == pytest.approx(found.logloss / constant)
    assert ranker_figures("binary", CLICK, np.full(3000, rate)).normalised_entropy == pytest.approx(
        1
    )
    watch = (SIGNAL * 10).astype(np.float32)
    found = ranker_figures("regression", watch, watch + 1)
    assert found.rmse == pytest.approx(1, rel=1e-5)
    assert found.r_squared == pytest.approx(r2_score(watch, watch + 1))


def test_an_auc_of_weighted_impressions_is_that_of_repeated_ones():
    scores, weights = probability(0.5), RNG.integers(0, 3, 3000)
    repeated = np.repeat(np.arange(3000), weights)
    found = _Auc(scores, CLICK)(weights.astype(float))
    assert found == pytest.approx(roc_auc_score(CLICK[repeated], scores[repeated]))


def test_unknown_labels_count_nowhere():
    labels = np.where(np.arange(3000) % 3, CLICK, UNKNOWN)
    known = labels != UNKNOWN
    predicted = probability(1.0)
    assert ranker_figures("binary", labels, predicted) == ranker_figures(
        "binary", CLICK[known], predicted[known]
    )
    assert ranker_figures("binary", np.full(5, UNKNOWN), np.full(5, 0.5)) == RankerFigures()


def test_the_better_one_wins_whichever_it_is():
    good, bad = probability(0.3), probability(2.0)
    won = compare_paired("click", "binary", CLICK, good, bad, USERS)
    lost = compare_paired("click", "binary", CLICK, bad, good, USERS)
    assert (won.winner, lost.winner) == ("model", "other")
    assert won.low < won.difference < won.high
    assert won.difference == pytest.approx(roc_auc_score(CLICK, good) - roc_auc_score(CLICK, bad))
    assert (lost.low, lost.high) == pytest.approx((-won.high, -won.low))


def test_what_may_be_chance_is_no_victory():
    one = probability(1.0)
    same = compare_paired("click", "binary", CLICK, one, one, USERS)
    assert (same.difference, same.winner) == (0.0, None)
    # Two rankers that are equally noisy in different places.
    other = 1 / (1 + np.exp(-(SIGNAL + np.random.default_rng(2).normal(size=3000))))
    close = compare_paired("click", "binary", CLICK, one, other, USERS)
    assert close.winner is None
    assert close.low < 0 < close.high


def test_a_smaller_error_wins_a_regression():
    watch = SIGNAL * 10
    noise = np.random.default_rng(3).normal(size=3000)
    found = compare_paired("watch", "regression", watch, watch + noise, watch + 3 * noise, USERS)
    assert found.difference == pytest.approx(-2 * np.sqrt(np.mean(noise**2)))
    assert (found.high < 0, found.winner) == (True, "model")


def test_users_are_drawn_and_not_impressions():
    """Ten copies of each user's impressions hold no more than one."""
    rng = np.random.default_rng(4)
    users, labels = np.arange(200), rng.integers(0, 2, 200).astype(float)
    one, two = labels + rng.normal(size=200), labels + rng.normal(size=200)
    once = compare_paired("watch", "regression", labels, one, two, users)
    copies = compare_paired(
        "watch", "regression", *(np.repeat(v, 10) for v in (labels, one, two, users))
    )
    assert copies.high - copies.low == pytest.approx(once.high - once.low, rel=1e-6)


def test_an_undefined_auc_is_not_compared():
    found = compare_paired(
        "pay", "binary", np.zeros(9), np.full(9, 0.1), np.full(9, 0.2), USERS[:9]
    )
    assert (found.difference, found.low, found.winner) == (None, None, None)
    assert found.model.logloss == pytest.approx(-np.log(0.9))


def test_a_comparison_is_written_and_read_again():
    bootstrap = BootstrapConfig(20)
    found = compare_paired(
        "click", "binary", CLICK, probability(1), probability(2), USERS, bootstrap=bootstrap
    )
    beside = TreesBeside(
        "test", (found, PairedComparison("a", "regression", found.model, found.other)), 2.5, 7
    )
    assert TreesBeside.from_dict(beside.to_dict()) == beside
