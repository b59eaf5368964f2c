"""What is measured of a policy: in the simulator, by estimators, and over all policies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from mtfx.datasets.rewards import positive_feedbacks
from mtfx.environments.simulator.dynamics import Simulator
from mtfx.environments.simulator.runner import SessionRunner
from mtfx.environments.simulator.value import figures_of
from mtfx.evaluation.ope.base import Estimate, Estimator
from mtfx.evaluation.ope.config import (
    ConservativeConfig,
    DoublyRobustConfig,
    FittedQConfig,
    ImportanceSamplingConfig,
)
from mtfx.evaluation.ope.data import OfflineData
from mtfx.evaluation.ope.policies import sample_actions
from mtfx.evaluation.ope.registry import build_estimator
from mtfx.experiments.batchrl.log import FusionLog
from mtfx.experiments.batchrl.ope_agreement import agreement
from mtfx.experiments.batchrl.trials import FusionTrial
from mtfx.models.action_policy import ActionPolicy
from mtfx.models.fusion.base import FusionFunction

#: Second number of the seeds of users and sessions; no log and no curve has it.
_EVALUATION_SEED = 21


class MeasuredTrial(Protocol):
    """A trial whose policy is measured."""

    @property
    def seed(self) -> int:
        """Says which sessions."""
        ...

    def setting(self, name: str) -> Any:
        """Value of ``gamma`` and ``eval_sessions``."""
        ...


def simulated_figures(
    trial: MeasuredTrial, simulator: Simulator, fusion: FusionFunction, policy: ActionPolicy
) -> dict[str, float]:
    """The truth: means over simulated sessions, the same ones for all policies of a seed.

    The users are those of the logs, but the sessions are not: no log, training or search of the
    seed has met their moods, candidates and luck.

    Args:
      trial: Its seed says which sessions.
      simulator: With the default reward, whatever the policy learnt from.
      fusion: Scores the candidates.
      policy: The policy.
    """
    return measured_figures(trial, SessionRunner(simulator, fusion, policy))


def measured_figures(trial: MeasuredTrial, runner: SessionRunner) -> dict[str, float]:
    """As :func:`simulated_figures`, with a runner that was traced before."""
    seed = (trial.seed, _EVALUATION_SEED)
    users = np.random.default_rng(seed).integers(
        runner.simulator.world.num_users, size=trial.setting("eval_sessions")
    )
    figures = figures_of(runner, users, seed, trial.setting("gamma"))
    return {
        "true_return": float(figures.discounted_return.mean()),
        "watch_s": float(figures.watch_s.mean()),
        # Of all plays together, as UPIRate is.
        "positive_rate": float((figures.positive_rate * figures.views).sum() / figures.views.sum()),
        "views": float(figures.views.mean()),
    }


def logged_figures(log: FusionLog, simulator: Simulator, gamma: float) -> dict[str, float]:
    """The same figures of the exploration itself, from its log."""
    sessions = log.num_sessions
    rewards = log.transitions("default", simulator.world.feedback_names).rewards.numpy()
    positive = positive_feedbacks(simulator.config.reward, simulator.world.feedback_names)
    return {
        "true_return": float((gamma**log.step * rewards).sum() / sessions),
        "watch_s": float(log.watch_s.sum() / sessions),
        "positive_rate": float(log.feedback[:, positive].max(axis=1).mean()),
        "views": log.num_requests / sessions,
    }


def conservative_estimate(
    trial: FusionTrial, held_out: OfflineData, policy: ActionPolicy
) -> tuple[dict[str, Any], np.ndarray]:
    """Conservative-OPEstimator's value on the held-out sessions, and the policy's actions there.

    Returns:
      The estimate as JSON types, and actions float32 `[n, A]`, one for each held-out state.
    """
    config = ConservativeConfig(**_fit(trial), penalty=trial.setting("ope_penalty"))
    estimate = build_estimator("conservative", config).estimate(held_out, policy, trial.seed)
    actions = sample_actions(policy, held_out.states, trial.seed)[:, 0].numpy()
    return _as_dict(estimate), actions


def other_estimates(
    trial: FusionTrial, held_out: OfflineData, policy: ActionPolicy
) -> dict[str, dict[str, Any]]:
    """The other estimators' values on the held-out sessions, by name of the estimator."""
    fit = FittedQConfig(**_fit(trial))
    weighting = ImportanceSamplingConfig(
        gamma=trial.setting("gamma"), bandwidth=trial.setting("ope_bandwidth")
    )
    estimators: dict[str, Estimator] = {
        "fqe": build_estimator("fqe", fit),
        "importance_sampling": build_estimator("importance_sampling", weighting),
        "doubly_robust": build_estimator("doubly_robust", DoublyRobustConfig(weighting, fit)),
    }
    return {
        name: _as_dict(estimator.estimate(held_out, policy, trial.seed))
        for name, estimator in estimators.items()
    }


def accuracy(trial: FusionTrial, results: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """How the estimates of an estimator agree with the truth.

    Args:
      trial: Of the estimator.
      results: Of the trials of stage ``estimates``, by policy.

    Returns:
      The result of the trial.
    """
    found = [results[name]["notes"]["estimates"][trial.subject] for name in results]
    truth = np.array([results[name]["metrics"]["simulator"]["true_return"] for name in results])
    values, lows = (np.array([one[key] for one in found], np.float64) for key in ("value", "low"))
    agreed, bounded = (agreement(one, truth, trial.seed) for one in (values, lows))
    return {
        "metrics": {
            heading: {
                "kendall_tau": one.kendall_tau,
                "relative_error": one.relative_error,
                "lower_bound": one.lower_bound,
            }
            for heading, one in (("over policies", agreed), ("low ends of intervals", bounded))
        },
        "curves": {"policies": list(results), "estimate": values, "truth": truth},
        "notes": {**agreed._asdict(), "low_ends": bounded._asdict()},
    }


def _fit(trial: FusionTrial) -> dict[str, Any]:
    units = trial.setting("ope_hidden_units")
    return {
        "gamma": trial.setting("gamma"),
        "steps": trial.setting("ope_steps"),
        "batch_size": trial.setting("ope_batch_size"),
        "learning_rate": trial.setting("ope_learning_rate"),
        "hidden_units": (units, units),
        "num_actions": trial.setting("ope_actions"),
        "num_fits": trial.setting("ope_fits"),
    }


def _as_dict(estimate: Estimate) -> dict[str, Any]:
    return estimate._asdict()
