"""The evaluation of a fusion policy on logged transitions, and in the simulator if there is one."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from mtfx.components.policy_evaluator.config import PolicyEvaluatorConfig
from mtfx.environments.simulator.dynamics import Simulator
from mtfx.environments.simulator.value import session_figures
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
        config.blessing,
        policy.metadata.config.get("order_agreement"),
        failures.get(config.deciding, ""),
    )
    verdict.notes.extend(notes)
    evaluation = PolicyEvaluation(
        method=policy.metadata.method,
        deciding=config.deciding,
        verdict=verdict,
        estimates=estimates["policy"],
        current=estimates["current"],
        not_estimated=failures,
        logged=logged,
        gamma=config.gamma,
        simulated=_simulated(simulator, policies if usable else {}, config),
        actions=report,
        action_names=_action_names(policy, data.action_dim),
        config=config.to_dict(),
    )
    return Evaluated(evaluation, actions)


def _simulated(
    simulator: Simulator | None, policies: Mapping[str, SavedPolicy], config: PolicyEvaluatorConfig
) -> dict[str, dict[str, float]]:
    if simulator is None:
        return {}
    users = np.random.default_rng(config.seed).integers(
        simulator.world.num_users, size=config.simulated_sessions
    )
    results: dict[str, dict[str, float]] = {}
    for name, policy in policies.items():
        fusion = policy.fusion(simulator.world.num_predictions)
        # The same users and seed, so that differences are due to the policies.
        found = session_figures(simulator, fusion, policy, users, config.seed, config.gamma)
        returns = found.discounted_return
        low, high = mean_interval(returns, config.bootstrap, config.seed)
        results[name] = {
            "value": float(returns.mean()),
            "low": low,
            "high": high,
            "watch_s": float(found.watch_s.mean()),
            # Of all plays together, as BatchRL-MTF's UPIRate is.
            "positive_rate": float((found.positive_rate * found.views).sum() / found.views.sum()),
            "views": float(found.views.mean()),
        }
    return results


def _action_names(policy: SavedPolicy, action_dim: int) -> list[str]:
    """The predictions that the weights are of, where there is one weight for each."""
    names = list(policy.metadata.prediction_names)
    return names if len(names) == action_dim else [f"action {k + 1}" for k in range(action_dim)]
