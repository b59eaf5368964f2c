"""Lines over seeds: a mean where all seeds have a value."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from mtfx.evaluation.significance import mean_with_interval
from mtfx.experiments.engine.plots import draw_runs, panels_of, plot_over


def lines(xs, runs, **settings):
    figure, (axes,) = panels_of(1)
    draw_runs(axes, xs, runs, **settings)
    drawn = [(line.get_xdata(), line.get_ydata(), line.get_marker()) for line in axes.get_lines()]
    plt.close(figure)
    return drawn


def test_the_mean_ends_where_the_shortest_seed_does():
    *seeds, (x, mean, marker) = lines([[1, 2, 3], [1, 2]], [[1.0, 3.0, 9.0], [3.0, 5.0]])
    assert [len(y) for _, y, _ in seeds] == [3, 2]
    np.testing.assert_array_equal(x, [1, 2])
    np.testing.assert_array_equal(mean, [2.0, 4.0])
    assert marker == "o"


@pytest.mark.parametrize(
    ("points", "marked", "shown"), [(12, None, True), (13, None, False), (13, True, True)]
)
def test_few_points_are_shown(points, marked, shown):
    places = list(range(points))
    assert (lines([places], [places], marked=marked)[-1][2] == "o") == shown


def test_a_setting_without_any_figure_has_an_empty_panel(tmp_path):
    panels = {"AUC": {0.1: mean_with_interval([]), 1.0: mean_with_interval([])}}
    path = plot_over(panels, "lambda", tmp_path / "over.png", logarithmic=True)
    assert (tmp_path / "over.png").stat().st_size > 0
    assert path == str(tmp_path / "over.png")
