"""First requests of a simulator's users."""

import dataclasses

import numpy as np
import pytest

from mtfx.datasets.request_state import RequestStateConfig
from mtfx.environments.simulator.user_requests import UserRequests


@pytest.fixture
def requests():
    return UserRequests.of_strangers(np.arange(6.0).reshape(3, 2), ("click",), length=4)


def test_strangers_have_no_past(requests):
    assert requests.num_users == 3
    assert requests.config.names[:2] == ("attribute_0", "attribute_1")
    assert (requests.past_ms == -1).all()
    assert requests.past.shape == (3, 4, 2)


def test_arrays_restore_them(requests):
    again = UserRequests.restore(requests.arrays())
    assert again.config == requests.config
    assert again.past.dtype == np.float32
    for name, table in requests.arrays().items():
        np.testing.assert_array_equal(again.arrays()[name], table)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("attributes", np.zeros((3, 1)), r"attributes must be \[3, 2\], got \[3, 1\]"),
        ("attributes", np.full((3, 2), np.nan), "attributes are not finite in row 0"),
        ("start_ms", np.zeros(2), "start_ms must be"),
        ("past_ms", np.zeros((3, 5)), "past_ms must be"),
        ("past", np.zeros((3, 4, 3)), "past must be"),
        ("config", RequestStateConfig(), "attributes must be"),
    ],
)
def test_what_does_not_fit_is_named(requests, field, value, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(requests, **{field: value})


def test_attributes_are_a_matrix():
    with pytest.raises(ValueError, match=r"\[user, attribute\]"):
        UserRequests.of_strangers(np.zeros(3))
