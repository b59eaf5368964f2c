"""A log's own return, and logs that judge no policy."""

import numpy as np
import pytest
import tensorflow as tf

from mtfx.evaluation.ope.config import BootstrapConfig
from mtfx.evaluation.ope.data import OfflineData
from mtfx.evaluation.policies.logged_return import is_finite, lack_of_evidence, logged_return


def data(rewards, sessions):
    session = np.asarray(sessions, np.int32)
    step = np.concatenate([np.arange(n) for n in np.bincount(session)]).astype(np.int32)
    rows = len(session)
    ends = np.append(np.diff(session) > 0, True)
    return OfflineData(
        states=tf.zeros([rows, 1]),
        actions=tf.zeros([rows, 1]),
        rewards=tf.constant(rewards, tf.float32),
        next_states=tf.zeros([rows, 1]),
        discounts=tf.constant(1.0 - ends, tf.float32),
        session=tf.constant(session),
        step=tf.constant(step),
        log_density=tf.zeros([rows]),
    )


def logged(rewards, sessions, gamma=0.5):
    return logged_return(data(rewards, sessions), BootstrapConfig(), gamma, seed=0)


def test_rewards_are_discounted_within_their_session():
    found = logged([1.0, 2.0, 4.0, 3.0], [0, 0, 0, 1])
    assert found.value == pytest.approx(((1 + 1 + 1) + 3) / 2)
    assert found.low <= found.value <= found.high
    assert found.diagnostics == {"transitions": 4, "lowest_reward": 1.0, "highest_reward": 4.0}
    assert lack_of_evidence(found) is None


@pytest.mark.parametrize(
    ("rewards", "sessions", "reason"),
    [
        ([1.0, 2.0], [0, 0], "are 1 session"),
        ([2.0, 2.0, 2.0], [0, 1, 1], "all 3 rewards of the 2 held-out sessions are 2"),
        ([0.0, 0.0], [0, 1], "was the feedback joined"),
        ([-1.0, -1.0], [0, 1], "are -1"),
    ],
)
def test_a_log_that_tells_no_policies_apart_says_why(rewards, sessions, reason):
    assert reason in (lack_of_evidence(logged(rewards, sessions)) or "")


def test_a_return_that_is_not_finite_is_no_evidence():
    found = logged([1.0, 2.0], [0, 1])
    assert is_finite(found)
    endless = found._replace(high=np.inf)
    assert not is_finite(endless)
    assert "not finite" in (lack_of_evidence(endless) or "")
