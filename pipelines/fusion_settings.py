"""Hyper-parameters of the fusion methods as ``--set`` takes them, with a run's own defaults."""

from __future__ import annotations

from typing import Any

from mtfx.agents.config import FusionAgentConfig
from mtfx.agents.registry import AGENTS
from mtfx.config import override, read_value, settings_of
from mtfx.datasets.rewards import RewardConfig
from mtfx.errors import UserError, require

#: A run of the pipeline learns offline, where xMTF's own settings are for data that are renewed. An
#: unconstrained actor goes where the log has no actions and no estimate can be trusted (see
#: ``docs/ope.md``). Cells that do not begin as the log's fusion rank by weights that nobody chose,
#: and those that only a loss makes increasing fall until it has: after 100 steps such a policy
#: ordered 21% of the candidates' pairs as the log's fusion, and no feedback tells it so. A margin
#: would move cells that rise by construction away from the log's fusion though nothing is learnt.
#: The cost of a step grows with the candidates, of which 32 still have 496 pairs.
OFFLINE_DEFAULTS: dict[str, dict[str, Any]] = {
    "xmtf": {
        "outer": "batch_constrained",
        "cells.family": "basis",
        "warmup_steps": 1000,
        "monotonicity_margin": 0.0,
        "inner_candidates": 32,
    }
}
#: Of every method: the discount belongs to the reward, so that policies that are compared optimise
#: one and the same value, which is also what the estimators estimate and the simulator reports.
_SHARED: dict[str, Any] = {"gamma": RewardConfig.gamma}
#: Fields with flags of their own.
_FLAGS = ("train_steps", "batch_size")


def agent_config(method: str, values: dict[str, Any], *, offline: bool = True) -> FusionAgentConfig:
    """Hyper-parameters of an agent.

    Args:
      method: A key of ``mtfx.agents.registry.AGENTS``.
      values: By name; ``cells.family`` is the field ``family`` of ``cells``.
      offline: Whether ``OFFLINE_DEFAULTS`` and the reward's discount hold; where sessions go on
        coming and nothing is estimated, the algorithm's own do.

    Raises:
      UserError: if a name is unknown or a value is out of its range.
    """
    config = AGENTS[method].config()
    known, defaults = settings_of(_offline(method)), _offline_defaults(method) if offline else {}
    given: dict[str, Any] = {}
    for name, value in values.items():
        names = ", ".join(other for other in known if other not in _FLAGS)
        require(name in known, f"--set {name}: {method} has no such setting; it has: {names}")
        try:
            given[name] = read_value(known[name], value)
        except ValueError as error:
            raise UserError(f"--set {name}={value}: {error}") from error
    if given.get("outer_stage") is False:
        defaults.pop("outer", None)
    if "warmup_steps" in defaults and "train_steps" in given:
        # A short training must not be warm-up alone.
        defaults["warmup_steps"] = min(defaults["warmup_steps"], given["train_steps"] // 5)
    try:
        return override(config, {**defaults, **given})
    except ValueError as error:
        raise UserError(f"--set: {error}") from error


def settings_help(method: str) -> list[str]:
    """The settings of a method with their defaults, ``name=value`` each."""
    return [
        f"{name}={setting.default}".replace(" ", "")
        for name, setting in settings_of(_offline(method)).items()
        if name not in _FLAGS
    ]


def _offline_defaults(method: str) -> dict[str, Any]:
    return {**_SHARED, **OFFLINE_DEFAULTS.get(method, {})}


def _offline(method: str) -> FusionAgentConfig:
    return override(AGENTS[method].config(), _offline_defaults(method))
