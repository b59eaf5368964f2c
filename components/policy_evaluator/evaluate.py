"""The evaluation of a fusion policy on logged transitions, and in the simulator if there is one."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from mtfx.agents.search.registry import SEARCHES
from mtfx.components.policy_evaluator.config import PolicyEvaluatorConfig
from mtfx.environments.simulator.dynamics import Simulator
from mtfx.environments.simulator.user_groups import judged_sessions
from mtfx.environments.simulator.value import SessionFigures, session_figures
from mtfx.evaluation.config import BlessingConfig
from mtfx.evaluation.ope.base import Estimate
from mtfx.evaluation.ope.bootstrap import mean_interval
from mtfx.evaluation.ope.data import OfflineData
from mtfx.evaluation.ope.policies import asker
from mtfx.evaluation.ope.registry import build_estimator
from mtfx.evaluation.policies.blessing import decide
from mtfx.evaluation.policies.logged_return import lack_of_evidence, logged_return
from mtfx.evaluation.policies.report import report_actions
from mtfx.evaluation.reports.policy import PolicyEvaluation
from mtfx.models.export.policy import SavedPolicy

#: States in which actions are compared and drawn.
_REPORT_STATES = 20_000


@dataclasses.dataclass(frozen=True)
class Evaluated:
    """An evaluation and the actions that its figure shows.

    Attributes:
      evaluation: What was found.
      actions: By ``logged``, ``policy`` and ``current``: float32 `[state, action_dim]`.
    """

    evaluation: PolicyEvaluation
    actions: Mapping[str, np.ndarray]


def evaluate_policy(
    data: OfflineData,
    policy: SavedPolicy,
    current: SavedPolicy | None,
    simulator: Simulator | None,
    config: PolicyEvaluatorConfig,
) -> Evaluated:
    """Estimates, simulates, compares and decides.

    Where the log or the estimator cannot judge the policy, the policy is refused with the reason.

    Args:
      data: Transitions that the policy did not learn from.
      policy: The new policy.
      current: The one in use; None if there is none.
      simulator: For true values; None if there is none.
      config: Settings.
    """
    log = logging.getLogger("mtfx.progress")
    rows = np.random.default_rng(config.seed).permutation(data.num_transitions)[:_REPORT_STATES]
    states = tf.gather(data.states, rows)
    actions = {"logged": tf.gather(data.actions, rows).numpy()}
    policies = {"policy": policy} if current is None else {"policy": policy, "current": current}
    for name, one in policies.items():
        actions[name] = asker(one, data.state_dim)(states, config.seed, 0).numpy()
    report = report_actions(actions["policy"], data.actions.numpy())
    usable = report.finite_share == 1.0 and report.out_of_bounds_share == 0.0
    logged = logged_return(data, config.bootstrap, config.gamma, config.seed)
    estimates: dict[str, dict[str, Estimate]] = {"policy": {}, "current": {}}
    failures: dict[str, str] = {}
    # Fits to rewards that say nothing take as long as others.
    speaks = lack_of_evidence(logged) is None
    notes: list[str] = []
    for name, settings in config.estimators if usable and speaks else ():
        estimator = build_estimator(name, settings, config.bootstrap)
        for which, one in policies.items():
            title = {"policy": "new policy", "current": "current policy"}[which]
            try:
                # The same seed for both: the same initial states, minibatches and resamples.
                found = estimator.estimate(data, one, config.seed)
            except ValueError as error:
                if which == "policy":
                    failures[name] = str(error)
                elif name == config.deciding:
                    notes.append(f"the current policy could not be valued: {error}")
                break
            estimates[which][name] = found
            log.info("%s of the %s: %.4g", name, title, found.value)
    verdict = decide(
        report,
        estimates["policy"].get(config.deciding),
        estimates["current"].get(config.deciding),
        logged,
        _rule(policy.metadata.method, config.blessing),
        policy.metadata.config.get("order_agreement"),
        failures.get(config.deciding, ""),
    )
    verdict.notes.extend(notes)
    simulated = _simulated(simulator, policies if usable else {}, config)
    evaluation = PolicyEvaluation(
        method=policy.metadata.method,
        deciding=config.deciding,
        verdict=verdict,
        estimates=estimates["policy"],
        current=estimates["current"],
        not_estimated=failures,
        logged=logged,
        gamma=config.gamma,
        simulated={name: one.evaluation for name, one in simulated.items()},
        simulated_training={name: one.training for name, one in simulated.items()},
        actions=report,
        action_names=_action_names(policy, data.action_dim),
        config=config.to_dict(),
    )
    return Evaluated(evaluation, actions)


def _rule(method: str, config: BlessingConfig) -> BlessingConfig:
    """The rule for a policy of a method: weights for everybody do not depend on the state."""
    fixed = method in SEARCHES and not SEARCHES[method].personalised
    return dataclasses.replace(config, allow_constant=config.allow_constant or fixed)


class _Simulated(NamedTuple):
    """A policy's figures in the simulator, by group of users."""

    evaluation: dict[str, float]
    training: dict[str, float]


def _simulated(
    simulator: Simulator | None, policies: Mapping[str, SavedPolicy], config: PolicyEvaluatorConfig
) -> dict[str, _Simulated]:
    if simulator is None:
        return {}
    world = simulator.world
    sessions = judged_sessions(world.user_ids, config.simulated_sessions, config.seed)
    results: dict[str, _Simulated] = {}
    for name, policy in policies.items():
        fusion = policy.fusion(world.num_predictions)
        # The same users and seed, so that differences are due to the policies.
        found = session_figures(
            simulator, fusion, policy, sessions.users, config.seed, config.gamma
        )
        results[name] = _Simulated(
            *(_figures(found, of, config) for of in (sessions.evaluation, sessions.training))
        )
    return results


def _figures(
    found: SessionFigures, of: Callable[[np.ndarray], np.ndarray], config: PolicyEvaluatorConfig
) -> dict[str, float]:
    """Means over the sessions that ``of`` takes."""
    returns, views = of(found.discounted_return), of(found.views)
    low, high = mean_interval(returns, config.bootstrap, config.seed)
    return {
        "value": float(returns.mean()),
        "low": low,
        "high": high,
        "watch_s": float(of(found.watch_s).mean()),
        # Of all plays together, as BatchRL-MTF's UPIRate is.
        "positive_rate": float((of(found.positive_rate) * views).sum() / views.sum()),
        "views": float(views.mean()),
    }


def _action_names(policy: SavedPolicy, action_dim: int) -> list[str]:
    """The predictions that the weights are of, where there is one weight for each."""
    names = list(policy.metadata.prediction_names)
    return names if len(names) == action_dim else [f"action {k + 1}" for k in range(action_dim)]
