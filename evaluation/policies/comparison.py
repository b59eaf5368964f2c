"""Several policies on the same simulated sessions: means, intervals and paired differences."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from mtfx.evaluation.significance import Mean, PairedTest, mean_with_interval, paired_test

#: One value per session.
Values = Sequence[float]

#: The figures compared, as the simulator's ``SessionFigures`` names them, and their titles.
FIGURES: dict[str, str] = {
    "watch_s": "watch time, s",
    "positive_rate": "positive interactions",
    "views": "views",
    "discounted_return": "return",
}


@dataclasses.dataclass(frozen=True)
class PolicyRow:
    """One policy's figures.

    Attributes:
      policy: Its name.
      figures: Mean over sessions by figure, with its interval.
      differences: Against the first policy, paired by session; empty for the first.
    """

    policy: str
    figures: Mapping[str, Mean]
    differences: Mapping[str, PairedTest]


def compare_policies(figures: Mapping[str, Mapping[str, Values]]) -> tuple[PolicyRow, ...]:
    """Compares policies that met the same sessions.

    BatchRL-MTF reports two figures of its online test relative to Bayesian optimisation: the time
    spent (ADTime) and the share of plays with a positive interaction (UPIRate). Here the unit is
    the session: its watch time, and the share of its views with a positive interaction.

    Args:
      figures: By policy and figure, of the same sessions in the same order; the first policy is
        the baseline.

    Raises:
      ValueError: if there is no policy, or the numbers of sessions differ.
    """
    if not figures:
        raise ValueError("there is no policy to compare")
    sizes = {name: len(policy["views"]) for name, policy in figures.items()}
    if len(set(sizes.values())) > 1:
        raise ValueError(f"policies were run on different numbers of sessions: {sizes}")
    first = next(iter(figures))
    return tuple(
        PolicyRow(
            name,
            {key: mean_with_interval(policy[key]) for key in FIGURES},
            {}
            if name == first
            else {key: paired_test(policy[key], figures[first][key]) for key in FIGURES},
        )
        for name, policy in figures.items()
    )


def ahead_of(
    figures: Mapping[str, Mapping[str, Values]], policy: str, significance: float = 0.05
) -> dict[str, PairedTest]:
    """Policies that return more than one of them beyond chance.

    Args:
      figures: As of :func:`compare_policies`.
      policy: The one that the others are held against.
      significance: Of all comparisons together: each p-value is multiplied by their number
        (Bonferroni).

    Returns:
      The difference of the discounted returns by policy, the best first.

    Raises:
      KeyError: if there is no such policy.
    """
    own = figures[policy]["discounted_return"]
    others = {name: of["discounted_return"] for name, of in figures.items() if name != policy}
    tests = {name: paired_test(values, own) for name, values in others.items()}
    ahead = {
        name: test
        for name, test in tests.items()
        if test.p is not None
        and test.p * len(tests) < significance
        and (test.difference.mean or 0.0) > 0.0
    }
    return dict(sorted(ahead.items(), key=lambda item: -(item[1].difference.mean or 0.0)))


def paired_to_json(test: PairedTest) -> dict[str, Any]:
    """A paired test as JSON values."""
    return dataclasses.asdict(test)


def paired_from_json(value: Mapping[str, Any]) -> PairedTest:
    """The inverse of :func:`paired_to_json`."""
    return PairedTest(Mean(**value["difference"]), value["p"])


def rows_to_json(rows: Sequence[PolicyRow]) -> list[dict[str, Any]]:
    """Rows as JSON values, for ``comparison.json``."""
    return [
        {
            "policy": row.policy,
            "figures": {key: dataclasses.asdict(mean) for key, mean in row.figures.items()},
            "differences": {key: paired_to_json(test) for key, test in row.differences.items()},
        }
        for row in rows
    ]


def rows_from_json(values: Sequence[Mapping[str, Any]]) -> tuple[PolicyRow, ...]:
    """The inverse of :func:`rows_to_json`."""
    return tuple(
        PolicyRow(
            row["policy"],
            {key: Mean(**mean) for key, mean in row["figures"].items()},
            {key: paired_from_json(test) for key, test in row["differences"].items()},
        )
        for row in values
    )
