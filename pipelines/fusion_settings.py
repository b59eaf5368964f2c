"""Settings of a fusion run as ``--set`` takes them.

Those of the methods are their hyper-parameters, with a run's own defaults; those of the formula
begin with ``fusion.``, those of the reward with ``reward.``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from mtfx.agents.config import FusionAgentConfig
from mtfx.agents.registry import AGENTS
from mtfx.config import override, read_value, settings_of
from mtfx.datasets.fused_predictions import fused_predictions, watch_time_task, without
from mtfx.datasets.rewards import RewardConfig, reward_preset
from mtfx.datasets.spec import DatasetSpec
from mtfx.errors import UserError, require
from mtfx.models.fusion.config import FusionConfig

#: A run of the pipeline learns offline, where xMTF's own settings are for data that are renewed. An
#: unconstrained actor goes where the log has no actions and no estimate can be trusted (see
#: ``docs/ope-results.md``). Cells that do not begin as the log's fusion rank by weights that nobody
#: chose, and those that only a loss makes increasing fall until it has: after 100 steps such a
#: policy ordered 21% of the pairs as the log's fusion, and no feedback tells it so. A margin
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
#: What the names of settings that are no agent's begin with.
FUSION, REWARD = "fusion.", "reward."
#: The weight of one feedback in the reward: ``reward.feedback.like``.
FEEDBACK = REWARD + "feedback."
#: Fields of the formula, and of the reward, that are set elsewhere.
_ELSEWHERE = {"formula": "--fusion", "gamma": "--set gamma", "feedback_weights": FEEDBACK + "NAME"}


class PoolSizes(NamedTuple):
    """Items of a simulated user, and those that a request offers of them."""

    pool: int
    candidates: int


#: Of xMTF's published simulator: 1,000 unwatched items at each of up to 97 requests.
_PUBLISHED_SIZES, _SIZES = PoolSizes(1_097, 1_000), PoolSizes(300, 100)


def pool_sizes(response: str, pool: int | None, candidates: int | None) -> PoolSizes:
    """The sizes that are given, and the response's own where none are.

    Args:
      response: The simulated users'.
      pool: Items of each user; None: as many as the response has by default.
      candidates: Items per request; None: likewise, and no more than the pool has.
    """
    own = _PUBLISHED_SIZES if response == "published" else _SIZES
    items = own.pool if pool is None else pool
    return PoolSizes(items, min(own.candidates, items) if candidates is None else candidates)


def check_predictions(
    spec: DatasetSpec, tasks: Collection[str], leave_out: Sequence[str], response: str
) -> None:
    """Checks that a ranking model predicts what a run asks of it.

    Args:
      spec: The data set.
      tasks: That the model predicts.
      leave_out: Predictions that are not fused.
      response: The simulated users'.

    Raises:
      UserError: naming the flag, and what there is.
    """
    try:
        without(fused_predictions(spec, tasks), leave_out)
    except ValueError as error:
        raise UserError(f"--leave-out: {error}") from error
    if response == "published":
        try:
            watch_time_task(spec, tasks)
        except ValueError as error:
            raise UserError(f"--response published: {error}") from error


def check_feedback(
    spec: DatasetSpec, settings: Sequence[tuple[str, Any]], reward: RewardConfig
) -> None:
    """Checks the feedbacks that a reward weighs by those of the data set.

    Args:
      spec: The data set.
      settings: As ``--set`` gives them.
      reward: What they make of the preset.

    Raises:
      UserError: naming the feedback that the data set lacks, or a negative one that counts.
    """
    binary = [task.name for task in spec.tasks if task.kind == "binary"]
    for name in feedback_names(settings):
        require(
            name in binary,
            f"--set reward.feedback.{name}: {spec.name} has no such feedback; it has: "
            f"{', '.join(binary)}",
        )
    for task in spec.tasks:
        [weight] = reward.interaction_weights([task.name])
        require(
            not task.negative or weight <= 0,
            f"the reward counts {task.name} for {weight:+g}, but the data set {spec.name} says "
            "that it is negative",
            f"give it a weight of at most 0: --set reward.feedback.{task.name}=-1",
        )


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


def agent_settings(settings: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Of all settings those of agents, by name."""
    return {n: value for n, value in settings if not n.startswith((FUSION, REWARD))}


