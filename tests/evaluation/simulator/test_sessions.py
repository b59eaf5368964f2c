"""Sessions of logged items: what is shown, what is marked, and how long they are."""

import numpy as np
import pytest

from mtfx.environments.simulator.config import SimulatorConfig
from mtfx.environments.simulator.dynamics import Simulator
from mtfx.environments.simulator.table_response import TableResponse
from mtfx.environments.simulator.user_requests import UserRequests
from mtfx.environments.simulator.world import World
from mtfx.evaluation.simulator.sessions import LoggedItems, simulate_sessions

USERS, POOL, LEAVES = 3, 12, 0.25
COUNTS = np.array([8, 8, 5])


def simulator(max_views=6, candidates=POOL, certain=True):
    """Feedback ``logged`` is given for the first 8 slots alone; users leave with chance 0.25."""
    logits = np.full((USERS, POOL, 2), -30.0 if certain else 0.0)
    logits[:, :8, 0] = 30.0
    response = TableResponse(
        ("logged", "never"),
        logits,
        median_watch_s=np.full((USERS, POOL), 5.0),
        duration_s=np.full((USERS, POOL), 10.0),
        mood=np.full(USERS, 0.5),
        leave_logits=np.full(USERS, np.log(LEAVES / (1 - LEAVES))),
        slopes=(0.0, 0.0),
        satisfaction_weights=(1.0, 0.0),
        leave_slope=0.0,
    )
    world = World(
        requests=UserRequests.of_strangers(np.zeros((USERS, 1))),
        predictions=np.zeros((USERS, POOL, 1)),
        prediction_names=("none",),
        response=response,
        item_ids=np.tile(np.arange(POOL), (USERS, 1)),
        user_ids=np.arange(USERS),
    )
    return Simulator(world, SimulatorConfig(candidates=candidates, max_views=max_views))


def test_only_logged_items_are_shown_until_they_are_used_up():
    users = np.repeat(np.arange(2), 200)
    views = simulate_sessions(simulator(max_views=8), LoggedItems(COUNTS), users, seed=0)
    assert not views.at_random.any()
    assert views.feedback[:, 0].all()


def test_random_items_come_as_often_as_asked_and_are_marked():
    users = np.zeros(3000, int)
    # Four views at most, as there are four items that the log has not.
    views = simulate_sessions(simulator(4), LoggedItems(COUNTS, 0.3), users, seed=1)
    np.testing.assert_array_equal(views.feedback[:, 0] == 0, views.at_random)
    error = np.sqrt(0.21 / len(views.at_random))
    assert views.at_random.mean() == pytest.approx(0.3, abs=4 * error)


def test_sessions_are_as_long_as_users_stay_up_to_the_cap():
    sessions, cap = 6000, 6
    views = simulate_sessions(simulator(cap), LoggedItems(COUNTS), np.zeros(sessions, int), seed=2)
    lengths = np.bincount(views.session)
    assert len(lengths) == sessions
    assert (np.diff(views.session) >= 0).all()
    for length in range(1, cap + 1):
        chance = (1 - LEAVES) ** (length - 1) * (LEAVES if length < cap else 1.0)
        error = np.sqrt(chance * (1 - chance) / sessions)
        assert (lengths == length).mean() == pytest.approx(chance, abs=4 * error), length


@pytest.mark.slow
def test_the_same_seed_gives_the_same_sessions():
    users = np.arange(60) % USERS
    first, again = (
        simulate_sessions(simulator(certain=False), LoggedItems(COUNTS, 0.1), users, seed=3)
        for _ in range(2)
    )
    for one, two in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, two)
    own = [np.flatnonzero(first.session == session) for session in range(0, 60, USERS)]
    # Sessions of one user are not each other's copies.
    assert len({tuple(first.watch_s[rows]) for rows in own}) == len(own)


def test_bad_input_is_refused():
    policy = LoggedItems(COUNTS)
    with pytest.raises(ValueError, match="whole pool of 12 items, not 4"):
        simulate_sessions(simulator(candidates=4), policy, np.zeros(2, int), seed=0)
    with pytest.raises(ValueError, match="no user 3"):
        simulate_sessions(simulator(), policy, np.array([3]), seed=0)
    with pytest.raises(ValueError, match="at least one user"):
        simulate_sessions(simulator(), policy, np.zeros(0, int), seed=0)
