"""Sessions arrive in files; the agent trains on each, resumes where it was, and exports."""

import dataclasses
import json
import os

import numpy as np
import pytest
import tensorflow as tf

from mtfx.agents.config import XmtfConfig
from mtfx.datasets.transitions.codec import encode_transitions
from mtfx.datasets.transitions.spec import TransitionManifest
from mtfx.errors import DataError
from mtfx.models.export.policy import SavedPolicy
from mtfx.models.fusion.config import FormulaFreeConfig, FusionConfig
from mtfx.trainers.fusion.config import StreamingConfig
from mtfx.trainers.fusion.streaming import StreamingTrainer
from tests.transition_batches import SPEC, random_batch

XMTF = XmtfConfig(hidden_units=(8,), batch_size=4, buffer_size=40, outer="actor_critic")
FUSION = FormulaFreeConfig(XMTF.cells.low, XMTF.cells.high)
CONFIG = StreamingConfig("xmtf", XMTF, FUSION, candidates=5, export_every=4, seed=3)


def deliver(directory, name, sessions=6, seed=0):
    """A file of finished sessions, and the transitions in it."""
    batch = random_batch(sessions, seed=seed)
    options = tf.io.TFRecordOptions(compression_type="GZIP")
    with tf.io.TFRecordWriter(str(directory / (name + ".partial")), options) as writer:
        for record in encode_transitions(batch, SPEC):
            writer.write(record)
    os.rename(directory / (name + ".partial"), directory / name)
    return batch


@pytest.fixture
def arriving(tmp_path):
    directory = tmp_path / "interactions [nov]"
    directory.mkdir()
    TransitionManifest(SPEC, {}, 1, 2).write(str(directory))
    return directory


def run(trainer):
    steps = [list(trainer.feed(name)) for name in trainer.waiting()]
    return [count for part in steps for count in part]


def weights(trainer):
    return [variable.numpy() for variable in trainer.agent.actor.variables]


def test_every_session_is_trained_on_when_it_is_over(arriving, tmp_path):
    first = deliver(arriving, "a.gz")
    trainer = StreamingTrainer(str(arriving), str(tmp_path / "out"), CONFIG)
    before = weights(trainer)
    lengths = np.bincount(np.unique(first.session_id, return_inverse=True)[1])
    assert run(trainer) == lengths.tolist()
    assert any(np.any(old != new) for old, new in zip(before, weights(trainer), strict=True))
    assert trainer.waiting() == []
    second = deliver(arriving, "b.gz", seed=1)
    assert trainer.waiting() == ["b.gz"]
    run(trainer)
    assert trainer.state.transitions == first.size + second.size
    assert int(trainer.agent.train_step_counter) == first.size + second.size
    assert sorted(os.listdir(tmp_path / "out" / "policies"), key=int) == ["4", "8", "12"]
    policy = SavedPolicy(str(tmp_path / "out" / "policies" / "12"))
    states = tf.constant(first.state[:3])
    np.testing.assert_allclose(policy.act(states), trainer.agent.greedy_actions(states), atol=1e-6)
    assert policy.metadata.config["sessions"] == 12


def test_the_buffer_holds_the_latest_transitions(arriving, tmp_path):
    config = dataclasses.replace(CONFIG, agent=dataclasses.replace(XMTF, buffer_size=7))
    trainer = StreamingTrainer(str(arriving), str(tmp_path / "out"), config)
    batch = deliver(arriving, "a.gz")
    run(trainer)
    replay = trainer._replay
    kept = np.arange(batch.size - 7, batch.size)
    np.testing.assert_array_equal(replay.data.states.numpy()[kept % 7], batch.state[kept])
    np.testing.assert_array_equal(replay.data.rewards.numpy()[kept % 7], batch.reward[kept])
    counts = replay.candidates.mask.numpy().sum(axis=1)
    np.testing.assert_array_equal(counts[kept % 7], batch.candidate_count[kept])


