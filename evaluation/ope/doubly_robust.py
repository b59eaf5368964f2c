"""Per-decision doubly robust estimation."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from mtfx.evaluation.ope.base import Estimate, Estimator, check_sessions
from mtfx.evaluation.ope.bootstrap import percentile_interval
from mtfx.evaluation.ope.config import BootstrapConfig, DoublyRobustConfig
from mtfx.evaluation.ope.data import OfflineData
from mtfx.evaluation.ope.fitted_q import fit_diagnostics
from mtfx.evaluation.ope.policies import SmoothedPolicy, sample_actions, with_density
from mtfx.evaluation.ope.q_fitting import FitHistory, draw_policy_actions, fit_q
from mtfx.evaluation.ope.weights import session_weights, weighted_value
from mtfx.models.action_policy import ActionPolicy


class DoublyRobust(Estimator):
    """Importance sampling with a fitted Q as control variate.

    V(π) is the mean over sessions of
    Σ_t gamma^t [rho_{0:t} (r_t - Q(s_t, a_t)) + rho_{0:t-1} V_Q(s_t)], with V_Q(s) the mean of
    Q(s, a) over a ~ π. It is right where either the densities or Q are right, and of lower variance
    than importance sampling where Q is near. Jiang and Li, "Doubly Robust Off-policy Value
    Evaluation for Reinforcement Learning", ICML 2016; self-normalised it is the weighted one of
    Thomas and Brunskill, ICML 2016. Q is fitted on other sessions than those it corrects (see
    ``DoublyRobustConfig.folds``).

    The interval is over sessions, with Q kept. Diagnostics: those of ``session_weights`` and of the
    fits; ``control_variate`` is the value by Q alone.
    """

    def __init__(
        self, config: DoublyRobustConfig | None = None, bootstrap: BootstrapConfig | None = None
    ) -> None:
        """Takes the settings; the defaults when None."""
        self.config = config or DoublyRobustConfig()
        self.bootstrap = bootstrap or BootstrapConfig()

    def estimate(self, data: OfflineData, policy: ActionPolicy, seed: int) -> Estimate:
        """See the base class."""
        check_sessions(data)
        weighting = self.config.weighting
        dense = with_density(policy, weighting.bandwidth)
        weights = session_weights(data, dense, weighting)
        q_logged, state_values, histories = self._control_variate(data, dense, seed)
        rewards = data.rewards.numpy().astype(np.float64)
        residuals = np.where(weights.mask, (rewards - q_logged)[weights.rows], 0.0)
        baselines = np.where(weights.mask, state_values[weights.rows], 0.0)

        def statistic(counts: np.ndarray) -> np.ndarray:
            return weighted_value(
                weights, residuals, baselines, counts, self_normalised=weighting.self_normalised
            )

        value = statistic(np.ones((1, data.num_sessions)))[0]
        low, high = percentile_interval(statistic, data.num_sessions, self.bootstrap, seed)
        diagnostics = {
            **weights.diagnostics,
            **fit_diagnostics(histories, data, weighting.gamma),
            "control_variate": float(baselines[:, 0].mean()),
            "self_normalised": weighting.self_normalised,
            "bandwidth": dense.bandwidth if isinstance(dense, SmoothedPolicy) else None,
        }
        return Estimate(float(value), low, high, data.num_sessions, diagnostics)

    def _control_variate(
        self, data: OfflineData, policy: ActionPolicy, seed: int
    ) -> tuple[np.ndarray, np.ndarray, list[FitHistory]]:
        """Q of the logged actions and V_Q of the states, float64 `[transition]`; the fits."""
        rng = np.random.default_rng(seed)
        folds = min(self.config.folds, data.num_sessions)
        fold_of_session = rng.permutation(data.num_sessions) % folds
        fold = fold_of_session[data.session.numpy()]
        q_logged, values = np.zeros(data.num_transitions), np.zeros(data.num_transitions)
        histories = []
        for number in range(folds):
            others = data
            if folds > 1:
                others = data.take_sessions(np.flatnonzero(fold_of_session != number))
            config, fit_seed = self.config.fitted_q, int(rng.integers(2**31 - 1))
            initial = tf.constant(others.initial_rows())
            actions = draw_policy_actions(others, policy, initial, config.num_actions, fit_seed)
            q, history = fit_q(others, actions, config, 0.0, fit_seed)
            histories.append(history)
            rows = np.flatnonzero(fold == number)
            states, logged = tf.gather(data.states, rows), tf.gather(data.actions, rows)
            q_logged[rows] = q.state_values(states, logged[:, None]).numpy()
            drawn = sample_actions(policy, states, fit_seed, config.num_actions)
            values[rows] = q.state_values(states, drawn).numpy()
        return q_logged, values, histories
