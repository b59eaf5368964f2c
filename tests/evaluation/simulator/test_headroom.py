"""Headroom of a small world: the order of what is known, and what cannot be valued."""

import pytest

from mtfx.environments.simulator.config import SimulatorConfig
from mtfx.environments.simulator.dynamics import Simulator
from mtfx.evaluation.simulator.headroom import FUNCTIONS, headroom, rows_from_json
from tests.simulator_worlds import random_world


@pytest.fixture(scope="module")
def rows():
    told = []
    simulator = Simulator(random_world(users=60, pool=40), SimulatorConfig(candidates=20))
    found = headroom(simulator, 300, samples=20, seed=3, on_progress=told.append)
    assert len(told) == 3
    return {row.name: row for row in found}


def test_who_knows_more_ranks_better(rows):
    assert list(rows) == list(FUNCTIONS)
    assert rows["equal"].greedy_gain is rows["equal"].sessions_gain is None
    truth = rows["truth"]
    for name in ("equal", "formula", "sum", "any", "state"):
        assert truth.greedy.mean > rows[name].greedy.mean
        assert truth.sessions.mean > rows[name].sessions.mean
    assert truth.greedy_gain.p < 1e-6
    assert truth.sessions_gain.difference.mean == pytest.approx(
        truth.sessions.mean - rows["equal"].sessions.mean
    )
    assert rows["formula"].greedy.mean > rows["equal"].greedy.mean


def test_rows_survive_json(rows):
    found = tuple(rows.values())
    assert rows_from_json([row.to_json() for row in found]) == found


def test_what_cannot_be_halved_is_refused():
    with pytest.raises(ValueError, match="needs 2 users"):
        headroom(Simulator(random_world(users=1, pool=5)), 10)
    with pytest.raises(ValueError, match="sessions must be at least 2"):
        headroom(Simulator(random_world(users=2, pool=5)), 1)
