"""Figures of a policy's evaluation, as PNG."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mtfx.evaluation.ope.base import Estimate
from mtfx.evaluation.policies.comparison import FIGURES, PolicyRow

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Okabe and Ito's palette, told apart by the colour-blind: log, policy, current policy.
_COLOURS = {"logged": "#8c8c8c", "policy": "#0072b2", "current": "#d55e00"}
_BINS = np.linspace(-1.0, 1.0, 41)
_COLUMNS = 3


def action_distributions(actions: Mapping[str, np.ndarray], names: Sequence[str]) -> bytes:
    """Densities of each coordinate of the actions (BatchRL-MTF, Figures 6 and 7).

    Args:
      actions: By ``logged``, ``policy`` and, if there is one, ``current``:
        `[any, action_dim]`.
      names: Of the coordinates.

    Returns:
      A PNG.
    """
    rows = -(-len(names) // _COLUMNS)
    figure = _figure((3.2 * _COLUMNS, 2.3 * rows + 0.5))
    grid = figure.subplots(rows, min(_COLUMNS, len(names)), squeeze=False)
    for k, axes in enumerate(grid.flat):
        if k >= len(names):
            axes.set_visible(False)
            continue
        for kind, values in actions.items():
            column = values[np.isfinite(values[:, k]), k]
            if not len(column):
                continue
            # Shares and not densities: a policy at its bounds would leave the axis.
            heights, _ = np.histogram(np.clip(column, -1.0, 1.0), _BINS)
            shares = heights / len(column)
            if kind == "logged":
                axes.stairs(shares, _BINS, fill=True, color=_COLOURS[kind], alpha=0.5, label=kind)
            else:
                axes.stairs(shares, _BINS, color=_COLOURS[kind], linewidth=1.6, label=kind)
        axes.set_title(names[k], fontsize=9, loc="left")
        axes.set_xlim(-1.02, 1.02)
        axes.tick_params(labelsize=8)
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="upper right", ncols=len(labels), fontsize=9, frameon=False)
    figure.supxlabel("action", fontsize=9)
    figure.supylabel("share of states", fontsize=9)
    return _png(figure)


def value_intervals(
    estimates: Mapping[str, Estimate],
    current: Mapping[str, Estimate],
    truth: Mapping[str, float],
) -> bytes:
    """Every estimator's value with its interval; the simulator's value as a vertical line.

    Args:
      estimates: The policy's, by estimator.
      current: The current policy's.
      truth: Value in the simulator by ``policy`` and ``current``; either may be missing.

    Returns:
      A PNG.
    """
    names = list(dict.fromkeys([*estimates, *current]))
    figure = _figure((7.2, 0.55 * max(len(names), 1) + 1.3))
    axes = figure.subplots()
    for kind, offset, values in (("policy", -0.12, estimates), ("current", 0.12, current)):
        for row, name in enumerate(names):
            if name not in values:
                continue
            found = values[name]
            axes.plot([found.low, found.high], [row + offset] * 2, color=_COLOURS[kind])
            label = kind if name == next(iter(values)) else None
            axes.plot(found.value, row + offset, "o", color=_COLOURS[kind], label=label)
        if kind in truth:
            axes.axvline(
                truth[kind], color=_COLOURS[kind], linestyle="--", label=f"{kind}, simulator"
            )
    axes.set_yticks(range(len(names)), [name.replace("_", " ") for name in names])
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_xlabel("expected discounted reward of a session")
    axes.legend(fontsize=8, frameon=False, loc="best")
    return _png(figure)


def policy_bars(rows: Sequence[PolicyRow]) -> bytes:
    """Watch time and positive interactions of each policy, with their intervals, side by side.

    Args:
      rows: The policies.

    Returns:
      A PNG.
    """
    figure = _figure((7.2, 0.42 * len(rows) + 1.1))
    for axes, key in zip(figure.subplots(1, 2), ("watch_s", "positive_rate"), strict=True):
        for place, row in enumerate(rows):
            mean = row.figures[key]
            if mean.mean is None:
                continue
            axes.errorbar(
                mean.mean,
                place,
                xerr=mean.half_width or 0.0,
                fmt="o",
                color=_COLOURS["policy" if row.differences else "logged"],
                capsize=3,
            )
        axes.set_yticks(range(len(rows)), [row.policy for row in rows])
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_xlabel(FIGURES[key], fontsize=9)
        axes.tick_params(labelsize=8)
        axes.grid(axis="x", alpha=0.3)
    return _png(figure)


def q_values(history: Sequence[Mapping[str, Any]]) -> bytes:
    """Mean Q value of held-out actions and of the policy's over training (BatchRL-MTF, Figure 5).

    Args:
      history: By report: ``step``, ``data_q``, ``policy_q``.

    Returns:
      A PNG; empty if there are fewer than two reports.
    """
    if len(history) < 2:
        return b""
    figure = _figure((5.4, 2.8))
    axes = figure.subplots()
    steps = [entry["step"] for entry in history]
    for key, kind, label in (
        ("data_q", "logged", "logged actions"),
        ("policy_q", "policy", "the policy's"),
    ):
        axes.plot(steps, [entry[key] for entry in history], color=_COLOURS[kind], label=label)
    axes.set_xlabel("training step")
    axes.set_ylabel("mean Q value")
    axes.legend(fontsize=8, frameon=False)
    return _png(figure)


def _figure(size: tuple[float, float]) -> Figure:
    # Takes a while to import, and needs no display this way.
    from matplotlib.figure import Figure

    return Figure(figsize=size, layout="constrained")


def _png(figure: Any) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=130)
    return buffer.getvalue()
