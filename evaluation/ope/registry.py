"""The estimators by name."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from mtfx.evaluation.ope.base import Estimator
from mtfx.evaluation.ope.config import (
    BootstrapConfig,
    ConservativeConfig,
    DoublyRobustConfig,
    EstimatorConfig,
    FittedQConfig,
    ImportanceSamplingConfig,
)
from mtfx.evaluation.ope.conservative import ConservativeEstimator
from mtfx.evaluation.ope.doubly_robust import DoublyRobust
from mtfx.evaluation.ope.fitted_q import FittedQEvaluation
from mtfx.evaluation.ope.importance_sampling import ImportanceSampling


@dataclasses.dataclass(frozen=True)
class EstimatorEntry:
    """A registered estimator.

    Attributes:
      estimator: Its class, called with a config and a ``BootstrapConfig``.
      config: Class of its settings.
      needs_densities: Whether the log and the policy must know densities.
      description: One line for ``--help``.
    """

    estimator: Callable[[Any, BootstrapConfig | None], Estimator]
    config: type[EstimatorConfig]
    needs_densities: bool
    description: str


ESTIMATORS: dict[str, EstimatorEntry] = {
    "conservative": EstimatorEntry(
        ConservativeEstimator,
        ConservativeConfig,
        False,
        "fitted Q evaluation that penalises actions the data lack (BatchRL-MTF)",
    ),
    "fqe": EstimatorEntry(FittedQEvaluation, FittedQConfig, False, "fitted Q evaluation"),
    "importance_sampling": EstimatorEntry(
        ImportanceSampling,
        ImportanceSamplingConfig,
        True,
        "per-decision importance sampling; needs logged densities",
    ),
    "doubly_robust": EstimatorEntry(
        DoublyRobust,
        DoublyRobustConfig,
        True,
        "importance sampling with a fitted Q as control variate; needs logged densities",
    ),
}


def estimator_entry(name: str) -> EstimatorEntry:
    """The entry of this name; raises ValueError naming the known ones."""
    if name not in ESTIMATORS:
        raise ValueError(f"no estimator {name!r}; there are: {', '.join(ESTIMATORS)}")
    return ESTIMATORS[name]


def build_estimator(
    name: str, config: EstimatorConfig | None = None, bootstrap: BootstrapConfig | None = None
) -> Estimator:
    """Builds an estimator.

    Args:
      name: One of ``ESTIMATORS``.
      config: Its settings; the defaults when None.
      bootstrap: Of the interval; the defaults when None.

    Raises:
      ValueError: if the name is unknown or the config is another estimator's.
    """
    entry = estimator_entry(name)
    # Exactly this class: a ConservativeConfig is a FittedQConfig, and fqe would drop its penalty.
    if config is not None and type(config) is not entry.config:
        raise ValueError(
            f"estimator {name!r} is configured by {entry.config.__name__}, "
            f"not by {type(config).__name__}"
        )
    return entry.estimator(config, bootstrap)
