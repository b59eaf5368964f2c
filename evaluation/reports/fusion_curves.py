"""The report of what each prediction contributes to a ranker's scores, and whether it ever falls.

Works from the SavedModel alone, for any fusion: xMTF's cells or a formula.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf
from rich.console import Group, RenderableType
from rich.text import Text

from mtfx.datasets.fused_predictions import FusedPrediction
from mtfx.errors import DataError, why_unreadable
from mtfx.evaluation.reports.kit.figures import COLOURS, new_panels, save_png
from mtfx.evaluation.reports.kit.tables import add_figures, format_percent, new_table
from mtfx.files import UNREADABLE, read_json, write_json
from mtfx.models.export.ranker import (
    ACTION,
    CONTRIBUTION,
    CURVES,
    GRID,
    INNER,
    METADATA_FILE,
    STATE,
)
from mtfx.models.fusion.config import FORMULA_FREE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

JSON_FILE, FIGURE_FILE = "curves.json", "curves.png"
#: A curve falls where a later value is this much below an earlier one, relative to its largest
#: value: float32 rounds a flat curve by less.
_ROUNDING = 1e-6
#: Fused predictions below, or so near to 1, are not drawn: rarer than any feedback that is fused.
_LOWEST = 1e-4


@dataclasses.dataclass(frozen=True)
class FusionCurves:
    """Curves of U users and K predictions at P points.

    Attributes:
      method: How the policy was learned.
      fusion: Its fusion function, as ``PolicyMetadata.fusion`` has it.
      predictions: K, with the maps by which raw values were made comparable.
      users: Names of the users, or of the states that stand for them; U.
      grid: Fused predictions, float32 `[point]`, rising.
      action: What the policy chose, float32 `[user, action]`.
      inner: What the action acts on, float32 `[user, prediction, point]`: q̃ᴵ of xMTF's (9), or what
        a formula weighs.
      contribution: What is summed to the score, float32 `[user, prediction, point]`: q̃ of both
        stages (10), or what a formula has weighed. ``formula3`` is the exponential of the sum.
    """

    method: str
    fusion: Mapping[str, Any]
    predictions: tuple[FusedPrediction, ...]
    users: tuple[str, ...]
    grid: np.ndarray
    action: np.ndarray
    inner: np.ndarray
    contribution: np.ndarray

    @property
    def prediction_names(self) -> tuple[str, ...]:
        """Names of the K predictions."""
        return tuple(one.name for one in self.predictions)

    def raw_values(self, prediction: int) -> np.ndarray:
        """The grid as raw values of a prediction, in the unit that people read, `[point]`."""
        shown = self.predictions[prediction].shown
        return np.asarray([shown(float(fused)) for fused in self.grid])

    @property
    def has_cells(self) -> bool:
        """Whether the fusion is xMTF's, and no formula."""
        return self.fusion.get("formula") == FORMULA_FREE

    @property
    def rise(self) -> np.ndarray:
        """How much a contribution differs between the ends of the grid, `[user, prediction]`."""
        return self.contribution[..., -1] - self.contribution[..., 0]

    def to_json(self) -> dict[str, Any]:
        """All points and figures, of JSON types."""
        figures = {
            "inner_violations": falling_share(self.inner),
            "contribution_violations": falling_share(self.contribution),
        }
        arrays = ("grid", "action", "inner", "contribution")
        return {
            "method": self.method,
            "fusion": dict(self.fusion),
            "predictions": list(self.prediction_names),
            "raw_values": {
                one.name: {
                    "axis": one.axis,
                    "map": one.formula,
                    "values": self.raw_values(k).tolist(),
                }
                for k, one in enumerate(self.predictions)
            },
            "users": list(self.users),
            **{
                name: dict(zip(self.prediction_names, map(float, values), strict=True))
                for name, values in figures.items()
            },
            **{name: getattr(self, name).tolist() for name in arrays},
        }


class CurveSource:
    """A loaded ranker, asked for its curves.

    Attributes:
      predictions: What it fuses, and by which maps.
      state_names: What each number of a state is.
    """

    def __init__(self, directory: str) -> None:
        """Loads the SavedModel.

        Args:
          directory: Of an exported ranker.

        Raises:
          DataError: if it holds none, or one without curves.
        """
        path = os.path.join(directory, "assets.extra", METADATA_FILE)
        try:
            about = read_json(path)
            self._policy = about["policy"]
            self.state_names = tuple(about["state_names"])
            self.predictions = tuple(map(FusedPrediction.from_dict, about["predictions"]))
        except UNREADABLE as error:
            raise DataError(
                f"{directory} holds no ranker of MTFX: give a directory that `mtfx fusion` pushed, "
                f"as RUN/serving/ranker/NUMBER ({path} {why_unreadable(error)})"
            ) from error
        # Kept, as its functions do not hold on to the variables.
        self._model = tf.saved_model.load(directory)
        if CURVES not in self._model.signatures:
            raise DataError(
                f"the ranker in {directory} has no signature {CURVES!r}: it is of an earlier "
                "version; run `mtfx fusion` again"
            )

    def curves(self, users: Sequence[str], states: np.ndarray, points: int) -> FusionCurves:
        """The curves at some states.

        Args:
          users: A name for each state.
          states: float32 `[user, state]`.
          points: P, spaced evenly in the log odds, as predictions of rare feedbacks are small, and
            of rare negative ones near 1.

        Raises:
          ValueError: if there is no state, one is of another size or not finite, or there are
            fewer than two points.
        """
        size = len(self.state_names)
        if points < 2:
            raise ValueError(f"a curve needs at least 2 points, got {points}")
        if not len(users) or states.shape != (len(users), size):
            raise ValueError(
                f"the ranker takes states of size {size}, one for each of {len(users)} users; got "
                f"shape {list(states.shape)}"
            )
        if not np.isfinite(states).all():
            row = int(np.argmin(np.isfinite(states).all(axis=1)))
            raise ValueError(f"the state of user {users[row]} is not finite")
        furthest = np.log(_LOWEST / (1.0 - _LOWEST))
        odds = np.linspace(furthest, -furthest, points)
        grid = (1.0 / (1.0 + np.exp(-odds))).astype(np.float32)
        found = self._model.signatures[CURVES](
            **{STATE: tf.constant(states, tf.float32), GRID: tf.constant(grid)}
        )
        return FusionCurves(
            method=self._policy["method"],
            fusion=self._policy["fusion"],
            predictions=self.predictions,
            users=tuple(users),
            grid=grid,
            action=found[ACTION].numpy(),
            inner=found[INNER].numpy(),
            contribution=found[CONTRIBUTION].numpy(),
        )


