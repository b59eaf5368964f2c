"""A ranker's curves: what the parts give, counted and drawn, for cells and for formulas."""

import json

import numpy as np
import pytest
import tensorflow as tf

from mtfx.errors import DataError
from mtfx.evaluation.reports.fusion_curves import (
    CurveSource,
    falling_share,
    render_curves,
    write_curves,
)
from mtfx.models.fusion.config import CellsConfig, FusionConfig
from tests.small_rankers import STATE, export_small_ranker

NAMES = ("click", "like")
STATE_NAMES = STATE.state_names(NAMES)
STATES = np.random.default_rng(0).normal(size=(3, len(STATE_NAMES))).astype(np.float32)


@pytest.fixture(scope="module")
def cells(tmp_path_factory):
    return export_small_ranker(tmp_path_factory.mktemp("cells"), NAMES, STATE)


@pytest.fixture(scope="module")
def formula(tmp_path_factory):
    directory = tmp_path_factory.mktemp("formula")
    return export_small_ranker(directory, NAMES, STATE, FusionConfig("formula1"))


@pytest.fixture(scope="module")
def drawn(cells):
    return CurveSource(str(cells[0])).curves(("a", "b", "c"), STATES, 20)


def test_the_curves_are_those_of_the_cells_at_the_users_states(cells, drawn):
    states, grid = tf.constant(STATES), tf.constant(drawn.grid)
    policy = cells[1]
    action = policy.act(states)
    np.testing.assert_allclose(drawn.action, action, rtol=1e-5)
    np.testing.assert_allclose(drawn.inner, policy.fusion.inner_curves(states, grid), rtol=1e-5)
    wanted = policy.fusion.curves(states, action, grid)
    np.testing.assert_allclose(drawn.contribution, wanted, rtol=1e-5, atol=1e-6)
    assert (np.diff(drawn.grid) > 0).all()
    np.testing.assert_allclose([drawn.grid[0], 1 - drawn.grid[-1]], 1e-4, rtol=1e-2)
    assert drawn.has_cells


@pytest.mark.slow
def test_a_formula_is_drawn_too(formula):
    found = CurveSource(str(formula[0])).curves(("a", "b", "c"), STATES, 9)
    np.testing.assert_allclose(found.inner, np.broadcast_to(found.grid, (3, 2, 9)), rtol=1e-6)
    weights = (found.action + 1) / 2
    np.testing.assert_allclose(found.contribution, weights[..., None] * found.grid, rtol=1e-5)
    assert not found.has_cells
    assert not falling_share(found.contribution).any()


def test_falls_are_counted_by_pairs():
    curves = np.array([[[0.0, 3.0, 1.0, 2.0], [1.0, 1.0, 1.0, 1.0]], [[0, 1, 2, 3], [3, 2, 1, 0]]])
    wanted = [
        [sum(c[i] > c[j] for i in range(4) for j in range(i + 1, 4)) / 6 for c in user]
        for user in curves
    ]
    np.testing.assert_allclose(falling_share(curves), np.mean(wanted, axis=0))
    # Rounding of float32 is no fall.
    flat = np.float32(0.7) + np.float32(6e-8) * np.array([[[1, 0, 1, 0]]])
    assert falling_share(flat) == 0


@pytest.mark.slow
def test_cells_that_are_monotone_by_construction_never_fall(tmp_path):
    basis = CellsConfig("basis", hidden_units=(6,))
    ranker, _ = export_small_ranker(tmp_path, NAMES, STATE, cells=basis)
    found = CurveSource(str(ranker)).curves(("a", "b", "c"), 10 * STATES, 201)
    assert not falling_share(found.inner).any()
    assert not falling_share(found.contribution).any()


def test_files_and_table(drawn, tmp_path):
    from rich.console import Console

    written = write_curves(tmp_path / "new", drawn)
    content = json.loads(written[0].read_text())
    assert written[1].read_bytes().startswith(b"\x89PNG")
    assert content["users"] == ["a", "b", "c"]
    assert set(content["inner_violations"]) == set(NAMES)
    np.testing.assert_allclose(content["contribution"], drawn.contribution, rtol=1e-6)
    assert content["contribution_violations"]["like"] == falling_share(drawn.contribution)[1]
    console = Console(width=120, record=True)
    console.print(render_curves(drawn))
    text = console.export_text()
    assert "click" in text
    assert f"{drawn.rise[:, 0].mean():.3f}" in text


def test_what_cannot_be_drawn_is_named(cells, drawn, tmp_path):
    with pytest.raises(DataError, match="holds no ranker of MTFX"):
        CurveSource(str(tmp_path))
    source = CurveSource(str(cells[0]))
    with pytest.raises(ValueError, match="states of size 7, one for each of 1 users"):
        source.curves(("a",), STATES, 5)
    with pytest.raises(ValueError, match="at least 2 points"):
        source.curves(("a", "b", "c"), STATES, 1)
    with pytest.raises(ValueError, match="state of user b is not finite"):
        source.curves(("a", "b"), np.array([[0] * 7, [np.nan] * 7]), 5)


def test_a_ranker_without_curves_says_what_to_do(cells, tmp_path):
    module = tf.Module()
    tf.saved_model.save(module, str(tmp_path))
    (tmp_path / "assets.extra").mkdir()
    about = (cells[0] / "assets.extra" / "mtfx.json").read_text()
    (tmp_path / "assets.extra" / "mtfx.json").write_text(about)
    with pytest.raises(DataError, match="run `mtfx fusion` again"):
        CurveSource(str(tmp_path))
