"""Numbers as readers see them, and tables that stay whole on the terminal."""

import io

import pytest
from rich.console import Console

from mtfx.evaluation.reports.kit import tables
from mtfx.evaluation.significance import Mean

DASH = "\N{EN DASH}"


def shown(renderable, width=60):
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(renderable)
    return console.export_text()


@pytest.mark.parametrize(
    ("form", "value", "expected"),
    [
        (tables.format_figure, None, DASH),
        (tables.format_figure, 0.71234, "0.7123"),
        (tables.format_figure, 12345.6, "12,346"),
        (tables.format_count, 12345.0, "12,345"),
        (tables.format_percent, None, DASH),
        (tables.format_percent, 0.35, "35.00%"),
        (tables.format_percent, 0.00012, "0.0120%"),
        (tables.format_seconds, 90.04, "90.0 s"),
        (tables.format_seconds, 200.0, "3 min 20 s"),
        (tables.format_mean, Mean(0, None, None), DASH),
        (tables.format_mean, Mean(1, 2.0, None), "2.00 ± 0.00"),
        (tables.format_mean, Mean(9, 2.0, 0.25), "2.00 ± 0.25"),
    ],
)
def test_numbers_are_formatted(form, value, expected):
    assert form(value) == expected


def test_names_stay_whole_where_titles_are_broken():
    table = tables.new_table("Policies", ["policy"], "a caption")
    tables.add_figures(table, ["a rather long title", "another long title"])
    table.add_row("constant-weights", "1.00 ± 0.10", "2.00")
    text = shown(table, width=44)
    assert "constant-weights" in text
    assert text.startswith("Policies")
    assert "a caption" in text


def test_seconds_are_summed():
    lines = shown(tables.seconds_table({"Trainer": 200.0, "Pusher": 0.5})).splitlines()
    assert [line.split()[0] for line in lines if "Pusher" in line or "total" in line] == [
        "Pusher",
        "total",
    ]
    assert "3 min 20 s" in lines[-1] or "3 min 20 s" in lines[-2]


def test_a_verdict_is_text_and_no_markup():
    found = tables.verdict("It passed.", tables.outcome_style(True), ["out/[bold]/1"])
    assert shown(found) == "It passed.\n  out/[bold]/1\n"
    assert found.style == "bold green"
    assert tables.outcome_style(False) == "bold red"


def test_parts_have_an_empty_line_above():
    assert [line.strip() for line in shown(tables.stacked(["a", "b"])).splitlines()] == [
        "",
        "a",
        "",
        "b",
    ]
