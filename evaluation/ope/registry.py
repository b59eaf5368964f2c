"""The estimators by name: one line for each new one."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from mtfx.evaluation.ope.config import (
    BootstrapConfig,
    ConservativeConfig,
    DoublyRobustConfig,
    EstimatorConfig,
    FittedQConfig,
    ImportanceSamplingConfig,
)
from mtfx.registry import Entry, Registry

if TYPE_CHECKING:
    from mtfx.evaluation.ope.base import Estimator


@dataclasses.dataclass(frozen=True)
class EstimatorEntry(Entry):
    """A registered estimator, called with a config and a ``BootstrapConfig``.

    Attributes:
      needs_densities: Whether the log and the policy must know densities.
      always: Whether every evaluation asks it, and not only one in which it decides.
    """

    needs_densities: bool = False
    always: bool = False


ESTIMATORS: Registry[EstimatorEntry] = Registry(
    "estimator",
    {
        "conservative": EstimatorEntry(
            "evaluation.ope.fitted_q:ConservativeEstimator",
            ConservativeConfig,
            "fitted Q evaluation that penalises actions the data lack (BatchRL-MTF)",
            always=True,
        ),
        "fqe": EstimatorEntry(
            "evaluation.ope.fitted_q:FittedQEvaluation",
            FittedQConfig,
            "fitted Q evaluation",
            always=True,
        ),
        "importance_sampling": EstimatorEntry(
            "evaluation.ope.importance_sampling:ImportanceSampling",
            ImportanceSamplingConfig,
            "per-decision importance sampling; needs logged densities",
            needs_densities=True,
            always=True,
        ),
        # Fits two networks more than the others.
        "doubly_robust": EstimatorEntry(
            "evaluation.ope.doubly_robust:DoublyRobust",
            DoublyRobustConfig,
            "importance sampling with a fitted Q as control variate; needs logged densities",
            needs_densities=True,
        ),
    },
)


def build_estimator(
    name: str, config: EstimatorConfig | None = None, bootstrap: BootstrapConfig | None = None
) -> Estimator:
    """Builds an estimator. Imports TensorFlow.

    Args:
      name: One of ``ESTIMATORS``.
      config: Its settings; the defaults when None.
      bootstrap: Of the interval; the defaults when None.

    Raises:
      ValueError: if the name is unknown or the config is another estimator's.
    """
    return ESTIMATORS[name].load()(ESTIMATORS.config(name, config), bootstrap)