@pytest.mark.slow
@pytest.mark.parametrize("capacity", [7, 40])
def test_a_killed_stream_ends_as_if_it_had_not_been(arriving, tmp_path, capacity):
    config = dataclasses.replace(CONFIG, agent=dataclasses.replace(XMTF, buffer_size=capacity))
    for number in range(3):
        deliver(arriving, f"{number}.gz", seed=number)
    whole = StreamingTrainer(str(arriving), str(tmp_path / "whole"), config)
    run(whole)
    killed = StreamingTrainer(str(arriving), str(tmp_path / "killed [v2]"), config)
    list(killed.feed("0.gz"))
    sessions = killed.feed("1.gz")
    for _ in range(3):
        next(sessions)
    # The last checkpoint was after session 8, in the middle of a file.
    resumed = StreamingTrainer(str(arriving), str(tmp_path / "killed [v2]"), config)
    assert (resumed.state.sessions, resumed.state.file) == (8, "1.gz")
    run(resumed)
    assert resumed.state.sessions == whole.state.sessions == 18
    for one, other in zip(weights(resumed), weights(whole), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_damaged_file_is_noted_and_a_half_written_one_is_not_looked_at(arriving, tmp_path):
    (arriving / "a.gz").write_bytes(b"no gzip")
    (arriving / "c.gz.partial").write_bytes(b"half")
    batch = deliver(arriving, "b.gz")
    config = dataclasses.replace(CONFIG, steps_per_transition=0.25)
    trainer = StreamingTrainer(str(arriving), str(tmp_path / "out"), config)
    # What is left of a step is owed to the next session.
    assert sum(run(trainer)) == batch.size // 4
    assert "a.gz" in trainer.state.skipped["a.gz"]
    assert trainer.state.done == ["b.gz"]
    assert trainer.waiting() == []
    trainer.export()
    # Mended under its own name, the next run trains on it.
    mended = deliver(arriving, "a.gz", seed=8)
    resumed = StreamingTrainer(str(arriving), str(tmp_path / "out"), config)
    assert resumed.waiting() == ["a.gz"]
    run(resumed)
    assert (resumed.state.done, resumed.state.skipped) == (["b.gz", "a.gz"], {})
    assert resumed.state.transitions == batch.size + mended.size


def test_a_checkpoint_without_a_part_of_the_agent_is_refused(arriving, tmp_path):
    """It would go on from random values, and nobody would know."""
    deliver(arriving, "a.gz")
    trainer = StreamingTrainer(str(arriving), str(tmp_path / "out"), CONFIG)
    run(trainer)
    saved = json.loads((tmp_path / "out" / "stream.json").read_text())["checkpoint"]
    part = tf.train.Checkpoint(actor=trainer.agent.actor)
    tf.train.Checkpoint(agent=part).write(str(tmp_path / "out" / "checkpoints" / saved))
    with pytest.raises(DataError, match="of another version of the agent"):
        StreamingTrainer(str(arriving), str(tmp_path / "out"), CONFIG)


def test_a_file_that_was_changed_since_is_not_read_again_as_what_it_was(arriving, tmp_path):
    deliver(arriving, "a.gz")
    trainer = StreamingTrainer(str(arriving), str(tmp_path / "out"), CONFIG)
    run(trainer)
    trainer.export()
    StreamingTrainer(str(arriving), str(tmp_path / "out"), CONFIG)
    deliver(arriving, "a.gz", seed=8)
    with pytest.raises(DataError, match=r"a\.gz was changed since this stream was trained on it"):
        StreamingTrainer(str(arriving), str(tmp_path / "out"), CONFIG)


def test_a_checkpoint_that_cannot_be_read_is_called_so(arriving, tmp_path):
    deliver(arriving, "a.gz")
    trainer = StreamingTrainer(str(arriving), str(tmp_path / "out"), CONFIG)
    run(trainer)
    trainer.export()
    for part in (tmp_path / "out" / "checkpoints").glob("*.index"):
        part.write_bytes(b"damaged")
    with pytest.raises(DataError, match=r"where this stream stopped, cannot be read: "):
        StreamingTrainer(str(arriving), str(tmp_path / "out"), CONFIG)


def test_what_does_not_fit_is_refused(arriving, tmp_path):
    deliver(arriving, "a.gz")
    trainer = StreamingTrainer(str(arriving), str(tmp_path / "out"), CONFIG)
    run(trainer)
    other = dataclasses.replace(CONFIG, seed=4)
    with pytest.raises(DataError, match="another seed"):
        StreamingTrainer(str(arriving), str(tmp_path / "out"), other)
    with pytest.raises(DataError, match=r"transitions\.json"):
        StreamingTrainer(str(tmp_path / "nowhere"), str(tmp_path / "new"), CONFIG)
    for part in (tmp_path / "out" / "checkpoints").glob("*.index"):
        part.unlink()
    with pytest.raises(DataError, match="where this stream stopped, is not there: bring it back"):
        StreamingTrainer(str(arriving), str(tmp_path / "out"), CONFIG)
    (tmp_path / "out" / "stream.json").write_text("{")
    with pytest.raises(DataError, match="record of the stream, is damaged, it holds no valid JSON"):
        StreamingTrainer(str(arriving), str(tmp_path / "out"), CONFIG)
    manifest = TransitionManifest(SPEC, {}, 1, 2, fusion=FusionConfig().action_meaning())
    manifest.write(str(arriving))
    with pytest.raises(DataError, match="explore with the fusion"):
        StreamingTrainer(str(arriving), str(tmp_path / "new"), CONFIG)
    for changes in ({"export_every": 0}, {"steps_per_transition": 0.0}, {"candidates": 0}):
        with pytest.raises(ValueError, match=next(iter(changes))):
            dataclasses.replace(CONFIG, **changes)
