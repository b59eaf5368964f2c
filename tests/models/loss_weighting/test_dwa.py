"""Dynamic Weight Average against its formula, and across a resumption."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from mtfx.datasets.spec import Task
from mtfx.models.loss_weighting.base import Batch
from mtfx.models.loss_weighting.dwa import DynamicWeightAverage

TASKS = (Task("click"), Task("watch", kind="regression"), Task("pay"))
NO_BATCH = Batch({}, tf.zeros([1, 3]), tf.zeros([1, 3]), tf.zeros([1, 3]))


def test_weights_follow_the_last_two_epochs():
    weighting = DynamicWeightAverage(TASKS, [1.0, 2.0, 0.5])
    history = np.array([[1.0, 8.0, 0.3], [0.5, 7.0, 0.3], [0.45, 3.0, 0.4]])
    seen = []
    for losses in history:
        weighting.end_epoch(list(losses))
        seen.append(weighting.loss_weights(NO_BATCH).numpy() / [1.0, 2.0, 0.5])
    np.testing.assert_allclose(seen[0], np.ones(3))
    for epoch in (1, 2):
        exponentials = [np.exp(r / 2) for r in history[epoch] / history[epoch - 1]]
        np.testing.assert_allclose(
            seen[epoch], [3 * e / sum(exponentials) for e in exponentials], rtol=1e-5
        )


@given(st.lists(st.tuples(*[st.floats(0, 1e6)] * 3), min_size=1, max_size=5))
def test_weights_are_positive_and_sum_to_the_number_of_tasks(history):
    weighting = DynamicWeightAverage(TASKS, [1.0] * 3)
    for losses in history:
        weighting.end_epoch(losses)
        weights = weighting.task_weights.numpy()
        assert np.all(weights >= 0)
        assert weights.sum() == pytest.approx(3, rel=1e-5)


def test_a_hot_temperature_makes_weights_equal():
    weighting = DynamicWeightAverage(TASKS, [1.0] * 3, temperature=1e6)
    weighting.end_epoch([1.0, 1.0, 1.0])
    weighting.end_epoch([0.1, 1.0, 2.0])
    np.testing.assert_allclose(weighting.task_weights, np.ones(3), atol=1e-4)
    with pytest.raises(ValueError, match="temperature must be positive, got 0"):
        DynamicWeightAverage(TASKS, [1.0] * 3, temperature=0.0)


def test_a_step_uses_the_weights(weighted):
    model = weighted.model("dwa")
    model.weighting.end_epoch([1.0] * 5)
    model.weighting.end_epoch([0.1, 1.0, 1.0, 2.0, 0.5])
    losses, gradients = weighted.task_gradients(model, weighted.batch())
    applied, logs = weighted.step(model, weighted.batch())
    weights = model.weighting.task_weights.numpy()
    assert logs["loss"] == pytest.approx(weights @ losses, rel=1e-4)
    for position, one in enumerate(applied):
        wanted = sum(w * g[position] for w, g in zip(weights, gradients, strict=True))
        np.testing.assert_allclose(one, wanted, rtol=1e-3, atol=1e-5)


def test_a_checkpoint_carries_the_weights(weighted, tmp_path):
    model = weighted.model("dwa")
    model.weighting.end_epoch([1.0, 2.0, 3.0, 4.0, 5.0])
    model.weighting.end_epoch([0.5, 1.9, 3.0, 4.4, 1.0])
    path = tf.train.Checkpoint(model=model).save(str(tmp_path / "checkpoint"))
    other = weighted.model("dwa")
    tf.train.Checkpoint(model=other).restore(path).assert_existing_objects_matched()
    np.testing.assert_array_equal(other.weighting.task_weights, model.weighting.task_weights)
    for one in (model, other):
        one.weighting.end_epoch([0.4, 1.9, 2.0, 4.4, 0.9])
    np.testing.assert_array_equal(other.weighting.task_weights, model.weighting.task_weights)
    assert np.ptp(other.weighting.task_weights.numpy()) > 0.05
