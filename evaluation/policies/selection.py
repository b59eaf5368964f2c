"""The choice of the policy to push among several, by sessions that are kept for the choice.

The best of several noisy means is flattered by its luck. So a policy is chosen on sessions of its
own, and what it is worth is measured on others: the comparison's and the evaluation's.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from mtfx.evaluation.policies.comparison import (
    Values,
    ahead_of,
    paired_from_json,
    paired_to_json,
)
from mtfx.evaluation.significance import PairedTest


@dataclasses.dataclass(frozen=True)
class Selection:
    """What was chosen, and why.

    Attributes:
      method: Whose policy is pushed unless another is better beyond chance.
      chosen: Whose policy is pushed.
      candidates: All that were compared, the method among them.
      sessions: How many each met.
      ahead: Those better than the method's beyond chance, by how much, the best first.
    """

    method: str
    chosen: str
    candidates: tuple[str, ...]
    sessions: int
    ahead: Mapping[str, PairedTest]

    @property
    def sentence(self) -> str:
        """The choice and its reason, for a report."""
        where = f"in {self.sessions:,} sessions kept for this choice"
        if self.chosen == self.method:
            others = ", ".join(name for name in self.candidates if name != self.method)
            return (
                f"--push best kept {self.method}: none of {others} is better beyond chance {where}"
            )
        test = self.ahead[self.chosen]
        return (
            f"--push best chose {self.chosen} in place of {self.method}: return "
            f"{test.difference.mean:+.3f} ± {test.difference.half_width:.3f} a session (p "
            f"{test.p:.2g}, paired) {where}"
        )

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        ahead = {name: paired_to_json(test) for name, test in self.ahead.items()}
        return {
            "method": self.method,
            "chosen": self.chosen,
            "candidates": list(self.candidates),
            "sessions": self.sessions,
            "ahead": ahead,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Selection:
        """The inverse of :meth:`to_json`."""
        return cls(
            value["method"],
            value["chosen"],
            tuple(value["candidates"]),
            value["sessions"],
            {name: paired_from_json(test) for name, test in value["ahead"].items()},
        )


def select_policy(figures: Mapping[str, Mapping[str, Values]], method: str) -> Selection:
    """Chooses the policy of the highest mean return, if it beats the method's beyond chance.

    Args:
      figures: ``discounted_return`` by policy, of the same sessions in the same order.
      method: Whose policy is kept otherwise; see
        :func:`mtfx.evaluation.policies.comparison.ahead_of` for the test.

    Raises:
      KeyError: if the method's is not among them.
    """
    ahead = ahead_of(figures, method)
    return Selection(
        method=method,
        chosen=next(iter(ahead), method),
        candidates=tuple(figures),
        sessions=len(figures[method]["discounted_return"]),
        ahead=ahead,
    )
