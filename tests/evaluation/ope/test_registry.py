"""Estimators by name, and their settings."""

import pytest

from mtfx.evaluation.ope.config import (
    BootstrapConfig,
    ConservativeConfig,
    DoublyRobustConfig,
    FittedQConfig,
    ImportanceSamplingConfig,
)
from mtfx.evaluation.ope.registry import ESTIMATORS, build_estimator


@pytest.mark.parametrize("name", ESTIMATORS)
def test_every_estimator_is_built_and_configured_by_json(name):
    entry = ESTIMATORS[name]
    config = entry.config()
    restored = entry.config.from_json(config.to_json())
    assert restored == config
    assert build_estimator(name, restored).config == config


def test_the_papers_defaults():
    config = ConservativeConfig()
    assert (config.gamma, config.steps, config.batch_size) == (0.95, 5000, 512)
    assert (config.learning_rate, config.num_initial_states) == (1e-4, 5000)


def test_unknown_names_and_foreign_settings_are_refused():
    with pytest.raises(ValueError, match="no estimator 'ips'; there are: conservative, fqe"):
        build_estimator("ips")
    with pytest.raises(ValueError, match="configured by FittedQConfig, not by ConservativeConfig"):
        build_estimator("fqe", ConservativeConfig())
    with pytest.raises(ValueError, match="no 'step'; it has: gamma"):
        FittedQConfig.from_dict({"step": 3})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: FittedQConfig(gamma=1.5), "gamma is a discount"),
        (lambda: FittedQConfig(steps=0), "steps must be at least 1"),
        (lambda: FittedQConfig(num_initial_states=1), "an interval needs two"),
        (lambda: FittedQConfig(learning_rate=0.0), "learning_rate must be positive"),
        (lambda: FittedQConfig(target_update=0.0), "target_update is a rate"),
        (lambda: FittedQConfig(hidden_units=(4, 0)), "at least one unit"),
        (lambda: ConservativeConfig(penalty=-1.0), "penalty must not be negative"),
        (lambda: ConservativeConfig(penalty=float("nan")), "penalty must not be negative"),
        (lambda: ImportanceSamplingConfig(gamma=-0.1), "gamma is a discount"),
        (lambda: ImportanceSamplingConfig(max_weight=0.0), "max_weight must be positive or None"),
        (lambda: ImportanceSamplingConfig(bandwidth=-1.0), "bandwidth must be positive or None"),
        (lambda: DoublyRobustConfig(folds=0), "folds must be at least 1"),
        (lambda: DoublyRobustConfig(fitted_q=FittedQConfig(gamma=0.5)), "one discount"),
        (lambda: BootstrapConfig(resamples=1), "resamples must be at least 2"),
        (lambda: BootstrapConfig(confidence=1.0), "confidence must lie between"),
    ],
)
def test_settings_out_of_range_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
