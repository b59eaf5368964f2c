"""The parts of backbones whose gradients are written by hand."""

import numpy as np
import pytest
import tensorflow as tf

from mtfx.models.mtl.blocks import parallel_relu


@pytest.mark.parametrize("dropped", [False, True])
def test_parallel_relu_and_its_gradient_are_tensorflows_own(dropped):
    rng = np.random.default_rng(3)
    kernels = tf.Variable(rng.normal(size=(3, 5, 4)).astype(np.float32))
    biases = tf.Variable(rng.normal(size=(3, 4)).astype(np.float32))
    members = [tf.Variable(rng.normal(size=(7, 5)).astype(np.float32)) for _ in range(3)]
    masks = rng.integers(0, 2, (3, 7, 4)).astype(np.float32)
    keep = tf.unstack(tf.constant(masks)) if dropped else None
    weights = rng.normal(size=(3, 7, 4)).astype(np.float32)
    sources = [kernels, biases, *members]

    def gradients(outputs_of):
        with tf.GradientTape() as tape:
            outputs = outputs_of()
            loss = tf.add_n([tf.reduce_sum(w * o) for w, o in zip(weights, outputs, strict=True)])
        return tape.gradient(loss, sources), outputs

    ours, outputs = gradients(lambda: parallel_relu(members, kernels, biases, keep))
    expected, plain = gradients(
        lambda: [
            tf.nn.relu(tf.matmul(member, kernels[index]) + biases[index])
            * (masks[index] if dropped else 1.0)
            for index, member in enumerate(members)
        ]
    )
    for one, other in zip([*ours, *outputs], [*expected, *plain], strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)


def test_bfloat16_is_kept():
    member = tf.constant(np.random.default_rng(0).normal(size=(30, 6)), tf.bfloat16)
    kernel = tf.eye(6, dtype=tf.bfloat16)[None]
    keep = tf.constant(np.random.default_rng(1).integers(0, 2, (30, 6)), tf.bfloat16)
    (output,) = parallel_relu([member], kernel, tf.zeros([1, 6], tf.bfloat16), [keep])
    assert output.dtype == tf.bfloat16
    np.testing.assert_array_equal(output, np.maximum(member.numpy(), 0) * keep.numpy())
