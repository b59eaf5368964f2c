"""Scores of a world's items by functions of their predictions, each fitted to what items are worth.

What fusion can gain does not depend on how a policy is learned: no function of the predictions is
worth more than the best one, and no increasing sum more than the best of those. They are fitted to
the truth here, which a service does not know, and score only users that they were not fitted to.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from mtfx.models.fusion.config import FORMULAS, FusionConfig, build_fusion

#: Users are scored by what was fitted to the others.
FOLDS = 2
#: Rows that a boosted function is fitted to, at most.
_MOST_ROWS = 40_000
_BOOSTING = {"max_iter": 80, "learning_rate": 0.1, "min_samples_leaf": 100, "max_leaf_nodes": 15}
_EVOLUTION = {"maxiter": 25, "popsize": 6, "tol": 0.0, "polish": False}


@dataclasses.dataclass(frozen=True)
class Requests:
    """First requests of sessions.

    Attributes:
      users: Index of each one's user, int64 `[request]`.
      slots: Its candidates, int64 `[request, candidate]`.
      mask: Where there is one, bool `[request, candidate]`.
    """

    users: np.ndarray
    slots: np.ndarray
    mask: np.ndarray

    def of(self, users: np.ndarray) -> Requests:
        """Those of some users, bool `[user]`."""
        kept = users[self.users]
        return Requests(self.users[kept], self.slots[kept], self.mask[kept])

    def worth_of_top(self, scores: np.ndarray, rewards: np.ndarray) -> np.ndarray:
        """What the candidate with the highest score is worth, float64 `[request]`.

        Args:
          scores: `[user, slot]`.
          rewards: `[user, slot]`.
        """
        places = self.users[:, None], self.slots
        top = np.where(self.mask, scores[places], -np.inf).argmax(axis=1)
        return rewards[self.users, self.slots[np.arange(len(top)), top]].astype(np.float64)


def equal_weights(predictions: np.ndarray, formula: FusionConfig) -> np.ndarray:
    """A formula whose weights are all the same.

    Args:
      predictions: In [0, 1], float32 `[user, slot, prediction]`.
      formula: Which.

    Returns:
      float32 `[user, slot]`.
    """
    return _inner(predictions, formula).sum(axis=2)


def best_formula(
    predictions: np.ndarray,
    rewards: np.ndarray,
    requests: Requests,
    folds: np.ndarray,
    seed: int,
) -> tuple[np.ndarray, tuple[str, ...]]:
    """The best formula with the same weights for everybody, by differential evolution.

    Args:
      predictions: As of :func:`equal_weights`.
      rewards: What items are worth, float32 `[user, slot]`.
      requests: Whose top candidates are to be worth as much as possible.
      folds: Of each user, int64 `[user]`.
      seed: Of the search.

    Returns:
      float32 `[user, slot]`, and the name of each fold's formula.
    """
    # Takes a while to import.
    from scipy.optimize import differential_evolution

    inner = {name: _inner(predictions, FusionConfig(formula=name)) for name in FORMULAS}
    names = []

    def fitted(of_fold: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        own = requests.of(of_fold)
        found: list[tuple[float, str, np.ndarray]] = []
        for name, parts in inner.items():
            candidates = parts[own.users[:, None], own.slots]
            worth = np.where(own.mask, rewards[own.users[:, None], own.slots], 0.0)

            def loss(weights: np.ndarray, candidates=candidates, worth=worth) -> float:
                scores = np.where(own.mask, candidates @ weights.astype(np.float32), -np.inf)
                return -float(worth[np.arange(len(worth)), scores.argmax(axis=1)].mean())

            bounds = [(0.0, 1.0)] * predictions.shape[2]
            result = differential_evolution(loss, bounds, seed=seed, **_EVOLUTION)
            found.append((result.fun, name, result.x.astype(np.float32)))
        _, name, weights = min(found, key=lambda entry: entry[0])
        names.append(name)
        return lambda users: inner[name][users] @ weights

    return _out_of_fold(folds, fitted), tuple(names)


def boosted(
    features: np.ndarray,
    rewards: np.ndarray,
    folds: np.ndarray,
    seed: int,
    *,
    increasing_sum: bool = False,
) -> np.ndarray:
    """The expected worth of an item given some numbers, by boosted trees.

    Args:
      features: float32 `[user, slot, feature]`.
      rewards: As of :func:`best_formula`.
      folds: Likewise.
      seed: Of the rows that are drawn.
      increasing_sum: Whether it is a sum of increasing functions of one number each, which is what
        xMTF's cells can be.

    Returns:
      float32 `[user, slot]`.
    """
    from sklearn.ensemble import HistGradientBoostingRegressor

    width = features.shape[2]
    shape = {"monotonic_cst": [1] * width, "interaction_cst": "no_interactions"}
    settings = {**_BOOSTING, **(shape if increasing_sum else {})}

    def fitted(of_fold: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        rows, target = features[of_fold].reshape(-1, width), rewards[of_fold].ravel()
        if len(rows) > _MOST_ROWS:
            drawn = np.random.default_rng(seed).choice(len(rows), _MOST_ROWS, replace=False)
            rows, target = rows[drawn], target[drawn]
        model = HistGradientBoostingRegressor(random_state=seed, **settings).fit(rows, target)

        def scores(users: np.ndarray) -> np.ndarray:
            found = features[users]
            return model.predict(found.reshape(-1, width)).reshape(found.shape[:2])

        return scores

    return _out_of_fold(folds, fitted)


def _out_of_fold(
    folds: np.ndarray, fitted: Callable[[np.ndarray], Callable[[np.ndarray], np.ndarray]]
) -> np.ndarray:
    """Each fold's scores by what was fitted to the users of the others."""
    parts = {fold: fitted(folds != fold)(folds == fold) for fold in range(FOLDS)}
    scores = np.zeros((len(folds), parts[0].shape[1]), np.float32)
    for fold, part in parts.items():
        scores[folds == fold] = part
    return scores


def _inner(predictions: np.ndarray, formula: FusionConfig) -> np.ndarray:
    """What a formula weights, float32 `[user, slot, prediction]`."""
    fusion = build_fusion(formula, predictions.shape[2])
    return fusion.inner(tf.constant(predictions, tf.float32), None).numpy()
