"""Metrics, evaluation configuration and the report of a run."""

from typing import TYPE_CHECKING

from mtfx.lazy import exports

if TYPE_CHECKING:
    from mtfx.evaluation.ab_test.trial import TrialSettings, judge_trial
    from mtfx.evaluation.config import BlessingConfig, Thresholds
    from mtfx.evaluation.ope.base import Estimate, Estimator
    from mtfx.evaluation.ope.config import EstimatorConfig, FittedQConfig, ImportanceSamplingConfig
    from mtfx.evaluation.ope.data import OfflineData
    from mtfx.evaluation.ope.registry import ESTIMATORS, EstimatorEntry, build_estimator
    from mtfx.evaluation.significance import paired_test
else:
    __getattr__, __dir__, __all__ = exports(
        __name__,
        {
            "ab_test.trial": ("TrialSettings", "judge_trial"),
            "config": ("BlessingConfig", "Thresholds"),
            "ope.base": ("Estimate", "Estimator"),
            "ope.config": ("EstimatorConfig", "FittedQConfig", "ImportanceSamplingConfig"),
            "ope.data": ("OfflineData",),
            "ope.registry": ("ESTIMATORS", "EstimatorEntry", "build_estimator"),
            "significance": ("paired_test",),
        },
    )
