"""A simulation against the log it was fitted to: means, distances of distributions, what is off."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from mtfx.evaluation.significance import Mean, mean_with_interval
from mtfx.evaluation.simulator.session_sample import SessionSample

#: A mean that is further off than this, and beyond the intervals, is named as a finding.
NOTABLE = 0.1
_Z = 1.959964


@dataclasses.dataclass(frozen=True)
class Comparison:
    """One figure of the log and of the simulation.

    Attributes:
      name: For programs.
      title: For readers, with the unit.
      log: Mean and 95% interval over sessions.
      simulation: The same.
      ks: Kolmogorov-Smirnov statistic of the two distributions; None for a rate.
      wasserstein: 1-Wasserstein distance, in the figure's unit; None for a rate.
      ks_of_log: Between two random halves of the log's sessions, as a yardstick.
      wasserstein_of_log: The same.
    """

    name: str
    title: str
    log: Mean
    simulation: Mean
    ks: float | None = None
    wasserstein: float | None = None
    ks_of_log: float | None = None
    wasserstein_of_log: float | None = None

    @property
    def relative_difference(self) -> float | None:
        """(simulation - log) / log; None where the log's mean is 0 or unknown."""
        if not self.log.mean or self.simulation.mean is None:
            return None
        return self.simulation.mean / self.log.mean - 1.0

    @property
    def is_notable(self) -> bool:
        """Whether the means differ by more than a tenth and by more than chance explains."""
        relative = self.relative_difference
        if relative is None or self.log.half_width is None or self.simulation.half_width is None:
            return False
        apart = abs((self.simulation.mean or 0.0) - (self.log.mean or 0.0))
        chance = math.hypot(self.log.half_width, self.simulation.half_width)
        return abs(relative) > NOTABLE and apart > chance

    def to_json(self) -> dict[str, Any]:
        """All figures, of JSON types."""
        return {
            **dataclasses.asdict(self),
            "relative_difference": self.relative_difference,
            "is_notable": self.is_notable,
        }


def compare_quantities(log: SessionSample, simulation: SessionSample) -> tuple[Comparison, ...]:
    """Compares session length and, where both have them, watch times.

    Args:
      log: Sessions of the log.
      simulation: Simulated ones, with the same feedbacks.

    Returns:
      Of each quantity its means, and the distances of its distributions.

    Raises:
      ValueError: if the two have other feedbacks.
    """
    if log.feedback_names != simulation.feedback_names:
        raise ValueError(
            f"the log has the feedbacks {', '.join(log.feedback_names)}, the simulation "
            f"{', '.join(simulation.feedback_names)}"
        )
    first, second = _halves(log)
    columns = [("length", "session length, views", lambda s: s.lengths)]
    if log.has_watch_time and simulation.has_watch_time:
        columns += [
            ("watch_s", "watch time of a session, s", lambda s: s.watch_s),
            ("view_watch_s", "watch time of a view, s", lambda s: s.view_watch_s),
        ]
    found = []
    for name, title, of in columns:
        per_view = name == "view_watch_s"
        means = [
            share_of_views(s.watch_s, s.lengths)
            if per_view
            else mean_with_interval(of(s).astype(float).tolist())
            for s in (log, simulation)
        ]
        ks, wasserstein = distances(of(log), of(simulation))
        halves = (of(first), of(second)) if first is not None and second is not None else None
        ks_of_log, wasserstein_of_log = (None, None) if halves is None else distances(*halves)
        found.append(
            Comparison(
                name, title, means[0], means[1], ks, wasserstein, ks_of_log, wasserstein_of_log
            )
        )
    return tuple(found)


def compare_rates(log: SessionSample, simulation: SessionSample) -> tuple[Comparison, ...]:
    """Compares the share of impressions with each feedback."""
    return tuple(
        Comparison(
            name,
            f"rate of {name}",
            _rate(log, k),
            _rate(simulation, k),
        )
        for k, name in enumerate(log.feedback_names)
    )


def _rate(sample: SessionSample, k: int) -> Mean:
    known = sample.known[:, k]
    asked = known > 0
    found = share_of_views(sample.feedback[asked, k], known[asked])
    if found.half_width is None:
        return found
    # Of a feedback that came once or never, the residuals know nothing: three events' deviation at
    # least, as by the rule of three up to three may be expected where none was seen.
    least = _Z * math.sqrt(max(float(sample.feedback[:, k].sum()), 3.0)) / known.sum()
    return dataclasses.replace(found, half_width=max(found.half_width, float(least)))


def share_of_views(total: np.ndarray, views: np.ndarray) -> Mean:
    """A mean over views with its 95% interval, as views of one session are alike.

    The ratio estimator of cluster sampling: with r = sum(total) / sum(views) and residuals
    e = total - r views, its standard error is sqrt(n / (n - 1) sum(e^2)) / sum(views) (Cochran,
    "Sampling Techniques", 3rd edition, section 9A.1).

    Args:
      total: Of each session, `[session]`.
      views: Of each session, positive, `[session]`.
    """
    sessions = len(views)
    ratio = float(total.sum() / views.sum())
    if sessions < 2:
        return Mean(sessions, ratio, None)
    residual = total - ratio * views
    error = math.sqrt(sessions / (sessions - 1) * float((residual**2).sum())) / float(views.sum())
    return Mean(sessions, ratio, _Z * error)


def distances(one: np.ndarray, other: np.ndarray) -> tuple[float, float]:
    """Kolmogorov-Smirnov statistic and 1-Wasserstein distance of two samples `[n]` and `[m]`."""
    # Takes a while to import.
    from scipy import stats

    found = stats.ks_2samp(one, other, method="asymp")
    return float(found.statistic), float(stats.wasserstein_distance(one, other))


def _halves(sample: SessionSample) -> tuple[SessionSample | None, SessionSample | None]:
    """Two random halves of the sessions; None where there are fewer than two."""
    sessions = len(sample.lengths)
    if sessions < 2:
        return None, None
    order = np.random.default_rng(0).permutation(sessions)
    first, second = np.array_split(order, 2)
    return sample.take(first), sample.take(second)
