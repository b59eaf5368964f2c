"""The closed loop's table: gains are paired with the first day's ranker."""

import io
import json

import numpy as np
import pytest
from rich.console import Console
from scipy import stats

from mtfx.evaluation.reports.closed_loop import draw_loop, loop_day, render_loop, write_loop
from mtfx.evaluation.reports.daily import Day


@pytest.fixture
def days():
    rng = np.random.default_rng(0)
    first = rng.normal(100, 20, 200)
    values = [first, first, first + rng.normal(5, 4, 200)]
    found = []
    for span, (ranker, watch) in enumerate(zip((0, 0, 1), values, strict=True), start=1):
        status = "refused" if span == 2 else "done"
        found.append(loop_day(Day(span, status, reason=""), ranker, watch[:50], watch, found))
    return found, values


def test_gains_are_differences_per_session(days):
    found, values = days
    assert found[0].gain is None
    assert found[1].gain is None
    gain = found[2].gain
    assert gain.difference.mean == pytest.approx(np.mean(values[2] - values[0]))
    assert gain.p == pytest.approx(stats.ttest_rel(values[2], values[0]).pvalue)
    assert found[2].value.mean == pytest.approx(values[2].mean())


def test_table_and_file_hold_the_days(days, tmp_path):
    stream = io.StringIO()
    Console(file=stream, width=120).print(render_loop(days[0]))
    assert "refused" in stream.getvalue()
    rows = json.loads(write_loop(tmp_path, days[0]).read_text())
    assert [row["ranker_of"] for row in rows] == [0, 0, 1]
    assert rows[2]["gain"]["difference"]["n"] == 200
    assert draw_loop(tmp_path, days[0]).read_bytes().startswith(b"\x89PNG")
