"""Gradient-boosted trees on a ranking model's inputs: the yardstick that a deep model has to beat.

Trees cannot read ids, so each categorical value becomes two numbers: the mean label of its training
impressions, smoothed toward the mean of all, and their count. A training impression gets them from
the folds that it is not in (out of fold, as in scikit-learn's ``TargetEncoder``): otherwise the
trees would read its own label from the mean of a rare value, and fail on the next day.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from mtfx.config import Config
from mtfx.datasets.labels import is_known

#: Makes the folds' random numbers others than those of whatever else has the same seed, data too.
_STREAM = 250


@dataclasses.dataclass(frozen=True)
class TreesConfig(Config):
    """How the trees are trained.

    Attributes:
      rounds: Trees in the sum; all are trained, nothing is stopped early.
      learning_rate: Weight of each tree.
      leaves: Most leaves of a tree.
      folds: Parts of the training split for the out-of-fold means.
      pseudo_counts: Impressions with the mean label of all that are added to each value's own.
      max_impressions: Training impressions at most, drawn at random from more: scikit-learn keeps
        eight bytes of each column of each.
    """

    rounds: int = 250
    learning_rate: float = 0.06
    leaves: int = 31
    folds: int = 5
    pseudo_counts: float = 20.0
    max_impressions: int = 2_000_000

    def __post_init__(self) -> None:
        for name in ("rounds", "learning_rate", "max_impressions", "pseudo_counts"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")
        for name in ("leaves", "folds"):
            if getattr(self, name) < 2:
                raise ValueError(f"{name} must be at least 2, got {getattr(self, name)}")


@dataclasses.dataclass(frozen=True)
class TreeInputs:
    """Impressions as columns of NumPy.

    Attributes:
      numbers: By name, float32 `[n]`; NaN where there is no value.
      ids: By name, integers `[n]`, or `[n, values]` of a multivalued feature, -1 in the place of
        each value that is missing.
      labels: By task, float32 `[n]`, ``mtfx.datasets.labels.UNKNOWN`` where unknown.

    Raises:
      ValueError: at construction, if columns differ in length or there is none.
    """

    numbers: Mapping[str, np.ndarray]
    ids: Mapping[str, np.ndarray]
    labels: Mapping[str, np.ndarray]

    def __post_init__(self) -> None:
        if not self.labels or not (self.numbers or self.ids):
            raise ValueError("trees need a label and an input")
        for name, column in {**self.numbers, **self.ids}.items():
            if len(column) != self.size:
                raise ValueError(
                    f"there are {self.size} labels, but {len(column)} values of {name}"
                )

    @property
    def size(self) -> int:
        """Number of impressions."""
        return len(next(iter(self.labels.values())))

    def rows(self, chosen: np.ndarray) -> TreeInputs:
        """Some of the impressions, by index or mask."""
        parts = (self.numbers, self.ids, self.labels)
        return TreeInputs(*({name: c[chosen] for name, c in part.items()} for part in parts))


class LabelMeans:
    """Mean label and count of each value of a categorical feature."""

    def __init__(
        self, ids: np.ndarray, labels: np.ndarray, folds: np.ndarray, config: TreesConfig
    ) -> None:
        """Counts.

        Args:
          ids: Of the training impressions, `[n]` or `[n, values]`, -1 where a value is missing.
          labels: Float `[n]`, all known.
          folds: The fold of each impression, integers `[n]` below ``config.folds``.
          config: Folds and pseudo-counts.
        """
        self._config = config
        self._mean = float(labels.mean())
        self._size = max(int(ids.max(initial=0)) + 1, 1)
        ids = ids.reshape(len(ids), -1)
        held = ids >= 0
        cells = (folds[:, None] * self._size + np.maximum(ids, 0))[held]
        weights = np.broadcast_to(labels[:, None], ids.shape)[held]
        shape, length = (config.folds, self._size), config.folds * self._size
        self._totals = np.bincount(cells, weights, length).reshape(shape)
        self._counts = np.bincount(cells, minlength=length).reshape(shape)

    def of_training(self, ids: np.ndarray, folds: np.ndarray) -> list[np.ndarray]:
        """Of the training impressions, as of impressions that were not counted.

        Args:
          ids: The ids that were counted.
          folds: Their folds.

        Returns:
          Mean and count, float32 `[n]` each; the count is that of as many impressions as
          :meth:`of_others` sees.
        """
        others = self._counts.sum(0) - self._counts
        totals = self._totals.sum(0) - self._totals
        scale = self._config.folds / (self._config.folds - 1)
        return self._columns(ids, self._smoothed(totals, others), others * scale, folds[:, None])

    def of_others(self, ids: np.ndarray) -> list[np.ndarray]:
        """Of impressions that were not counted: mean and count, float32 `[n]` each."""
        totals, counts = self._totals.sum(0, keepdims=True), self._counts.sum(0, keepdims=True)
        row = np.zeros((len(ids), 1), np.int64)
        return self._columns(ids, self._smoothed(totals, counts), counts, row)

    def _smoothed(self, totals: np.ndarray, counts: np.ndarray) -> np.ndarray:
        extra = self._config.pseudo_counts
        return (totals + extra * self._mean) / (counts + extra)

    def _columns(
        self, ids: np.ndarray, means: np.ndarray, counts: np.ndarray, rows: np.ndarray
    ) -> list[np.ndarray]:
        """Means over the values of each impression; an id beyond those counted has none."""
        ids = ids.reshape(len(ids), -1)
        seen = (ids >= 0) & (ids < self._size)
        place = np.where(seen, ids, 0)
        number = np.maximum((ids >= 0).sum(1), 1)
        found = np.where(seen, means[rows, place], np.where(ids >= 0, self._mean, 0.0)).sum(1)
        found = np.where((ids >= 0).any(1), found / number, self._mean)
        count = np.where(seen, counts[rows, place], 0.0).sum(1) / number
        return [found.astype(np.float32), count.astype(np.float32)]


class BoostedTrees:
    """Trees of one task."""

    def __init__(
        self,
        inputs: TreeInputs,
        task: str,
        kind: Literal["binary", "regression"],
        seed: int = 0,
        config: TreesConfig | None = None,
    ) -> None:
        """Trains.

        Args:
          inputs: Of the training split.
          task: Name of the task; impressions whose label of it is unknown are left out.
          kind: Of the task.
          seed: Of the folds and of scikit-learn.
          config: How; the default is what the reports compare with.

        Raises:
          ValueError: if no label of the task is known.
        """
        config = config or TreesConfig()
        rng = np.random.default_rng((seed, _STREAM))
        chosen = np.flatnonzero(is_known(inputs.labels[task]))
        if not len(chosen):
            raise ValueError(f"no training impression has a known label of task {task}")
        if len(chosen) > config.max_impressions:
            chosen = np.sort(rng.choice(chosen, config.max_impressions, replace=False))
        inputs = inputs.rows(chosen)
        labels = inputs.labels[task].astype(np.float64)
        folds = rng.integers(0, config.folds, inputs.size)
        self._names = (tuple(inputs.numbers), tuple(inputs.ids))
        self._means = {
            name: LabelMeans(ids, labels, folds, config) for name, ids in inputs.ids.items()
        }
        columns = list(inputs.numbers.values())
        for name, ids in inputs.ids.items():
            columns += self._means[name].of_training(ids, folds)
        self._constant = float(labels[0]) if np.all(labels == labels[0]) else None
        self._binary = kind == "binary"
        self._model: Any = None
        if self._constant is None:
            self._model = _estimator(self._binary)(
                max_iter=config.rounds,
                learning_rate=config.learning_rate,
                max_leaf_nodes=config.leaves,
                early_stopping=False,
                random_state=seed,
            ).fit(np.stack(columns, axis=1), labels)

    def predict(self, inputs: TreeInputs) -> np.ndarray:
        """Probabilities, or values in the label's unit.

        Args:
          inputs: With the columns of the training split.

        Returns:
          float64 `[n]`.

        Raises:
          ValueError: if the columns are not those that the trees were trained on.
        """
        if (names := (tuple(inputs.numbers), tuple(inputs.ids))) != self._names:
            raise ValueError(f"the trees were trained on {self._names}, not on {names}")
        if self._constant is not None:
            return np.full(inputs.size, self._constant)
        columns = list(inputs.numbers.values())
        for name, ids in inputs.ids.items():
            columns += self._means[name].of_others(ids)
        rows = np.stack(columns, axis=1)
        return self._model.predict_proba(rows)[:, 1] if self._binary else self._model.predict(rows)


def _estimator(binary: bool) -> Any:
    # Takes a second to import, which a command that trains no trees need not wait for.
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    return HistGradientBoostingClassifier if binary else HistGradientBoostingRegressor
