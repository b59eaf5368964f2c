"""Figures of a policy's actions beside the logged ones, and whether the policy has collapsed."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

#: The logged actions' range: between these quantiles, per coordinate.
RANGE_QUANTILES = (0.01, 0.99)
#: How far beyond it an action may be and is still among logged ones: half of BatchRL-MTF's action
#: noise of 0.1. Weights at a bound lie beyond the 99% quantile of any noise around themselves. Of
#: random exploration (deviation 0.5) that quantile is 0.92, so that its bounds remain beyond.
NEAR_RANGE = 0.05
#: A coordinate whose standard deviation over states is below this does not depend on the state:
#: 0.05% of the width of [-1, 1], far below BatchRL-MTF's action noise of 0.1.
CONSTANT_BELOW = 1e-3
#: A coordinate this far out is at its bound.
AT_BOUND = 0.999
#: A policy most of whose coordinates are at a bound, in this share of the states, is saturated.
SATURATED_SHARE = 0.99
_PER_COORDINATE = (
    "mean",
    "deviation",
    "logged_deviation",
    "wasserstein",
    "outside",
    "at_bounds",
)


@dataclasses.dataclass(frozen=True)
class ActionReport:
    """A policy's actions in logged states, against the logged actions.

    Figures per coordinate are tuples `[action_dim]`, over the states where all coordinates are
    finite; they are empty where there is no such state.

    Attributes:
      num_states: States asked about.
      finite_share: Share of states in which the action is finite.
      out_of_bounds_share: Share of coordinates outside [-1, 1].
      mean: Mean action.
      deviation: Standard deviation over states.
      logged_deviation: The logged actions'.
      wasserstein: 1-Wasserstein distance to the logged actions, in units of the action; 2 at most.
      outside: Share of states whose action is beyond the logged actions' 1% or 99% quantile by more
        than ``NEAR_RANGE``.
      at_bounds: Share of states whose action is at -1 or 1.
    """

    num_states: int
    finite_share: float
    out_of_bounds_share: float
    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    logged_deviation: tuple[float, ...]
    wasserstein: tuple[float, ...]
    outside: tuple[float, ...]
    at_bounds: tuple[float, ...]

    @property
    def outside_share(self) -> float:
        """Share of all coordinates beyond the logged range; NaN without finite actions."""
        return float(np.mean(self.outside)) if self.outside else float("nan")

    @property
    def is_constant(self) -> bool:
        """Whether the action is the same in every state."""
        return bool(self.deviation) and max(self.deviation) < CONSTANT_BELOW

    @property
    def is_saturated(self) -> bool:
        """Whether nearly all coordinates are at a bound: an actor that ran away with its critic."""
        return bool(self.at_bounds) and float(np.mean(self.at_bounds)) >= SATURATED_SHARE

    def to_json(self) -> dict[str, Any]:
        """All figures, of JSON types."""
        return {
            **dataclasses.asdict(self),
            "outside_share": self.outside_share,
            "is_constant": self.is_constant,
            "is_saturated": self.is_saturated,
        }


def report_actions(actions: np.ndarray, logged: np.ndarray) -> ActionReport:
    """Compares a policy's actions with the logged ones.

    Args:
      actions: The policy's, float `[state, action_dim]`; any may be NaN or out of bounds.
      logged: Those of the data, finite float `[transition, action_dim]`.

    Raises:
      ValueError: if there are none, or the sizes of an action differ.
    """
    # Takes a while to import.
    from scipy import stats

    if actions.ndim != 2 or logged.ndim != 2 or not len(actions) or not len(logged):
        raise ValueError(
            "actions must be [state, action_dim] with at least one state, got shapes "
            f"{actions.shape} of the policy and {logged.shape} of the log"
        )
    if actions.shape[1] != logged.shape[1]:
        raise ValueError(
            f"the policy's actions have {actions.shape[1]} columns, the data's {logged.shape[1]}"
        )
    finite = np.isfinite(actions).all(axis=1)
    known = actions[finite].astype(np.float64)
    logged = logged.astype(np.float64)
    out_of_bounds = float((np.abs(known) > 1.0 + 1e-4).mean()) if len(known) else 0.0
    rows: dict[str, Any] = dict.fromkeys(_PER_COORDINATE, ())
    if len(known):
        low, high = np.quantile(logged, RANGE_QUANTILES, axis=0)
        columns = range(logged.shape[1])
        rows = {
            "mean": known.mean(axis=0),
            "deviation": known.std(axis=0),
            "logged_deviation": logged.std(axis=0),
            "wasserstein": [stats.wasserstein_distance(known[:, k], logged[:, k]) for k in columns],
            "outside": ((known < low - NEAR_RANGE) | (known > high + NEAR_RANGE)).mean(axis=0),
            "at_bounds": (np.abs(known) >= AT_BOUND).mean(axis=0),
        }
    return ActionReport(
        num_states=len(actions),
        finite_share=float(finite.mean()),
        out_of_bounds_share=out_of_bounds,
        **{name: tuple(float(value) for value in values) for name, values in rows.items()},
    )
