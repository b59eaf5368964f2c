"""Noise of a state: the state's own in any batch and process, and standard normal."""

import subprocess
import sys

import numpy as np
import tensorflow as tf
from scipy import stats

from mtfx.models.state_noise import RESOLUTION, state_keys, state_normals

SHAPE = (4, 3)


def states(rows=50, size=7):
    return tf.constant(np.random.default_rng(0).normal(size=(rows, size)), tf.float32)


def test_a_states_noise_does_not_depend_on_its_batch_or_on_earlier_calls():
    together = state_normals(states(), SHAPE).numpy()
    assert together.shape == (50, *SHAPE)
    backwards = state_normals(states()[::-1], SHAPE).numpy()[::-1]
    np.testing.assert_array_equal(backwards, together)
    for row, state in enumerate(states(5)):
        np.testing.assert_array_equal(state_normals(state[tf.newaxis], SHAPE)[0], together[row])


def test_another_process_gives_the_same():
    code = (
        "import numpy as np, tensorflow as tf\n"
        "from mtfx.models.state_noise import state_keys\n"
        "states = np.random.default_rng(0).normal(size=(50, 7))\n"
        "print(state_keys(tf.constant(states, tf.float32)).numpy().tolist())\n"
    )
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert found.stdout.strip() == str(state_keys(states()).numpy().tolist())


def test_other_states_have_other_noise():
    rows = tf.concat([tf.eye(20), 2 * tf.eye(20), -tf.eye(20), tf.zeros([1, 20])], axis=0)
    assert len(set(state_keys(rows).numpy().tolist())) == 61
    assert state_keys(tf.constant([[1.0, 2.0]])) != state_keys(tf.constant([[2.0, 1.0]]))


def test_what_differs_in_the_last_digits_has_the_same_noise():
    exact = RESOLUTION * tf.constant([[-3.0, 0.0, 700.0]])
    near = exact + 0.2 * RESOLUTION * tf.constant([[1.0, -1.0, 1.0]])
    assert state_keys(exact) == state_keys(near)
    assert state_keys(exact) != state_keys(exact + RESOLUTION)
    assert state_keys(tf.constant([[0.0]])) == state_keys(tf.constant([[-0.0]]))


def test_very_large_numbers_are_hashed_too():
    rows = tf.constant([[1e30], [-1e30], [float(np.finfo(np.float32).max)]])
    keys = state_keys(rows).numpy()
    assert keys[0] == keys[2] != keys[1]


def test_noise_is_standard_normal_and_independent():
    # States that follow each other closely, as those of a session do.
    steps = tf.cast(tf.range(20_000), tf.float32)[:, tf.newaxis] * RESOLUTION
    noise = state_normals(tf.concat([steps, tf.ones_like(steps)], axis=1), (2, 2)).numpy()
    columns = noise.reshape(len(noise), 4)
    for column in columns.T:
        assert stats.kstest(column, "norm").pvalue > 1e-4
        assert abs(column.mean()) < 5 / np.sqrt(len(column))
        assert abs(column.std() - 1) < 5 / np.sqrt(2 * len(column))
    neighbours = np.concatenate([columns[:-1], columns[1:]], axis=1)
    correlations = np.corrcoef(neighbours.T) - np.eye(8)
    assert np.abs(correlations).max() < 5 / np.sqrt(len(columns))
