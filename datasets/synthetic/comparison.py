"""A synthetic ``video`` log beside the figures of the real one."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
import polars as pl

from mtfx.datasets.logs import agreement
from mtfx.datasets.synthetic import real_figures as real
from mtfx.datasets.synthetic.user_model import VIDEO_MODEL

#: Least impressions of an item and of a user in each half of the log, as `mtfx datasets` has them.
_LEAST_ROWS = {"item_id": 60, "user_id": 6}
#: Impressions of a video whose rarer feedbacks are compared, as in the real log.
_LEAST_PLAYS = 200


@dataclasses.dataclass(frozen=True)
class ComparedFigure:
    """One figure of the two logs.

    Attributes:
      group: What it is about.
      name: Which of the group.
      real: In the real log.
      found: In the synthetic one.
      tolerance: How far the two may be apart.
      relative: Whether the tolerance is a share of the real figure.
    """

    group: str
    name: str
    real: float
    found: float
    tolerance: float
    relative: bool = False

    @property
    def excess(self) -> float:
        """Distance of the two in tolerances: at most 1 where the synthetic log is near enough."""
        allowed = self.tolerance * (abs(self.real) if self.relative else 1.0)
        distance = abs(self.found - self.real) / allowed
        return distance if np.isfinite(distance) else float("inf")


def compare(log: pl.DataFrame, truth: pl.DataFrame | None = None) -> list[ComparedFigure]:
    """All figures of a log.

    Args:
      log: The standard log's impressions, by :func:`mtfx.datasets.logs.in_memory.read_impressions`.
      truth: Rows of the truth files of the standard log, for the rarer feedbacks' correlations: so
        few of them are in a log that it does not show how they agree. None leaves those out.
    """
    figures = [*_rates(log), *_times(log), *_by_duration(log)]
    for key, spreads, correlations in (
        ("item_id", real.ITEM_SPREADS, real.ITEM_CORRELATIONS),
        ("user_id", real.USER_SPREADS, real.USER_CORRELATIONS),
    ):
        figures += _agreement(log, key, spreads, correlations)
    if truth is not None:
        figures += _rare(truth)
    return figures


def _agreement(
    log: pl.DataFrame,
    key: str,
    spreads: tuple[float, ...],
    correlations: dict[tuple[str, str], float],
) -> Iterator[ComparedFigure]:
    found = agreement.agreement(
        log, key, real.FEEDBACKS, _LEAST_ROWS[key], watch="watch_time_ms", duration="duration_ms"
    )
    entities = "items" if key == "item_id" else "users"
    for name, wanted, spread in zip(real.FEEDBACKS, spreads, found.spreads, strict=True):
        yield ComparedFigure(
            f"{entities}, sd of true rates", name, wanted, float(spread), 0.15, True
        )
    for (one, other), wanted in correlations.items():
        place = real.FEEDBACKS.index(one), real.FEEDBACKS.index(other)
        correlation = float(found.correlations[place])
        yield ComparedFigure(
            f"{entities}, correlation", f"{one}, {other}", wanted, correlation, 0.10
        )
    if key == "item_id" and found.with_duration is not None:
        wanted = real.WATCH_WITH_DURATION
        yield ComparedFigure(
            "items, correlation", "watch time, duration", wanted, found.with_duration, 0.1
        )


def _rates(log: pl.DataFrame) -> Iterator[ComparedFigure]:
    for name, wanted in zip(VIDEO_MODEL.tasks, VIDEO_MODEL.rates, strict=True):
        # Beside what calibration leaves, a rate has the noise of its few positives, and a rare one
        # that of the few users who account for it.
        share, spread = 0.03 if wanted > 0.1 else 0.08, 3 * (wanted / log.height) ** 0.5
        yield ComparedFigure("rate", name, wanted, _mean(log[name]), share * wanted + spread)
    rates = agreement.rates_by_condition(log, ("click", "long_view", "like"))
    for name, place, wanted in (
        ("long view if clicked", (0, 1, 1), real.LONG_VIEW_BY_CLICK[0]),
        ("long view if not", (0, 0, 1), real.LONG_VIEW_BY_CLICK[1]),
        ("like if clicked", (0, 1, 2), real.LIKE_BY_CLICK[0]),
        ("like if not", (0, 0, 2), real.LIKE_BY_CLICK[1]),
    ):
        yield ComparedFigure("rate", name, wanted, float(rates[place]), 0.2, True)


def _times(log: pl.DataFrame) -> Iterator[ComparedFigure]:
    for name, wanted in (("watch_time_ms", real.WATCH_MS), ("duration_ms", real.DURATION_MS)):
        found = agreement.quantiles(log[name])
        for (level, value), mine in zip(wanted.items(), found, strict=True):
            tolerance = (0.15, True) if value else (1.0, False)
            yield ComparedFigure(f"quantile of {name}", f"{level:.0%}", value, mine, *tolerance)
    zero = _mean(log["watch_time_ms"] == 0)
    yield ComparedFigure("watch time", "share of 0 s", real.SHARE_OF_0_S, zero, 0.02)
    longer = _mean(log["watch_time_ms"] > log["duration_ms"])
    yield ComparedFigure(
        "watch time", "share beyond", real.SHARE_LONGER_THAN_VIDEO, longer, 0.15, True
    )


def _by_duration(log: pl.DataFrame) -> Iterator[ComparedFigure]:
    names = list(real.BY_DURATION)
    _, means = agreement.means_by_duration(log, "duration_ms", names)
    for name, found in zip(names, means.T, strict=True):
        # The published rates, which the log has, are lower than those of the real two weeks.
        scale = _mean(log[name]) / real.OWN_RATES[name] if name in real.OWN_RATES else 1
        for part, (wanted, mine) in enumerate(
            zip(real.BY_DURATION[name], found, strict=True), start=1
        ):
            yield ComparedFigure(
                f"{name} by sixth", str(part), wanted, float(mine) / scale, 0.15, True
            )


def _rare(truth: pl.DataFrame) -> Iterator[ComparedFigure]:
    names = {
        name: "mean_watch_time_ms" if name == "watch_time_ms" else f"p_{name}"
        for pair in real.RARE_CORRELATIONS
        for name in pair
    }
    videos = (
        truth.group_by("video_id")
        .agg(pl.len().alias("_n"), *(pl.col(column).mean() for column in names.values()))
        .filter(pl.col("_n") >= _LEAST_PLAYS)
    )
    for (one, other), wanted in real.RARE_CORRELATIONS.items():
        expression = pl.corr(names[one], names[other], method="spearman")
        found = float(videos.select(expression).item())
        yield ComparedFigure("videos, rank correlation", f"{one}, {other}", wanted, found, 0.15)


def _mean(values: pl.Series) -> float:
    return float(values.cast(pl.Float64).to_numpy().mean())
