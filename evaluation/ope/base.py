"""The one interface of all estimators."""

from __future__ import annotations

import abc
from typing import Any, NamedTuple

from mtfx.evaluation.ope.data import OfflineData
from mtfx.models.action_policy import ActionPolicy


class Estimate(NamedTuple):
    """What a policy is worth: the expected discounted sum of a session's rewards.

    Attributes:
      value: The estimate, in units of reward.
      low: Lower end of the confidence interval; see ``mtfx.evaluation.ope.bootstrap`` for what the
        interval covers.
      high: Upper end.
      num_sessions: Sessions whose initial states (or whole courses) the value is a mean over.
      diagnostics: Figures by name, of JSON types, that say how far to trust the value.
    """

    value: float
    low: float
    high: float
    num_sessions: int
    diagnostics: dict[str, Any]


class Estimator(abc.ABC):
    """Estimates a policy's value from the transitions of another policy."""

    @abc.abstractmethod
    def estimate(self, data: OfflineData, policy: ActionPolicy, seed: int) -> Estimate:
        """The policy's value.

        Args:
          data: Logged transitions of at least two sessions.
          policy: The policy to value.
          seed: Of everything random; the same seed gives the same estimate on the same machine.

        Raises:
          ValueError: if the data or the policy do not suit the estimator; the message says why and
            what does.
        """


def check_sessions(data: OfflineData) -> None:
    """Raises ValueError where there are too few sessions for an interval."""
    if data.num_sessions < 2:
        raise ValueError(
            f"the data hold {data.num_sessions} session; an interval needs at least two: "
            "bring more data, or a larger evaluation split"
        )
