"""Drawings of fusion policies: what the axes show of the points."""

import numpy as np
import pytest

from mtfx.experiments.batchrl import plots


@pytest.fixture
def drawn(monkeypatch):
    figures = []
    monkeypatch.setattr(plots, "save_png", lambda figure, path: figures.append(figure))
    return figures


def test_a_diverged_fit_neither_leaves_the_axis_nor_hides_the_others(drawn, tmp_path):
    truth = [4.0, 5.0, 6.0]
    estimates = {"conservative": ([-200.0, 5.0, 5744.0], truth), "fqe": ([4.5, None, 6.5], truth)}
    plots.plot_estimates(estimates, tmp_path / "estimates.png")
    one, other = drawn[0].axes
    assert one.get_ylim() == other.get_ylim()
    low, high = one.get_ylim()
    assert low < -200.0
    assert high > 5744.0
    at = one.transData.transform([(5.0, 4.5), (5.0, 6.5)])
    assert (at[1, 1] - at[0, 1]) / one.get_window_extent().height > 0.01
    assert len(other.collections[0].get_offsets()) == 2


def test_without_divergence_the_axis_is_linear(drawn, tmp_path):
    values = {"fqe": ([4.5, 6.5], [4.0, 6.0])}
    plots.plot_estimates(values, tmp_path / "estimates.png")
    assert drawn[0].axes[0].get_yscale() == "linear"


def test_estimators_without_a_single_value_leave_empty_panels(drawn, tmp_path):
    values = {"fqe": ([None, np.nan], [4.0, 6.0]), "conservative": ([], [])}
    plots.plot_estimates(values, tmp_path / "estimates.png")
    assert len(drawn[0].axes) == 2
