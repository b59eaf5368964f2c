"""Per-decision importance sampling."""

from __future__ import annotations

import numpy as np

from mtfx.evaluation.ope.base import Estimate, Estimator, check_sessions
from mtfx.evaluation.ope.bootstrap import percentile_interval
from mtfx.evaluation.ope.config import BootstrapConfig, ImportanceSamplingConfig
from mtfx.evaluation.ope.data import OfflineData
from mtfx.evaluation.ope.policies import SmoothedPolicy, with_density
from mtfx.evaluation.ope.weights import session_weights, weighted_value
from mtfx.models.action_policy import ActionPolicy


class ImportanceSampling(Estimator):
    """V(π) = mean over sessions of Σ_t gamma^t rho_{0:t} r_t, with rho_{0:t} = Π π(a|s) / μ(a|s).

    Precup, Sutton and Singh, "Eligibility Traces for Off-Policy Policy Evaluation", ICML 2000; by
    default self-normalised (Thomas, "Safe Reinforcement Learning", 2015). Unbiased without
    self-normalisation and clipping where the behaviour policy gives every action of the policy a
    density, whatever the states hold. Its variance grows exponentially with sessions' length: look
    at ``effective_sample_size``, and distrust the value and its interval where that is below some
    tens. The interval is over sessions.

    Needs logged densities, and the policy's: see ``ImportanceSamplingConfig.bandwidth`` for
    policies that have none. Diagnostics: see ``session_weights``; ``bandwidth`` is None where the
    policy was taken as it is.
    """

    def __init__(
        self,
        config: ImportanceSamplingConfig | None = None,
        bootstrap: BootstrapConfig | None = None,
    ) -> None:
        """Takes the settings; the defaults when None."""
        self.config = config or ImportanceSamplingConfig()
        self.bootstrap = bootstrap or BootstrapConfig()

    def estimate(self, data: OfflineData, policy: ActionPolicy, seed: int) -> Estimate:
        """See the base class."""
        check_sessions(data)
        dense = with_density(policy, self.config.bandwidth)
        weights = session_weights(data, dense, self.config)
        rewards = data.rewards.numpy().astype(np.float64)
        residuals = np.where(weights.mask, rewards[weights.rows], 0.0)
        nothing = np.zeros_like(residuals)

        def statistic(counts: np.ndarray) -> np.ndarray:
            return weighted_value(
                weights, residuals, nothing, counts, self_normalised=self.config.self_normalised
            )

        value = statistic(np.ones((1, data.num_sessions)))[0]
        low, high = percentile_interval(statistic, data.num_sessions, self.bootstrap, seed)
        diagnostics = {
            **weights.diagnostics,
            "self_normalised": self.config.self_normalised,
            "bandwidth": dense.bandwidth if isinstance(dense, SmoothedPolicy) else None,
        }
        return Estimate(float(value), low, high, data.num_sessions, diagnostics)
