"""The comparison of two sets of sessions by statistics, each figure with its sample's bar."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping

import numpy as np

from mtfx.components.strict_distribution_validator import bars
from mtfx.components.strict_distribution_validator.config import ComparisonPlan
from mtfx.components.strict_distribution_validator.sample import Sample

#: Cells of a number, and the share of the earlier day that may lie after the later one's middle.
_CELLS, _OVERLAP = 20, 0.05


@dataclasses.dataclass(frozen=True)
class CheckedFigure:
    """One figure and its bar.

    Attributes:
      column: What is compared.
      measure: The figure's name.
      value: The figure.
      bar: What it may not exceed.
      refused: Whether it does.
      detail: What stands behind it, in words.
      flag: That which allows more; empty if none does.
    """

    column: str
    measure: str
    value: float
    bar: float
    refused: bool
    detail: str = ""
    flag: str = ""

    @property
    def nearness(self) -> float:
        """How near the figure is to its bar: 1 at it. Factors are compared by their logarithms."""
        if not math.isfinite(self.bar):
            return 0.0
        if not math.isfinite(self.value):
            return math.inf
        if self.measure.startswith("factor"):
            return math.log(self.value) / math.log(self.bar)
        return self.value / self.bar

    def figure(self) -> str:
        """Column, figure and bar."""
        return f"{self.column!r}: {self.measure} {self.value:.3g}, bar {self.bar:.3g}"

    def describe(self) -> str:
        """The same, with what stands behind it and how to allow more."""
        flag = self.flag and f"{self.flag} allows more"
        return "; ".join(filter(None, (self.figure(), self.detail, flag)))


def share_bars(plan: ComparisonPlan, samples: tuple[Sample, Sample]) -> dict[float, list[str]]:
    """The columns whose values' shares are compared, by the bar of the largest change."""
    found: dict[float, list[str]] = {}
    for name, kind in plan.columns.items():
        if kind == "category" and all(s.counts(name) is not None for s in samples):
            bar = bars.share_bar(
                plan.thresholds.l_infinity, _sizes(plan, name, samples), plan.level
            )
            found.setdefault(bar, []).append(name)
    return found


def compare(plan: ComparisonPlan, now: Sample, before: Sample) -> list[CheckedFigure]:
    """All comparisons but those of :func:`share_bars`.

    A column that the statistics do not describe in the form that its comparison takes is left out:
    those of an earlier release had other forms. That it is there at all the schema checks.

    Args:
      plan: What is compared.
      now: The later sessions.
      before: The earlier ones.
    """
    by_kind = {"number": _number, "hour": _hour, "label": _label, "id": _missing}
    found = [
        comparison
        for name, kind in plan.columns.items()
        if kind in by_kind
        for comparison in by_kind[kind](plan, name, now, before)
    ]
    return [*found, *_volume(plan, now, before)] if plan.volume else found


def cell_shares(now: Sample, before: Sample, name: str) -> np.ndarray | None:
    """Shares of a number's values in cells of equal mass of the earlier sessions.

    Cells of equal width would put nearly all of a heavy-tailed column into the first, and where
    that ends hangs on the largest value alone, which no two days share.

    Returns:
      Float64 `[2, cells]`, later sessions first; None without quantiles.
    """
    first, second = now.distribution(name), before.distribution(name)
    if first is None or second is None:
        return None
    shares = np.arange(1, _CELLS) / _CELLS
    edges = np.unique([second.quantile(share) for share in shares])
    cumulated = [np.concatenate([[0.0], d.below(edges), [1.0]]) for d in (first, second)]
    return np.diff(np.stack(cumulated), axis=1)


def divergence(first: np.ndarray, second: np.ndarray) -> float:
    """The Jensen-Shannon divergence in bits of two float64 `[cells]` that each sum to 1."""
    mean = (first + second) / 2

    def relative(share: np.ndarray) -> float:
        held = share > 0
        return float(np.sum(share[held] * np.log2(share[held] / mean[held])))

    return max((relative(first) + relative(second)) / 2, 0.0)


def _number(
    plan: ComparisonPlan, name: str, now: Sample, before: Sample
) -> Iterator[CheckedFigure]:
    shares = cell_shares(now, before, name)
    if shares is None:
        return
    halves = [s.distribution(name).quantile(0.5) for s in (before, now)]  # type: ignore[union-attr]
    detail = f"median {halves[0]:.4g}, now {halves[1]:.4g}"
    yield _divergence(plan, name, shares, (now, before), detail)


def _hour(plan: ComparisonPlan, name: str, now: Sample, before: Sample) -> Iterator[CheckedFigure]:
    first, second = now.counts(name), before.counts(name)
    if first is None or second is None:
        return
    values = sorted(first | second)
    shares = np.array([[_share(c, value) for value in values] for c in (first, second)])
    largest = [max(c, key=c.__getitem__, default="") for c in (second, first)]
    detail = f"the fullest is {largest[0]}, now {largest[1]}"
    yield _divergence(plan, name, shares, (now, before), detail)


