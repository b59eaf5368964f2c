"""Prepared data that no trial reads."""

from pathlib import Path

import pytest

from mtfx.experiments.engine.data import PreparedData


@pytest.fixture
def data():
    return PreparedData(
        dataset="synthetic-video",
        tasks=("click", "long_view"),
        transform_graph="graph",
        splits={"train": "a", "eval": "b", "test": "c"},
        fingerprint="0123456789abcdef",
    )


@pytest.fixture
def stubs(monkeypatch):
    """The module of trial functions, importable by worker processes too."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    import stub_trials

    return stub_trials
