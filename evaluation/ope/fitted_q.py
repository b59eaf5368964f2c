"""Fitted Q evaluation (FQE), and its conservative form (BatchRL-MTF, 4.3.1 and Algorithm 2)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import tensorflow as tf

from mtfx.evaluation.ope.base import Estimate, Estimator, check_sessions
from mtfx.evaluation.ope.bootstrap import mean_interval, refit_interval, resample_counts
from mtfx.evaluation.ope.config import BootstrapConfig, ConservativeConfig, FittedQConfig
from mtfx.evaluation.ope.data import OfflineData
from mtfx.evaluation.ope.q_fitting import FitHistory, draw_policy_actions, fit_q
from mtfx.models.action_policy import ActionPolicy

#: A fit has converged if its value moved by no more than this share since the middle of the steps,
#: and Q is no further than that from its own fixed point. Not since the last tenth: along a cosine
#: the rate is next to 0 there, and nothing moves however far there is to go; the second half has a
#: fifth of the rate's sum. The fixed point tells a fit that hardly began, and so hardly moved, from
#: one that arrived.
CONVERGED_BELOW = 0.05


class FittedQEvaluation(Estimator):
    """V(π) = mean over initial states of Q(s⁰, π(s⁰)), with Q fitted to the policy.

    Q minimises the squared TD error to r + gamma Q̄(s', π(s')). Le, Voloshin and Yue, "Batch Policy
    Learning under Constraints", ICML 2019. Needs no densities. The interval is over initial states
    and does not cover the error of the fit; with ``num_fits`` from two on each network is fitted on
    sessions drawn anew, and it covers the chance in that: see ``mtfx.evaluation.ope.bootstrap``.

    Diagnostics, of the fit or, with several, the worst of them: ``td_loss`` (mean squared TD error
    over the last tenth of the steps), ``value_drift`` (what the value moved by in the second half
    of the steps), ``bellman_gap`` (how far Q is from its own fixed point, see
    ``q_fitting.bellman_gap``), ``converged`` (whether both are at most 5% of the value, or of the
    mean size of a reward if that is larger), ``value_history`` by step, ``fit_values`` (each
    network's), ``actions_per_state``, ``steps``, ``largest_return`` (a value above it is none).
    Where it did not converge, raise ``steps``, or ``batch_size`` if the value swings.
    """

    def __init__(
        self, config: FittedQConfig | None = None, bootstrap: BootstrapConfig | None = None
    ) -> None:
        """Takes the settings; the paper's when None."""
        self.config = config or FittedQConfig()
        self.bootstrap = bootstrap or BootstrapConfig()

    @property
    def penalty(self) -> float:
        """The alpha of (10)."""
        return 0.0

    def estimate(self, data: OfflineData, policy: ActionPolicy, seed: int) -> Estimate:
        """See the base class."""
        check_sessions(data)
        rng = np.random.default_rng(seed)
        rows = data.initial_rows()
        if len(rows) > self.config.num_initial_states:
            rows = rng.choice(rows, self.config.num_initial_states, replace=False)
        actions = draw_policy_actions(
            data, policy, tf.constant(rows), self.config.num_actions, _int32(rng)
        )
        values, histories = [], []
        for _ in range(self.config.num_fits):
            pool = resampled_rows(data, rng) if self.config.num_fits > 1 else None
            q, history = fit_q(data, actions, self.config, self.penalty, _int32(rng), pool)
            states_values = q.state_values(actions.initial_states, actions.initial)
            values.append(states_values.numpy().astype(np.float64))
            histories.append(history)
        matrix = np.stack(values)
        if len(matrix) > 1:
            low, high = refit_interval(matrix, self.bootstrap.confidence)
        else:
            low, high = mean_interval(matrix[0], self.bootstrap, _int32(rng))
        diagnostics = {
            **fit_diagnostics(histories, data, self.config.gamma),
            "penalty": self.penalty,
            "fit_values": [float(value) for value in matrix.mean(axis=1)],
            "actions_per_state": int(actions.now.shape[1]),
        }
        return Estimate(float(matrix.mean()), low, high, len(rows), diagnostics)


def resampled_rows(data: OfflineData, rng: np.random.Generator) -> np.ndarray:
    """The transitions of as many sessions as there are, drawn with replacement: int64 `[row]`."""
    counts = next(resample_counts(data.num_sessions, 1, rng))[0]
    return np.repeat(np.arange(data.num_transitions), counts[data.session.numpy()])


def largest_return(rewards: tf.Tensor, gamma: float) -> float | None:
    """What no session exceeds while rewards are no larger than the logged ones.

    That is the largest of them at every request of an endless session. A value above it says that
    the fit of Q diverged, as bootstrapping from actions that no log holds may.

    Args:
      rewards: Logged rewards, float32 `[transition]`.
      gamma: Discount in [0, 1].

    Returns:
      The bound, in units of reward; None where gamma is 1, which sets none.
    """
    most = float(tf.reduce_max(rewards))
    if most <= 0.0:
        return most
    return most / (1.0 - gamma) if gamma < 1.0 else None


def fit_diagnostics(histories: list[FitHistory], data: OfflineData, gamma: float) -> dict[str, Any]:
    """What fits say about themselves, the worst of each; see :class:`FittedQEvaluation`."""
    # A value near 0 is no measure of itself.
    reward_size = float(tf.reduce_mean(tf.abs(data.rewards)))
    drifts = [_drift(history) for history in histories]
    scales = [max(abs(history.value[-1]), reward_size) for history in histories]
    converged = [
        abs(drift) <= CONVERGED_BELOW * scale and abs(history.gap) <= CONVERGED_BELOW * scale
        for drift, scale, history in zip(drifts, scales, histories, strict=True)
    ]
    worst = int(np.argmax(np.abs(drifts)))
    return {
        "steps": histories[worst].steps[-1],
        "td_loss": max(history.td_loss[-1] for history in histories),
        "value_drift": drifts[worst],
        "bellman_gap": float(max((history.gap for history in histories), key=_size)),
        "converged": all(converged),
        "largest_return": largest_return(data.rewards, gamma),
        "value_history": dict(
            zip(map(str, histories[worst].steps), histories[worst].value, strict=True)
        ),
    }


def _drift(history: FitHistory) -> float:
    """From the last checkpoint in the first half of the steps; from 0 where there is none."""
    middle = [
        value
        for step, value in zip(history.steps, history.value, strict=True)
        if step <= history.steps[-1] / 2
    ]
    return history.value[-1] - (middle[-1] if middle else 0.0)


def _size(gap: float) -> float:
    return math.inf if math.isnan(gap) else abs(gap)


def _int32(rng: np.random.Generator) -> int:
    return int(rng.integers(2**31 - 1))


class ConservativeEstimator(FittedQEvaluation):
    """Fitted Q evaluation that penalises the policy's actions where the data have others.

    By (10), Q minimises alpha (E Q(s, π(s)) - E Q(s, a)) + 1/2 E (Q(s, a) - y)² with the target
    y = r + gamma Q(s', π(s')), and by (9), V(π) is the mean of Q(s⁰, π(s⁰)) over initial states.
    For tabular Q the fixed point is that of rewards lowered by alpha (π(a|s) / μ(a|s) - 1) under
    the behaviour policy μ. The mean of that under π is never negative; so V is a lower bound of the
    true value, up to the errors of sampling and fitting (Kumar et al., "Conservative Q-Learning for
    Offline Reinforcement Learning", NeurIPS 2020, theorem 3.2). How low depends on how far the
    policy is from the data: a policy that the data resemble is hardly penalised.

    ``conservative_loss`` and ``td_targets`` say where the paper's print is not followed to the
    letter: argmax for argmin in (10), and the state for the next state in Algorithm 2, line 4.
    """

    def __init__(
        self, config: ConservativeConfig | None = None, bootstrap: BootstrapConfig | None = None
    ) -> None:
        """Takes the settings; the paper's when None."""
        config = config or ConservativeConfig()
        super().__init__(config, bootstrap)
        self._penalty = config.penalty

    @property
    def penalty(self) -> float:
        """The alpha of (10)."""
        return self._penalty
