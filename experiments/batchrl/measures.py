"""Measures of policies: of a log, of their actions, by estimators, and over all policies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from mtfx.datasets.rewards import positive_feedbacks
from mtfx.environments.simulator.dynamics import Simulator
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
from mtfx.experiments.batchrl.trial import FusionTrial
from mtfx.models.action_policy import ActionPolicy

#: Bins of the histograms over [-1, 1].
BINS = 20
#: Actions beyond this count as at a bound.
AT_BOUND = 0.95


def logged_figures(log: FusionLog, simulator: Simulator, gamma: float) -> dict[str, float]:
    """The figures of :func:`.measured_figures`, of the exploration itself, from its log."""
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
    config = ConservativeConfig(**_fit(trial), penalty=trial.config.ope_penalty)
    estimate = build_estimator("conservative", config).estimate(held_out, policy, trial.seed)
    actions = sample_actions(policy, held_out.states, trial.seed)[:, 0].numpy()
    return _as_dict(estimate), actions


def other_estimates(
    trial: FusionTrial, held_out: OfflineData, policy: ActionPolicy
) -> dict[str, dict[str, Any]]:
    """The other estimators' values on the held-out sessions, by name of the estimator."""
    fit = FittedQConfig(**_fit(trial))
    weighting = ImportanceSamplingConfig(
        gamma=trial.config.gamma, bandwidth=trial.config.ope_bandwidth
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
    units = trial.config.ope_hidden_units
    return {
        "gamma": trial.config.gamma,
        "steps": trial.config.ope_steps,
        "batch_size": trial.config.ope_batch_size,
        "learning_rate": trial.config.ope_learning_rate,
        "hidden_units": (units, units),
        "num_actions": trial.config.ope_actions,
        "num_fits": trial.config.ope_fits,
    }


def _as_dict(estimate: Estimate) -> dict[str, Any]:
    return estimate._asdict()


class ActionFigures(NamedTuple):
    """Figures of a policy's actions, means over the coordinates.

    Attributes:
      distance: 1-Wasserstein distance between its actions and the logged ones in the same states,
        in units of the actions: how far they must be moved to be distributed like the logged ones.
      extreme: Share of the actions at a bound, where an agent ends that trusts an ever-rising Q.
      spread: Standard deviation.
    """

    distance: float
    extreme: float
    spread: float


def action_figures(actions: np.ndarray, logged: np.ndarray) -> ActionFigures:
    """Compares actions with logged ones.

    Args:
      actions: `[n, A]` in [-1, 1].
      logged: `[m, A]`.

    Raises:
      ValueError: if the sizes of the actions differ.
    """
    # Takes a while to import.
    from scipy.stats import wasserstein_distance

    if actions.ndim != 2 or actions.shape[1:] != logged.shape[1:]:
        raise ValueError(f"actions {actions.shape} cannot be compared with {logged.shape}")
    distances = [
        wasserstein_distance(own, other) for own, other in zip(actions.T, logged.T, strict=True)
    ]
    return ActionFigures(
        float(np.mean(distances)),
        float(np.mean(np.abs(actions) > AT_BOUND)),
        float(np.mean(actions.std(axis=0))),
    )


def action_histograms(actions: np.ndarray, names: tuple[str, ...]) -> dict[str, list[float]]:
    """Share of the actions in each bin, by coordinate.

    Args:
      actions: `[n, A]` in [-1, 1].
      names: Of the coordinates, A of them.
    """
    shares: dict[str, Any] = {}
    for name, values in zip(names, actions.T, strict=True):
        counts, _ = np.histogram(np.clip(values, -1.0, 1.0), bins=BINS, range=(-1.0, 1.0))
        shares[name] = (counts / len(values)).tolist()
    return shares


class Agreement(NamedTuple):
    """Agreement over policies; NaN where it is undefined.

    Attributes:
      kendall_tau: Kendall's τ-b between the orders of the policies: 1 for the same order, -1 for
        the reverse.
      tau_low: Lower end of the 95% percentile bootstrap interval over policies.
      tau_high: Upper end.
      relative_error: Mean of |estimate - truth| / |truth|.
      lower_bound: Share of the policies whose estimate is not above the truth.
      policies: Policies with a finite estimate, over which the others are taken.
    """

    kendall_tau: float
    tau_low: float
    tau_high: float
    relative_error: float
    lower_bound: float
    policies: int


def agreement(
    estimates: np.ndarray, truth: np.ndarray, seed: int, resamples: int = 1000
) -> Agreement:
    """Compares estimates with true values.

    Args:
      estimates: One per policy; those that are not finite are left out.
      truth: One per policy, in the same order.
      seed: Of the bootstrap.
      resamples: Of the bootstrap.

    Raises:
      ValueError: if there are not as many of one as of the other.
    """
    if estimates.shape != truth.shape or estimates.ndim != 1:
        raise ValueError(f"one estimate per policy: got {estimates.shape} for {truth.shape}")
    known = np.isfinite(estimates) & np.isfinite(truth)
    found, true = estimates[known], truth[known]
    count = len(found)
    if count < 2:
        nan = float("nan")
        return Agreement(nan, nan, nan, nan, nan, count)
    generator = np.random.default_rng(seed)
    taus = []
    for _ in range(resamples):
        drawn = generator.integers(count, size=count)
        taus.append(kendall_tau(found[drawn], true[drawn]))
    taus = np.array([tau for tau in taus if np.isfinite(tau)])
    low, high = np.quantile(taus, [0.025, 0.975]) if taus.size else (np.nan, np.nan)
    return Agreement(
        kendall_tau(found, true),
        float(low),
        float(high),
        float(np.mean(np.abs(found - true) / np.maximum(np.abs(true), 1e-12))),
        float(np.mean(found <= true)),
        count,
    )


def kendall_tau(first: np.ndarray, second: np.ndarray) -> float:
    """Kendall's τ-b of two vectors; NaN where one of them is constant."""
    # Takes a while to import.
    from scipy.stats import kendalltau

    return float(kendalltau(first, second).statistic)
