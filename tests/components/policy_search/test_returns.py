"""Sessions of a search: repeated by the seed, never within a stream or by another one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtfx.components.policy_search.returns import FreshSessions


@given(users=st.integers(1, 50), sessions=st.integers(1, 20), seed=st.integers(0, 2**31 - 1))
def test_no_draw_comes_twice(users, sessions, seed):
    group = 3 + 2 * np.arange(users)
    streams = [FreshSessions(group, sessions, (seed, purpose)) for purpose in (0, 1)]
    drawn = [stream.draw() for stream in streams for _ in range(4)]
    assert len({tuple(one.seed.tolist()) for one in drawn}) == len(drawn)
    for one in drawn:
        assert one.users.shape == (sessions,)
        assert set(one.users.tolist()) <= set(group.tolist())
        # What seeds of stateless operations hold.
        assert 0 <= one.seed.min() <= one.seed.max() < 2**31
    again = FreshSessions(group, sessions, (seed, 0))
    np.testing.assert_array_equal(again.draw().seed, drawn[0].seed)
    np.testing.assert_array_equal(again.draw().users, drawn[1].users)


@pytest.mark.parametrize(("users", "sessions"), [(0, 1), (1, 0)])
def test_nobody_and_nothing_are_refused(users, sessions):
    with pytest.raises(ValueError, match=f"got {users} and {sessions}"):
        FreshSessions(np.arange(users), sessions, (0, 0))
