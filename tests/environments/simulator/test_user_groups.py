"""Groups of users: by the id alone, about two to one, and never an empty one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtfx.environments.simulator.user_groups import EVALUATION_SHARE, drawn_users, user_groups


def ids_of(ids, indices):
    return {str(ids[index]) for index in indices}


def test_a_third_is_judged_and_nobody_is_in_both():
    groups = user_groups(np.arange(30_000))
    share = len(groups.evaluation) / 30_000
    assert abs(share - EVALUATION_SHARE) < 5 * np.sqrt(2 / 9 / 30_000)
    both = np.concatenate([groups.training, groups.evaluation])
    np.testing.assert_array_equal(np.sort(both), np.arange(30_000))
    assert groups.training.dtype == groups.evaluation.dtype == np.int64


def test_another_world_puts_the_same_user_into_the_same_group():
    ids = np.array([f"user {number}" for number in range(500)])
    groups = user_groups(ids)
    judged = ids_of(ids, groups.evaluation)
    for world in (ids[::-1], ids[100:400], np.concatenate([ids, ["newcomer"]])):
        found = ids_of(world, user_groups(world).evaluation) - {"newcomer"}
        assert found == judged & set(world.tolist())
    # Numbers are users as their texts are.
    numbers = user_groups(np.arange(50)), user_groups(np.arange(50).astype(str))
    np.testing.assert_array_equal(numbers[0].evaluation, numbers[1].evaluation)


def test_the_groups_are_the_same_for_ever():
    """What policies were judged on must stay what none of their successors learns from."""
    assert user_groups(np.arange(20)).evaluation.tolist() == [1, 4, 7, 9, 14, 17, 18]


@given(st.lists(st.text("abcé1", max_size=4), min_size=2, max_size=6))
def test_two_ids_make_two_groups_and_one_makes_one_of_both(ids):
    groups = user_groups(np.array(ids, dtype=object))
    names = [ids_of(ids, group) for group in groups]
    assert names[0] | names[1] == set(ids)
    if len(set(ids)) > 1:
        assert all(names)
        assert not names[0] & names[1]
    else:
        assert names[0] == names[1]
        np.testing.assert_array_equal(*groups)


def test_a_world_without_users_is_refused():
    with pytest.raises(ValueError, match="no users"):
        user_groups(np.array([], dtype=str))


def test_sessions_are_drawn_from_the_group_alone():
    group = np.array([3, 5, 9])
    users = drawn_users(group, 600, np.random.default_rng(0))
    assert users.dtype == np.int64
    counts = np.bincount(users, minlength=10)
    assert counts.sum() == counts[group].sum() == 600
    assert counts[group].min() > 150
