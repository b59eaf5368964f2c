"""Offline data: what is refused, and where sessions are."""

import numpy as np
import pytest
import tensorflow as tf

from mtfx.evaluation.ope.data import OfflineData


def arrays(**changes):
    """Two sessions of two and three steps, not in order."""
    values = {
        "states": np.arange(10.0).reshape(5, 2),
        "actions": np.full((5, 1), 0.5),
        "rewards": np.arange(5.0),
        "next_states": np.arange(10.0).reshape(5, 2) + 1,
        "discounts": np.array([1, 1, 0, 0, 1]),
        "session": np.array([1, 0, 0, 1, 1]),
        "step": np.array([1, 0, 1, 2, 0]),
    }
    for name, (row, value) in changes.items():
        values[name] = values[name].astype(float)
        values[name][row] = value
    return values


def test_sessions_are_found_in_any_order():
    data = OfflineData.from_arrays(**arrays())
    assert (data.num_transitions, data.num_sessions) == (5, 2)
    assert data.initial_rows().tolist() == [1, 4]
    grid = data.grid()
    assert grid.mask.tolist() == [[True, True, False], [True, True, True]]
    assert grid.rows[grid.mask].tolist() == [1, 2, 4, 0, 3]
    assert np.isnan(data.log_density.numpy()).all()


def test_returns_are_the_discounted_rewards_up_to_the_end_of_a_session():
    # Session 0 is rows 1 and 2, session 1 rows 4, 0 and 3.
    data = OfflineData.from_arrays(**arrays(discounts=(4, 0.5)))
    expected = [0.0 + 0.9 * 3.0, 1.0 + 0.9 * 2.0, 2.0, 3.0, 4.0 + 0.9 * 0.5 * (0.9 * 3.0)]
    np.testing.assert_allclose(data.returns(0.9), expected, rtol=1e-6)
    assert data.returns(0.0).tolist() == data.rewards.numpy().tolist()


def test_taking_sessions_keeps_their_transitions():
    taken = OfflineData.from_arrays(**arrays()).take_sessions(np.array([1]))
    assert taken.rewards.numpy().tolist() == [0, 3, 4]
    assert taken.session.numpy().tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rewards": (2, np.nan)}, "rewards must be finite; 1 of 5 transitions.*row 2"),
        ({"states": (3, np.inf)}, "states must be finite.*row 3"),
        ({"actions": (0, 1.5)}, r"actions must lie in \[-1, 1\].*row 0"),
        ({"actions": (0, np.nan)}, "actions must be finite"),
        ({"discounts": (0, 1.2)}, r"discounts must lie in \[0, 1\]"),
        ({"discounts": (1, 0.0)}, "discount of 0 must be the session's last step.*row 1"),
        ({"step": (0, 0)}, "steps must count from 0"),
        ({"step": (4, 1)}, "steps must count from 0"),
        ({"step": (3, 3)}, "steps must count from 0.*row 3"),
        ({"session": ([1, 2], 2)}, "without gaps: there are 2 sessions"),
        ({"session": (0, -1)}, "must not be negative"),
    ],
)
def test_bad_values_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        OfflineData.from_arrays(**arrays(**change))


def test_what_follows_the_end_may_be_anything():
    assert OfflineData.from_arrays(**arrays(next_states=(2, np.nan)))
    with pytest.raises(ValueError, match="next_states must be finite"):
        OfflineData.from_arrays(**arrays(next_states=(1, np.nan)))


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("rewards", np.zeros(4), "rewards has 4 rows, states has 5"),
        ("rewards", np.zeros((5, 1)), "rewards must be float32 of rank 1"),
        ("next_states", np.zeros((5, 3)), "next_states have 3 columns, states have 2"),
        ("log_density", np.full(5, np.inf), "log_density must be finite, or NaN"),
    ],
)
def test_bad_shapes_are_refused(name, value, message):
    with pytest.raises(ValueError, match=message):
        OfflineData.from_arrays(**{**arrays(), name: value})


def test_no_transitions_and_wrong_types_are_refused():
    empty = {name: value[:0] for name, value in arrays().items()}
    with pytest.raises(ValueError, match="no transitions"):
        OfflineData.from_arrays(**empty)
    good = OfflineData.from_arrays(**arrays())
    parts = {**vars(good), "step": tf.cast(good.step, tf.int64)}
    with pytest.raises(ValueError, match="step must be int32"):
        OfflineData(**parts)
