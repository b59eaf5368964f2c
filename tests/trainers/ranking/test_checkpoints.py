"""A training's checkpoints: resumed by its own configuration alone, wherever they lie now."""

import shutil

import pytest
import tensorflow as tf

from mtfx.models.keras import keras
from mtfx.trainers.ranking.checkpoints import TrainingCheckpoints, TrainingState
from mtfx.trainers.ranking.multi_worker import Worker


class Model(tf.Module):
    """As far as checkpoints look at one."""

    def __init__(self):
        super().__init__()
        self.weight = tf.Variable(0.0)
        self.optimizer = keras.optimizers.SGD(0.1)


def checkpoints(model, directory, fingerprint="f", worker=None):
    return TrainingCheckpoints(model, str(directory), fingerprint, worker or Worker())


@pytest.fixture
def saved(tmp_path):
    model = Model()
    training = checkpoints(model, tmp_path / "run")
    model.weight.assign(1.0)
    state = TrainingState(({"auc": 0.7},), best_epoch=1, best_score=0.7)
    state = training.save(state, is_best=True)
    model.weight.assign(2.0)
    history = (*state.history, {"auc": float("nan")})
    training.save(TrainingState(history, 1, 0.7, "", state.best_checkpoint), is_best=False)
    return tmp_path / "run"


def test_a_moved_training_resumes_after_its_last_epoch_and_has_its_best(saved, tmp_path):
    shutil.move(saved, tmp_path / "moved")
    model = Model()
    training = checkpoints(model, tmp_path / "moved")
    state = training.restore_latest()
    assert float(model.weight) == 2.0
    assert (len(state.history), state.best_epoch) == (2, 1)
    assert state.history[1]["auc"] != state.history[1]["auc"]
    training.restore_best(state)
    assert float(model.weight) == 1.0


def test_another_configuration_begins_anew(saved, caplog):
    model = Model()
    assert checkpoints(model, saved, "other").restore_latest() == TrainingState()
    assert float(model.weight) == 0.0
    assert "another configuration" in caplog.text


def test_a_worker_that_is_not_chief_keeps_its_own_and_writes_no_state(tmp_path):
    worker = Worker("worker-1", is_chief=False)
    checkpoints(Model(), tmp_path / "run", worker=worker).save(TrainingState(({},)), is_best=True)
    assert [path.name for path in tmp_path.iterdir()] == ["run.worker-1"]
