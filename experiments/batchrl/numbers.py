"""Figures that BatchRL-MTF reports, for comparison beside ours: its Table 1.

"Multi-Task Fusion via Reinforcement Learning for Long-Term User Satisfaction in Recommender
Systems" (Zhang et al., 2022). The offline values are in units of its own, unpublished reward. The
online figures are changes in percent from Bayesian optimisation (BO) on its live platform: of the
time spent in the app per user and day (ADTime), and of the share of plays with a positive
interaction (UPIRate). Its Figures 5 to 8 have no numbers in the text.
"""

from __future__ import annotations

#: By column: offline value, ADTime and UPIRate; None where the paper prints none.
_TABLE_1: dict[str, tuple[float | None, float | None, float | None]] = {
    "ES": (None, 0.376, 0.402),
    "TD3": (-648.162, None, None),
    "UWAC+TD3": (-297.053, -0.513, 16.061),
    "CQL+SAC": (5.194, 2.322, 10.258),
    "BatchRL-MTF": (4.126, 2.216, 9.118),
    "BatchRL-MTF-RE": (3.023, 0.862, -1.282),
    "BatchRL-MTF-Rtime": (None, 2.254, 8.877),
    "BatchRL-MTF-Rintegrity": (None, 1.996, 9.464),
    "BatchRL-MTF-Rinteraction": (None, 2.550, 9.651),
}
#: Our rows for the three.
_ROWS = (
    ("offline", "estimated_return"),
    ("simulator", "watch_s"),
    ("simulator", "positive_rate"),
)


def batchrl_table_1(column: str) -> dict[tuple[str, str], float]:
    """BatchRL-MTF's Table 1: by our row, the number of a column; empty where it has none."""
    numbers = _TABLE_1.get(column, ())
    return {row: number for row, number in zip(_ROWS, numbers, strict=False) if number is not None}