def formula_config(formula: str, settings: Iterable[tuple[str, Any]]) -> FusionConfig:
    """A formula with its bounds and β.

    Args:
      formula: Its name.
      settings: Of the run; those that begin with ``fusion.`` are looked at.

    Raises:
      UserError: if a name is unknown or a value is out of its range.
    """
    return _with_settings(FusionConfig(formula=formula), FUSION, dict(settings))


def reward_config(preset: str, settings: Iterable[tuple[str, Any]]) -> RewardConfig:
    """A reward preset with weights of one's own.

    Args:
      preset: Its name.
      settings: Of the run; those that begin with ``reward.`` are looked at.
        ``reward.feedback.NAME`` is the weight of one feedback, any other a field of the reward.

    Raises:
      UserError: if a name is unknown or a value is out of its range.
    """
    values, config = dict(settings), reward_preset(preset)
    feedback = {
        name.removeprefix(FEEDBACK): _number(name, value)
        for name, value in values.items()
        if name.startswith(FEEDBACK)
    }
    weights = {**dict(config.feedback_weights), **feedback}
    try:
        config = dataclasses.replace(config, feedback_weights=tuple(weights.items()))
    except ValueError as error:
        raise UserError(f"--set: {error}") from error
    others = {n: value for n, value in values.items() if not n.startswith(FEEDBACK)}
    return _with_settings(config, REWARD, others)


def feedback_names(settings: Iterable[tuple[str, Any]]) -> tuple[str, ...]:
    """The feedbacks whose weight in the reward is set."""
    return tuple(name.removeprefix(FEEDBACK) for name, _ in settings if name.startswith(FEEDBACK))


def part_settings_help() -> dict[str, list[str]]:
    """The settings of formula and reward with their defaults, ``name=value`` each, by part."""
    return {
        part.removesuffix("."): [
            f"{part}{name}={setting.default}" for name, setting in _part(config).items()
        ]
        for part, config in ((FUSION, FusionConfig()), (REWARD, RewardConfig()))
    }


def _part(config: Any) -> dict[str, Any]:
    return {n: setting for n, setting in settings_of(config).items() if n not in _ELSEWHERE}


def _with_settings(config: Any, part: str, values: Mapping[str, Any]) -> Any:
    known, given = _part(config), {}
    for full_name, value in values.items():
        if not full_name.startswith(part):
            continue
        name = full_name.removeprefix(part)
        elsewhere = f"; {_ELSEWHERE[name]} sets it" if name in _ELSEWHERE else ""
        names = ", ".join(part + other for other in known)
        require(
            name in known,
            f"--set {full_name}: there is no such setting; there are: {names}{elsewhere}",
        )
        try:
            given[name] = read_value(known[name], value)
        except ValueError as error:
            raise UserError(f"--set {full_name}={value}: {error}") from error
    try:
        return override(config, given)
    except ValueError as error:
        raise UserError(f"--set {part.removesuffix('.')}: {error}") from error


def _number(name: str, value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError) as error:
        raise UserError(f"--set {name}={value}: a weight is a number") from error


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


def check_explored(around: str, baselines: tuple[str, ...], is_served: bool, other: str) -> None:
    """Checks that action noise can explore around a search's weights.

    Args:
      around: The search; equal weights, constant, are always at hand.
      baselines: Of the run.
      is_served: Whether a served log is learned from.
      other: A method whose actions are no weights; empty for one of weights.

    Raises:
      UserError: naming the flag.
    """
    if around == "constant":
        return
    require(not is_served, "--explore-around and --served-log exclude each other")
    require(
        around in baselines,
        f"--explore-around {around} takes the weights of a baseline, and none has that name",
        f"add it: --baselines {','.join((*baselines, around))}",
    )
    require(
        not other,
        f"--explore-around {around} explores around weights, and the actions of {other} are none",
        "leave --explore-around out",
    )
