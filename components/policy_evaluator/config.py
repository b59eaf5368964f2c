"""Settings of PolicyEvaluator, as plain data."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from mtfx.datasets.rewards import RewardConfig
from mtfx.environments.simulator.config import SimulatorConfig
from mtfx.evaluation.ope.config import (
    BootstrapConfig,
    ConservativeConfig,
    DoublyRobustConfig,
    EstimatorConfig,
    FittedQConfig,
    ImportanceSamplingConfig,
    config_from_dict,
)
from mtfx.evaluation.policies.blessing import BlessingConfig
from mtfx.models.config_keys import check_keys

#: By name in ``mtfx.evaluation.ope.registry``, which imports TensorFlow.
_CONFIGS: dict[str, type[EstimatorConfig]] = {
    "conservative": ConservativeConfig,
    "fqe": FittedQConfig,
    "importance_sampling": ImportanceSamplingConfig,
    "doubly_robust": DoublyRobustConfig,
}

#: Exported policies tell no densities, so importance weights are those of the policy smoothed by
#: twice BatchRL-MTF's action noise of 0.1: wide enough that some logged actions are near.
_WEIGHTING = ImportanceSamplingConfig(bandwidth=0.2)


def default_estimators(
    penalty: float = ConservativeConfig.penalty,
    gamma: float = RewardConfig.gamma,
    deciding: str = "conservative",
) -> tuple[tuple[str, EstimatorConfig], ...]:
    """The estimators of a run; the doubly robust one, which fits two networks more, if it decides.

    Args:
      penalty: Of the conservative one.
      gamma: Discount of them all.
      deciding: Whose lower bound decides on the blessing.

    Raises:
      ValueError: if the penalty is negative or the discount is none.
    """
    weighting = dataclasses.replace(_WEIGHTING, gamma=gamma)
    fitted = FittedQConfig(gamma=gamma)
    estimators: tuple[tuple[str, EstimatorConfig], ...] = (
        ("conservative", ConservativeConfig(penalty=penalty, gamma=gamma)),
        ("fqe", fitted),
        ("importance_sampling", weighting),
    )
    if deciding == "doubly_robust":
        return (*estimators, (deciding, DoublyRobustConfig(weighting, fitted)))
    return estimators


@dataclasses.dataclass(frozen=True)
class PolicyEvaluatorConfig:
    """What PolicyEvaluator does.

    Attributes:
      estimators: Names and settings, all of the reward's discount.
      deciding: The estimator that the blessing rests on; BatchRL-MTF's.
      bootstrap: Of all intervals.
      blessing: The rule.
      split: Split of the interactions: the sessions that the policy did not learn from.
      max_transitions: The latest so many are read; 100,000 is BatchRL-MTF's buffer.
      simulator: Rules of the simulator's sessions, with the reward and its discount.
      simulated_sessions: Sessions of each policy in the simulator.
      seed: Of everything random.
      code_version: Part of the cache key.
    """

    estimators: tuple[tuple[str, EstimatorConfig], ...] = dataclasses.field(
        default_factory=default_estimators
    )
    deciding: str = "conservative"
    bootstrap: BootstrapConfig = dataclasses.field(default_factory=BootstrapConfig)
    blessing: BlessingConfig = dataclasses.field(default_factory=BlessingConfig)
    split: str = "eval"
    max_transitions: int = 100_000
    simulator: SimulatorConfig = dataclasses.field(default_factory=SimulatorConfig)
    simulated_sessions: int = 2000
    seed: int = 0
    code_version: str = ""

    def __post_init__(self) -> None:
        names = [name for name, _ in self.estimators]
        if unknown := sorted(set(names) - set(_CONFIGS)):
            raise ValueError(f"no estimators {unknown}; there are: {', '.join(_CONFIGS)}")
        if len(set(names)) != len(names):
            raise ValueError(f"an estimator is named twice: {', '.join(names)}")
        if self.deciding not in names:
            raise ValueError(
                f"deciding is {self.deciding!r}, which is none of the estimators: "
                f"{', '.join(names) or 'there are none'}"
            )
        for name, config in self.estimators:
            if type(config) is not _CONFIGS[name]:
                raise ValueError(
                    f"estimator {name!r} is configured by {_CONFIGS[name].__name__}, "
                    f"not by {type(config).__name__}"
                )
        gammas = sorted({_gamma(config) for _, config in self.estimators})
        if len(gammas) > 1:
            raise ValueError(f"estimators of several discounts cannot be compared: {gammas}")
        if gammas != [self.simulator.reward.gamma]:
            raise ValueError(
                f"the estimators discount by {gammas[0]}, the reward by "
                f"{self.simulator.reward.gamma}: one value has one discount"
            )
        for name in ("max_transitions", "simulated_sessions"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")

    @property
    def gamma(self) -> float:
        """The discount of all estimates and of the simulator's values: the reward's."""
        return self.simulator.reward.gamma

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            **{field.name: getattr(self, field.name) for field in dataclasses.fields(self)},
            "estimators": [[name, dataclasses.asdict(config)] for name, config in self.estimators],
            "bootstrap": dataclasses.asdict(self.bootstrap),
            "blessing": dataclasses.asdict(self.blessing),
            "simulator": self.simulator.to_dict(),
        }

    def to_json(self) -> str:
        """For the component's parameter; the same configuration gives the same text."""
        return json.dumps(self.to_dict(), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> PolicyEvaluatorConfig:
        """The inverse of :meth:`to_json`; raises ValueError for an unknown key."""
        values = json.loads(text)
        check_keys(cls, values)
        estimators = tuple(
            (name, config_from_dict(_CONFIGS[name], config))
            for name, config in values.pop("estimators")
        )
        return cls(
            estimators=estimators,
            bootstrap=BootstrapConfig(**values.pop("bootstrap")),
            blessing=BlessingConfig.from_dict(values.pop("blessing")),
            simulator=SimulatorConfig.from_dict(values.pop("simulator")),
            **values,
        )


def _gamma(config: EstimatorConfig) -> float:
    return config.weighting.gamma if isinstance(config, DoublyRobustConfig) else config.gamma
