"""Rules by which ranking models and fusion policies are blessed, as plain data."""

from __future__ import annotations

import dataclasses
import math
from typing import Literal, get_args

from mtfx.config import Config

#: What of the current policy's estimate the new one's lower bound is compared with.
Reference = Literal["low", "value"]


@dataclasses.dataclass(frozen=True)
class Thresholds(Config):
    """What a model must reach on the whole test split to be blessed.

    Attributes:
      min_auc: Lower bound of every binary task's AUC; 0.5 is chance. A model below is not blessed.
      max_auc_drop: How far a binary task's AUC may fall below the latest blessed model's.
      max_logloss: Absolute upper bound of every binary task's log loss in nats. It depends on the
        label rate, hence none by default.
      min_r_squared: Lower bound of every regression task's coefficient of determination;
        0 is as good as always predicting the mean.
      max_mse_growth: How far a regression task's mean squared error may grow over the latest
        blessed model's, as a share of it.
      allow_worse_than_rate: Bless a model of which a task is worse, beyond the 95% interval, than
        always predicting the test split's own rate (a regression: its mean).
    """

    min_auc: float = 0.51
    max_auc_drop: float = 0.005
    max_logloss: float | None = None
    min_r_squared: float = 0.0
    max_mse_growth: float = 0.02
    allow_worse_than_rate: bool = False

    def __post_init__(self) -> None:
        for name in ("min_auc", "max_auc_drop"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"{name} lies between 0 and 1, got {getattr(self, name)}")
        if self.max_mse_growth < 0.0:
            raise ValueError(f"max_mse_growth must not be negative, got {self.max_mse_growth}")


@dataclasses.dataclass(frozen=True)
class BlessingConfig(Config):
    """The rule.

    Attributes:
      reference: The new policy's lower confidence bound must not be below this of the current
        policy's estimate: its own lower bound (``low``), or its value (``value``). Bounds are
        compared with bounds by default, like with like: both come from the same sessions, so most
        of their width is common to both, and against the value a policy that is exactly as good
        as the current one, such as one retrained on another day, would never be blessed.
        ``value`` asks for an improvement that the interval does not explain. Where there is no
        current policy, or its estimate says nothing, the same of what the logging policy earned
        in these sessions, which is known without any model.
      max_drop: The lower bound may be below the reference by this much, in units of reward.
      min_value: The lower bound may never be below this; None for no such bound.
      max_outside_share: Most of the coordinates of actions, as a share, beyond the logged actions'
        1% and 99% quantiles by more than 0.05. What a Q network says there is extrapolated.
      min_order_agreement: Least share of the pairs of a shown and another candidate of the log in
        which a policy with a trained fusion puts the shown one first too, by the logged action.
        Below it the estimate is of another ranking. 0.5 is chance. Ours is what 0.7 of all pairs
        comes to, halfway to certainty, in requests of random predictions: what is shown is far from
        most others, so that these pairs are agreed on more easily.
      min_effective_sessions: Least effective sample size of an estimate by importance weights.
        Fewer sessions than ten are no evidence, however narrow the interval that they give.
      allow_constant: Whether a policy may take the same action in every state. Bayesian
        optimisation and fixed weights do so by design: ``PolicyEvaluator`` sets it for them. A
        policy learned from states that does so has collapsed.
      refusal: Why no policy is blessed at all, whatever it is worth; empty: one may be.
    """

    reference: Reference = "low"
    max_drop: float = 0.0
    min_value: float | None = None
    max_outside_share: float = 0.5
    min_order_agreement: float = 0.8
    min_effective_sessions: float = 10.0
    allow_constant: bool = False
    refusal: str = ""

    def __post_init__(self) -> None:
        if self.reference not in get_args(Reference):
            raise ValueError(
                f"no reference {self.reference!r}; there are: {', '.join(get_args(Reference))}"
            )
        if not 0 <= self.max_drop < math.inf:
            raise ValueError(f"max_drop must not be negative or infinite, got {self.max_drop}")
        if self.min_value is not None and not math.isfinite(self.min_value):
            raise ValueError(f"min_value must be a finite number, got {self.min_value}")
        if not self.min_effective_sessions >= 1:
            raise ValueError(
                f"min_effective_sessions must be at least 1, got {self.min_effective_sessions}"
            )
        if not 0.0 <= self.max_outside_share <= 1.0:
            raise ValueError(f"max_outside_share is a share, got {self.max_outside_share}")
        if not 0.0 <= self.min_order_agreement <= 1.0:
            raise ValueError(f"min_order_agreement is a share, got {self.min_order_agreement}")
