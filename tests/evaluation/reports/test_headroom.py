"""The table and the figure of headroom."""

import io

from rich.console import Console

from mtfx.environments.simulator.config import CIRCULAR
from mtfx.evaluation.reports.headroom import gain_factor, headroom_bars, headroom_table
from mtfx.evaluation.significance import Mean, PairedTest
from mtfx.evaluation.simulator.headroom import FUNCTIONS, HeadroomRow


def row(name, value, p):
    test = None if p is None else PairedTest(Mean(9, value - 2.0, 0.1), p)
    return HeadroomRow(name, Mean(9, value, 0.1), test, Mean(9, value, 0.1), test, Mean(9, 8, 1))


ROWS = (row("equal", 2.0, None), row("any", 3.0, 0.001), row("truth", 2.1, 0.6))


def text_of(table):
    console = Console(width=160, record=True, file=io.StringIO())
    console.print(table)
    return console.export_text()


def test_multiples_of_equal_weights_are_marked_where_they_are_no_chance():
    text = text_of(headroom_table(ROWS))
    assert all(FUNCTIONS[name] in text for name in ("equal", "any", "truth"))
    assert "1.500*" in text
    assert "1.050" in text
    assert "1.050*" not in text


def test_a_worlds_caveat_stands_below():
    text = " ".join(text_of(headroom_table(ROWS, CIRCULAR)).split())
    assert "how well a policy follows that prediction" in text


def test_a_multiple_of_nothing_says_nothing():
    nothing = row("equal", 0.0, None)
    assert gain_factor(ROWS[1], nothing, "greedy") is None
    assert gain_factor(ROWS[1], ROWS[0], "sessions") == 1.5
    assert "1.500" not in text_of(headroom_table((nothing, ROWS[1])))


def test_the_figure_is_a_png():
    assert headroom_bars(ROWS).startswith(b"\x89PNG")
