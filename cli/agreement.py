"""The tables of ``mtfx datasets --agreement``: how far the feedbacks of a log agree."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console
from rich.table import Table

from mtfx.cli.progress import RowProgress
from mtfx.datasets.spec import DatasetSpec
from mtfx.errors import UserError

if TYPE_CHECKING:
    import polars as pl

    from mtfx.datasets.logs.agreement import FeedbackAgreement

_DURATION = "duration_ms"
#: Of an item and of a user, the least rows in each half.
LEAST_ITEM_ROWS, LEAST_USER_ROWS = 60, 6


def print_agreement(
    console: Console, spec: DatasetSpec, data_dir: str, least_item_rows: int, least_user_rows: int
) -> None:
    """Reads a log and prints its agreement.

    Args:
      console: Where to.
      spec: The data set.
      data_dir: Directory of its files.
      least_item_rows: Impressions that an item must have in each half of the log.
      least_user_rows: Likewise a user.

    Raises:
      UserError: if the data set has no feedback of its own.
      DataError: if the log cannot be used.
    """
    from mtfx.datasets.logs.in_memory import read_impressions

    with RowProgress(console, f"{spec.name} log", None) as progress:
        log = read_impressions(spec, data_dir, progress.advance)
    for part in _parts(spec, log, least_item_rows, least_user_rows):
        console.print(part)


def _parts(
    spec: DatasetSpec, log: pl.DataFrame, least_item_rows: int, least_user_rows: int
) -> Iterator[str | Table]:
    from mtfx.datasets.logs import agreement

    feedbacks = tuple(task.name for task in spec.tasks if task.name in log.columns)
    if not feedbacks:
        raise UserError(f"data set {spec.name} has no task whose label is a column of its log")
    binary = [name for name in feedbacks if spec.task(name).kind == "binary"]
    watch = next((c.name for c in spec.columns_of("watch_time") if c.name in log.columns), None)
    duration = _DURATION if _DURATION in log.columns else None
    yield f"{log.height:,} impressions; rates are free of the noise of small numbers"
    for key, least, flag in (
        ("item_id", least_item_rows, "--least-item-rows"),
        ("user_id", least_user_rows, "--least-user-rows"),
    ):
        about_items = key == "item_id"
        found = agreement.agreement(
            log,
            key,
            feedbacks,
            least,
            watch=watch if about_items else None,
            duration=duration if about_items else None,
        )
        yield from _about(found, "items" if about_items else "users", flag)
    if len(binary) > 1:
        yield _conditions(binary, agreement.rates_by_condition(log, binary))
    if watch is not None:
        yield from _times(log, watch, duration)
    if duration is not None:
        columns = [*binary, *([watch] if watch else [])]
        yield _by_duration(columns, *agreement.means_by_duration(log, duration, columns))


def _about(found: FeedbackAgreement, entities: str, flag: str) -> Iterator[str | Table]:
    rows = f"with at least {found.least} rows in each half"
    if not found.enough:
        yield (
            f"\n{entities}: only {found.entities} {rows}, too few to say how far feedbacks agree; "
            f"lower {flag} or bring a longer log"
        )
        return
    table = _table(
        f"{entities}: {found.entities:,} {rows}",
        ["", "mean", "sd of true rates", *(f"corr. {name}" for name in found.feedbacks)],
    )
    for i, name in enumerate(found.feedbacks):
        spread = _number(found.spreads[i]) if np.isfinite(found.spreads[i]) else "-"
        others = [f"{value:.2f}" if np.isfinite(value) else "-" for value in found.correlations[i]]
        table.add_row(name, _number(found.means[i]), spread, *others)
    yield table
    if not np.isfinite(found.spreads).all():
        yield "-: too rare, the log cannot tell the spread of the true rates from none"
    if found.with_duration is not None:
        yield f"rank correlation of watch time with duration: {found.with_duration:.2f}"


def _conditions(names: Sequence[str], rates: np.ndarray) -> Table:
    table = _table("rate with / without another feedback", ["", *(f"of {name}" for name in names)])
    for i, name in enumerate(names):
        cells = [
            "" if i == j else f"{_number(rates[i, 1, j])} / {_number(rates[i, 0, j])}"
            for j in range(len(names))
        ]
        table.add_row(f"by {name}", *cells)
    return table


def _times(log: pl.DataFrame, watch: str, duration: str | None) -> Iterator[str | Table]:
    from mtfx.datasets.logs.agreement import QUANTILES, quantiles

    table = _table("seconds", ["", *(f"{q:.0%}" for q in QUANTILES)])
    for name in (watch, duration):
        if name is not None:
            table.add_row(name, *(f"{value / 1_000:.1f}" for value in quantiles(log[name])))
    yield table
    known = log[watch].drop_nulls()
    yield f"share of watch times of 0 s: {(known == 0).mean():.3f}"
    if duration is not None:
        longer = (log[watch] > log[duration]).mean()
        yield f"share of watch times longer than the item: {longer:.3f}"


def _by_duration(columns: Sequence[str], longest: np.ndarray, means: np.ndarray) -> Table:
    table = _table(
        "by duration, in parts of equally many impressions",
        ["up to, s", *(f"{longest_ms / 1_000:.0f}" for longest_ms in longest)],
    )
    for name, values in zip(columns, means.T, strict=True):
        table.add_row(name, *map(_number, values))
    return table


def _table(title: str, headings: Sequence[str]) -> Table:
    table = Table(title=f"\n{title}", title_justify="left", box=None, pad_edge=False)
    for place, heading in enumerate(headings):
        table.add_column(heading, justify="right" if place else "left", overflow="fold")
    return table


def _number(value: float) -> str:
    """A rate with four decimals, a time in ms in whole ones."""
    if not np.isfinite(value):
        return "-"
    return f"{value:,.0f}" if value >= 10 else f"{value:.4f}"
