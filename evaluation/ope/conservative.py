"""Conservative-OPEstimator (BatchRL-MTF, section 4.3.1 and Algorithm 2)."""

from __future__ import annotations

from mtfx.evaluation.ope.config import BootstrapConfig, ConservativeConfig
from mtfx.evaluation.ope.fitted_q import FittedQEvaluation


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
