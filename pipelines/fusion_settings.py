"""Hyper-parameters of the fusion methods as ``--set`` takes them, with a run's own defaults."""

from __future__ import annotations

from typing import Any

from mtfx.agents.config import FusionAgentConfig
from mtfx.agents.registry import AGENTS
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
    config, known = AGENTS[method].config, _defaults(method)
    for name, value in values.items():
        require(
            name in known or name in ("cells", *_FLAGS),
            f"--set {name}: {method} has no such setting; it has: {', '.join(known)}",
        )
        require(
            not isinstance(value, str) or isinstance(known.get(name), str),
            f"--set {name}={value}: {name} is no word, by default it is {known.get(name)}",
        )
        require(
            name not in known or _alike(value, known[name]),
            f"--set {name}={value}: {name} is a value such as {known.get(name)}, its default",
        )
    defaults = {**_SHARED, **OFFLINE_DEFAULTS.get(method, {})} if offline else {}
    if values.get("outer_stage") is False:
        defaults.pop("outer", None)
    if "warmup_steps" in defaults and "train_steps" in values:
        # A short training must not be warm-up alone.
        defaults["warmup_steps"] = min(defaults["warmup_steps"], values["train_steps"] // 5)
    nested: dict[str, Any] = {}
    for name, value in {**defaults, **values}.items():
        group, dot, field = name.partition(".")
        nested[group] = {**nested.get(group, {}), field: value} if dot else value
    try:
        return config.from_dict(nested)
    except (ValueError, TypeError) as error:
        raise UserError(f"--set: {error}") from error


def settings_help(method: str) -> list[str]:
    """The settings of a method with their defaults, ``name=value`` each."""
    return [f"{name}={value}".replace(" ", "") for name, value in _defaults(method).items()]


def _alike(value: Any, default: Any) -> bool:
    """Whether a value is of its default's kind: truth, number, numbers or word; None tells none."""
    for kind in (bool, (int, float), (tuple, list), str):
        if isinstance(default, kind):
            return isinstance(value, kind) and isinstance(value, bool) == (kind is bool)
    return True


def _defaults(method: str) -> dict[str, Any]:
    values = {**AGENTS[method].config().to_dict(), **_SHARED, **OFFLINE_DEFAULTS.get(method, {})}
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            flat.update({f"{name}.{field}": default for field, default in value.items()})
        elif name not in _FLAGS:
            flat[name] = value
    return flat