def falling_share(curves: np.ndarray) -> np.ndarray:
    """Monotonicity-violation rate: share of the pairs of points whose larger one has less.

    Args:
      curves: float `[user, prediction, point]` over a rising grid.

    Returns:
      float64 `[prediction]`, over all users.
    """
    values = curves.astype(np.float64)
    slack = _ROUNDING * np.abs(values).max(axis=-1)
    before, after = np.triu_indices(values.shape[-1], k=1)
    falls = values[..., before] - values[..., after] > slack[..., np.newaxis]
    return falls.mean(axis=(0, 2))


def write_curves(directory: Path, curves: FusionCurves) -> list[Path]:
    """Writes ``curves.json``, with all points, and ``curves.png``.

    Args:
      directory: Where to; made if missing.
      curves: At most as many users as there are colours are drawn, the first.

    Returns:
      Both paths.
    """
    figure = _draw(curves)
    write_json(directory / JSON_FILE, curves.to_json(), indent=None)
    return [directory / JSON_FILE, save_png(figure, directory / FIGURE_FILE)]


def render_curves(curves: FusionCurves) -> RenderableType:
    """A table: by prediction, how much it moves a score, and how often its curves fall."""
    kind = "xMTF's cells" if curves.has_cells else str(curves.fusion.get("formula"))
    title = f"{curves.method}, {kind}: contributions to a score, {len(curves.users)} users"
    table = new_table(title, ["prediction", "fused as"])
    rises = f"rise from {curves.grid[0]:g} to {curves.grid[-1]:g}"
    add_figures(table, (rises, "least to most", "falls: inner stage", "both stages"))
    inner, both = falling_share(curves.inner), falling_share(curves.contribution)
    rise = curves.rise
    for k, one in enumerate(curves.predictions):
        table.add_row(
            one.name,
            one.formula,
            f"{rise[:, k].mean():.3f}",
            f"{rise[:, k].min():.3f} to {rise[:, k].max():.3f}",
            format_percent(inner[k]),
            format_percent(both[k]),
        )
    about = "falls: share of the pairs of points at which the larger prediction contributes less"
    if not curves.has_cells:
        about += "; inner stage: what the formula weighs, both stages: times its weight"
    return Group(table, Text(about, style="dim"))


def _draw(curves: FusionCurves) -> Figure:
    figure, panels = new_panels(len(curves.prediction_names), 3.6, 2.8, margin=(0.6, 0.8))
    inner, both = falling_share(curves.inner), falling_share(curves.contribution)
    for k, axes in enumerate(panels):
        one, raw = curves.predictions[k], curves.raw_values(k)
        for user, colour in zip(range(len(curves.users)), COLOURS, strict=False):
            axes.plot(raw, curves.contribution[user, k], color=colour, linewidth=1.6)
            axes.plot(raw, curves.inner[user, k], color=colour, linewidth=1, linestyle="--")
        axes.set_xscale("log")
        axes.set_xlabel(one.axis, fontsize=8)
        falls = f"falls {inner[k]:.1%} inner, {both[k]:.1%} both"
        turned = ", negative: the rarer the better" if one.kind == "negative" else ""
        axes.set_title(f"{one.name}{turned}\n{falls}", fontsize=9, loc="left")
        axes.tick_params(labelsize=8)
        axes.grid(alpha=0.3)
    _legend(figure, curves)
    return figure


def _legend(figure: Figure, curves: FusionCurves) -> None:
    from matplotlib.lines import Line2D

    shown = curves.users[: len(COLOURS)]
    handles = [
        Line2D([], [], color=colour, label=f"user {user}")
        for user, colour in zip(shown, COLOURS, strict=False)
    ]
    handles += [
        Line2D([], [], color="#444444", linestyle="-", label="both stages"),
        Line2D([], [], color="#444444", linestyle="--", linewidth=1, label="inner stage"),
    ]
    figure.legend(
        handles=handles, loc="outside upper center", ncols=min(len(handles), 6), frameon=False
    )
    figure.supylabel("contribution to the score", fontsize=9)
