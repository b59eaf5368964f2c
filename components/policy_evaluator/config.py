"""Settings of PolicyEvaluator, as plain data."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from mtfx.config import Config, override, settings_of
from mtfx.datasets.rewards import RewardConfig
from mtfx.environments.simulator.config import SimulatorConfig
from mtfx.evaluation.config import BlessingConfig
from mtfx.evaluation.ope.config import BootstrapConfig, ConservativeConfig, EstimatorConfig
from mtfx.evaluation.ope.registry import ESTIMATORS

#: Exported policies tell no densities, so importance weights are those of the policy smoothed by
#: twice BatchRL-MTF's action noise of 0.1: wide enough that some logged actions are near.
_BANDWIDTH = 0.2


def default_estimators(
    penalty: float = ConservativeConfig.penalty,
    gamma: float = RewardConfig.gamma,
    deciding: str = "conservative",
) -> tuple[tuple[str, EstimatorConfig], ...]:
    """The estimators of a run: those that are always asked, and the one that decides.

    Args:
      penalty: Of the conservative one.
      gamma: Discount of them all.
      deciding: Whose lower bound decides on the blessing.

    Raises:
      ValueError: if the penalty is negative or the discount is none.
    """
    values = {"penalty": penalty, "gamma": gamma, "bandwidth": _BANDWIDTH}
    return tuple(
        (name, _with(entry.config(), values))
        for name, entry in ESTIMATORS.items()
        if entry.always or name == deciding
    )


@dataclasses.dataclass(frozen=True)
class PolicyEvaluatorConfig(Config):
    """What PolicyEvaluator does.

    Attributes:
      estimators: Names and settings, all of the reward's discount.
      deciding: The estimator that the blessing rests on; BatchRL-MTF's.
      bootstrap: Of all intervals.
      blessing: The rule.
      split: Split of the interactions: the sessions that the policy did not learn from.
      max_transitions: The latest so many are read; 100,000 is BatchRL-MTF's buffer.
      simulator: Rules of the simulator's sessions, with the reward and its discount.
      simulated_sessions: Sessions of each policy in the simulator, of users that no policy learnt
        from, and as many of the others.
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
        for name, config in self.estimators:
            ESTIMATORS.config(name, config)
        names = [name for name, _ in self.estimators]
        if len(set(names)) != len(names):
            raise ValueError(f"an estimator is named twice: {', '.join(names)}")
        if self.deciding not in names:
            raise ValueError(
                f"deciding is {self.deciding!r}, which is none of the estimators: "
                f"{', '.join(names) or 'there are none'}"
            )
        gammas = sorted({config.gamma for _, config in self.estimators})
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

    @classmethod
    def config_types(cls, values: Mapping[str, Any]) -> Mapping[str, Any]:
        """Each estimator's settings are of the class that its name stands for."""
        estimators = values.get("estimators") or ()
        kinds = tuple(tuple[str, ESTIMATORS[name].config] for name, _ in estimators)
        return {"estimators": tuple[kinds]}


def _with(config: Any, values: Mapping[str, float]) -> Any:
    """The settings with those of some names replaced, in whichever part of them they are."""
    names = {name: name.rpartition(".")[2] for name in settings_of(config)}
    return override(config, {name: values[last] for name, last in names.items() if last in values})