def _divergence(
    plan: ComparisonPlan, name: str, shares: np.ndarray, samples: tuple[Sample, Sample], detail: str
) -> CheckedFigure:
    margin = plan.thresholds.jensen_shannon
    cells = max(shares.shape[1], 2)
    bar = bars.divergence_bar(margin, cells, _sizes(plan, name, samples), plan.level)
    value = divergence(shares[0], shares[1])
    measure, flag = "Jensen-Shannon divergence", "--drift-threshold"
    return CheckedFigure(name, measure, value, bar, value > bar, detail, flag)


def _label(plan: ComparisonPlan, name: str, now: Sample, before: Sample) -> Iterator[CheckedFigure]:
    first, second = now.label(name), before.label(name)
    if first is None or second is None:
        return
    sizes = _sizes(plan, name, (now, before))
    if (known := min(first.known, second.known)) < 1:
        detail = f"{1 - second.known:.1%} unknown, now {1 - first.known:.1%}"
        yield _share_of(plan, name, (first.known, second.known), sizes, detail)
    if first.rate is None or second.rate is None:
        return
    margin, limit = plan.thresholds.label_odds, bars.score_limit(plan.level)
    rates, sizes = (first.rate, second.rate), (sizes[0] * known, sizes[1] * known)
    ratio = bars.odds_ratio(rates)
    value = 1.0 if math.isnan(ratio) else max(ratio, 1 / ratio if ratio > 0 else math.inf)
    yield CheckedFigure(
        name,
        "factor of the odds",
        value,
        bars.odds_bar(margin, rates[1], sizes, plan.level, rates[0] >= rates[1]),
        bars.odds_score(rates, sizes, margin) > limit,
        f"rate {rates[1]:.3%}, now {rates[0]:.3%}",
        "--label-drift",
    )


def _missing(
    plan: ComparisonPlan, name: str, now: Sample, before: Sample
) -> Iterator[CheckedFigure]:
    first, second = now.zeros(name), before.zeros(name)
    if first is not None and second is not None:
        sizes = _sizes(plan, name, (now, before))
        detail = f"{second:.1%} missing, now {first:.1%}"
        yield _share_of(plan, name, (first, second), sizes, detail)


def _share_of(
    plan: ComparisonPlan,
    name: str,
    shares: tuple[float, float],
    sizes: tuple[float, float],
    detail: str,
) -> CheckedFigure:
    value = abs(shares[0] - shares[1])
    bar = bars.share_bar(plan.thresholds.l_infinity, sizes, plan.level)
    flag = "--drift-threshold"
    return CheckedFigure(name, "change of the share", value, bar, value > bar, detail, flag)


def _volume(plan: ComparisonPlan, now: Sample, before: Sample) -> Iterator[CheckedFigure]:
    counts = (now.impressions, before.impressions)
    # Of a sum over users all their rows count as one: their number is what varies.
    sizes = (now.size(False, 1.0), before.size(False, 1.0))
    value = max(counts) / max(min(counts), 1)
    bar = bars.ratio_bar(plan.thresholds.rows, sizes, plan.level)
    yield CheckedFigure(
        "number of impressions",
        "factor",
        value,
        bar,
        value > bar,
        f"{counts[1]:,}, now {counts[0]:,}",
        "--rows-drift",
    )
    times = (now.distribution("timestamp_ms"), before.distribution("timestamp_ms"))
    if times[0] is None or times[1] is None:
        return
    middle = np.array([times[0].quantile(0.5)])
    later = 1.0 - float(times[1].below(middle)[0])
    yield CheckedFigure(
        "timestamp_ms",
        "share of the earlier day after this one's middle",
        later,
        _OVERLAP,
        later > _OVERLAP,
        "is it the log of another day, or were its times shifted?",
    )
    if plan.day_ms is not None:
        inside = float(np.diff(times[0].below(np.array(plan.day_ms, np.float64)))[0])
        outside = 1.0 - inside
        yield CheckedFigure(
            "timestamp_ms",
            "share outside of the date",
            outside,
            0.5,
            outside > 0.5,
            "is it the log of another day, or were its times shifted?",
        )


def _sizes(plan: ComparisonPlan, name: str, samples: tuple[Sample, Sample]) -> tuple[float, float]:
    # A session lies in one hour or two, and users keep to theirs.
    session_level = name in plan.session_level or plan.columns.get(name) == "hour"
    correlation = plan.thresholds.user_correlation
    first, second = (sample.size(session_level, correlation) for sample in samples)
    return first, second


def _share(counts: Mapping[str, float], value: str) -> float:
    return counts.get(value, 0.0) / max(sum(counts.values()), 1.0)
