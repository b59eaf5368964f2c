"""Hyper-parameters of RMTL and of its ablations, as plain data."""

from __future__ import annotations

import dataclasses
from typing import Literal, get_args

from mtfx.config import Config

#: How critics become loss weights: RMTL's (10), and the ablations of its Table 2.
Weighting = Literal["rmtl", "cw", "wl", "nlc"]
#: How the actor is updated by ``RmtlAgent.train``: not at all, by (15), or by (16)-(17).
ActorUpdate = Literal["none", "q", "weighted_bce"]


@dataclasses.dataclass(frozen=True)
class RmtlConfig(Config):
    """Settings of the agent; the defaults are RMTL's (section 3.2) where it gives one.

    Attributes:
      gamma: Discount of the session MDP (section 2.3).
      penalty: λ of (10), "punish variable".
      soft_update: Rate β of (18).
      critic_learning_rate: Adam's, of the critics.
      weighting: ``rmtl``: ω = 1 - λQ, (10); ``cw``: ω = 1; ``nlc``: ω = -Q; ``wl``: ω = 1 - λyQ.
        The paper says of WL that "the adjustment of weights is controlled by labels multiplied by
        the Q-value". Taken literally, ω = yQ is negative for positives and zero for negatives,
        which no model could be trained with; the log loss the paper reports for WL (worse, with a
        better AUC) is what raising only the weights of positives gives.
      normalise_weights: Divide the weights of a batch by their mean, per task, so that only their
        differences count and not their level. Not in the paper.
      min_reward: Rewards (2) below this are raised to it, which bounds the value of one confident
        mistake; None leaves them. Not in the paper.
      actor_update: What ``train`` does with the actor besides updating the critics. RMTL freezes
        it until the critics have converged (``none``), DDPG ascends Q (``q``).
      exploration: Standard deviation of the Gaussian noise on collected actions.
    """

    gamma: float = 0.95
    penalty: float = 0.7
    soft_update: float = 0.2
    critic_learning_rate: float = 1e-3
    weighting: Weighting = "rmtl"
    normalise_weights: bool = False
    min_reward: float | None = None
    actor_update: ActorUpdate = "none"
    exploration: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.gamma < 1:
            raise ValueError(f"gamma is a discount in [0, 1), got {self.gamma}")
        if not 0 < self.soft_update <= 1:
            raise ValueError(f"soft_update is a rate in (0, 1], got {self.soft_update}")
        for name in ("penalty", "exploration"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}")
        if not self.critic_learning_rate > 0:
            raise ValueError(
                f"critic_learning_rate must be positive, got {self.critic_learning_rate}"
            )
        if self.min_reward is not None and not self.min_reward < 0:
            raise ValueError(f"min_reward must be negative, as rewards are; got {self.min_reward}")
        for name, choices in (("weighting", Weighting), ("actor_update", ActorUpdate)):
            if getattr(self, name) not in get_args(choices):
                raise ValueError(
                    f"no {name} {getattr(self, name)!r}; there are: {', '.join(get_args(choices))}"
                )
