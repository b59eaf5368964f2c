"""Panels, means with their intervals, and figures inside a page."""

import re

import numpy as np
import pytest

from mtfx.evaluation.reports.kit import figures
from mtfx.evaluation.significance import Mean

MEANS = [Mean(9, 2.0, 0.5), Mean(0, None, None), Mean(1, 3.0, None)]


@pytest.mark.parametrize(
    ("count", "columns", "size"), [(1, 3, (4, 3)), (3, 3, (12, 3)), (5, 3, (12, 6)), (4, 2, (8, 6))]
)
def test_panels_are_placed_row_by_row(count, columns, size):
    figure, panels = figures.new_panels(count, 4.0, 3.0, columns=columns, margin=(0.5, 1.0))
    assert len(panels) == len(figure.axes) == count
    assert tuple(figure.get_size_inches()) == (size[0] + 0.5, size[1] + 1.0)


@pytest.mark.parametrize("horizontal", [True, False])
def test_means_have_their_intervals_and_undefined_ones_are_left_out(horizontal):
    axes = figures.new_figure(3.0, 2.0).subplots()
    figures.draw_means(axes, [1, 2, 5], MEANS, horizontal=horizontal, label="of three")
    [bars] = axes.containers
    line = bars.lines[0]
    values, places = line.get_data() if horizontal else line.get_data()[::-1]
    np.testing.assert_array_equal(values, [2, 3])
    np.testing.assert_array_equal(places, [1, 5])
    (first, second) = bars.lines[2][0].get_segments()
    assert np.ptp(first[:, 0 if horizontal else 1]) == 1
    assert np.ptp(second) == pytest.approx(np.ptp(second[0]))
    assert line.get_linestyle() == ("None" if horizontal else "-")


def test_rows_are_named_from_the_top():
    axes = figures.new_figure(3.0, 2.0).subplots()
    figures.name_rows(axes, ["a", "b"])
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a", "b"]
    low, high = axes.get_ylim()
    assert low > high


def test_ticks_are_whole():
    figure = figures.new_figure(6.0, 2.0)
    axes = figure.subplots()
    axes.plot([1, 2], [0, 1])
    figures.whole_numbers(axes.xaxis)
    figure.draw_without_rendering()
    assert all(float(tick).is_integer() for tick in axes.get_xticks())


def test_a_png_is_written(tmp_path):
    figure = figures.new_figure(3.0, 2.0)
    path = figures.save_png(figure, tmp_path / "new" / "figure.png", dpi=50)
    assert path.read_bytes() == figures.png(figure, dpi=50)
    assert path.read_bytes().startswith(b"\x89PNG")
    assert list(path.parent.iterdir()) == [path]


@figures.in_page_style
def drawn(description):
    figure = figures.new_figure(3.0, 2.0)
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color=figures.SERIES[0])
    axes.set_title("title", color=figures.INK)
    return figures.svg(figure, description)


def test_an_svg_has_the_pages_colours_and_a_description():
    text = drawn('a line of "1" & <more>')
    assert text.startswith(
        '<svg role="img" aria-label="a line of &quot;1&quot; &amp; &lt;more&gt;"'
    )
    assert "<title>a line of" in text
    assert "var(--series-1)" in text
    assert "#040401" not in text
    assert text == drawn('a line of "1" & <more>')


def test_ids_of_two_figures_differ():
    ids = [set(re.findall(r'\bid="([^"]+)"', drawn(name))) for name in ("one", "another")]
    assert ids[0]
    assert not ids[0] & ids[1]
