"""What trials measure, by name: how it is shown, and what is better."""

from __future__ import annotations

from typing import NamedTuple


class Figure(NamedTuple):
    """A figure of a task or policy.

    Attributes:
      title: As shown.
      higher: Whether a higher one is better; None if neither is.
      digits: Decimal places.
      relative: Whether columns are compared by the change in percent instead of the difference.
    """

    title: str
    higher: bool | None
    digits: int = 4
    relative: bool = False

    @property
    def arrow(self) -> str:
        """Points to what is better."""
        return "" if self.higher is None else " ↑" if self.higher else " ↓"


FIGURES: dict[str, Figure] = {
    # Of a task of a ranking model.
    "auc": Figure("AUC", True),
    "logloss": Figure("log loss", False),
    "s_logloss": Figure("s-logloss", False),
    # Of a fusion policy in the simulator.
    "true_return": Figure("discounted return", True, 3),
    "watch_s": Figure("watch time per session, s", True, 2, relative=True),
    "positive_rate": Figure("positive-interaction rate", True, 4, relative=True),
    "views": Figure("views per session", True, 2, relative=True),
    # Of xMTF's cells.
    "inner_violations": Figure("violations of the inner stage", False, 5),
    "violations": Figure("violations of both stages", False, 5),
    # Of a fusion policy on logged transitions.
    "estimated_return": Figure("estimated return V̂", True, 3),
    "q_mean": Figure("mean estimated Q", None, 3),
    "q_deviation": Figure("standard deviation of Q over states", None, 3),
    "q_error": Figure("mean Q less the true return", None, 3),
    "distance": Figure("distance to the logged actions", None, 3),
    "extreme": Figure("share of actions at a bound", None, 3),
    "spread": Figure("standard deviation of the actions", None, 3),
    # Of an estimator, over policies.
    "kendall_tau": Figure("Kendall's tau with the true order", True, 3),
    "relative_error": Figure("relative error", False, 3),
    "lower_bound": Figure("share of policies not overrated", True, 3),
}
#: Of every task of a ranking model.
RANKING_FIGURES = ("auc", "logloss", "s_logloss")
