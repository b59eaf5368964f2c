"""What a stream keeps: its place, and the latest transitions."""

import numpy as np
import pytest
import tensorflow as tf

from mtfx.agents.building import build_agent
from mtfx.agents.config import Td3Config
from mtfx.agents.transition_tensors import TransitionTensors
from mtfx.errors import DataError
from mtfx.trainers.fusion.replay import TransitionReplay
from mtfx.trainers.fusion.stream_state import StreamState, read_state

CONFIG = {"method": "td3", "units": (8, 8)}


def test_a_stream_goes_on_where_it_stopped(tmp_path):
    assert read_state(str(tmp_path / "new"), CONFIG) is None
    state = StreamState(["a"], "b", 3, sessions=9, owed_steps=0.5, digests={"a": "d"})
    state.write(str(tmp_path / "new"), CONFIG, "checkpoint-9")
    # Tuples are lists in JSON: they are no other setting.
    assert read_state(str(tmp_path / "new"), CONFIG) == (state, "checkpoint-9")


def test_a_stream_with_other_settings_names_them(tmp_path):
    StreamState().write(str(tmp_path), CONFIG, "c")
    with pytest.raises(DataError, match="another extra, units: give the same settings"):
        read_state(str(tmp_path), {"method": "td3", "units": (8,), "extra": 1})


@pytest.mark.parametrize("content", ["", "[]", '{"config": {}, "checkpoint": "c"}'])
def test_a_damaged_record_is_refused(tmp_path, content):
    (tmp_path / "stream.json").write_text(content)
    with pytest.raises(DataError, match="begin anew in another directory"):
        read_state(str(tmp_path), {})


@pytest.fixture
def replay():
    agent = build_agent("td3", 2, 1, Td3Config(hidden_units=(4,)), seed=1)
    return TransitionReplay(agent, 4)


def rows(*values):
    column = tf.constant(values, tf.float32)
    pair = tf.stack([column, column], axis=1)
    return TransitionTensors(pair, column[:, None], column, pair, column)


@pytest.mark.parametrize("cut", [1, 2, 5])
def test_the_latest_are_kept_however_they_came(replay, cut):
    """A buffer that is filled again from the same transitions is the same."""
    values = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    replay.add(rows(*values[:cut]), 0)
    assert int(replay.size) == min(cut, 4)
    replay.add(rows(*values[cut:]), cut)
    assert int(replay.size) == 4
    np.testing.assert_array_equal(replay.data.rewards, [5.0, 6.0, 3.0, 4.0])
    np.testing.assert_array_equal(replay.data.states[:, 1], [5.0, 6.0, 3.0, 4.0])


def test_a_buffer_holds_something():
    with pytest.raises(ValueError, match="at least one transition, not 0"):
        TransitionReplay(None, 0)
