"""The parts of backbones whose gradients are written by hand."""

import numpy as np
import tensorflow as tf

from models.mtl.blocks import parallel_dense


def test_the_gradient_of_parallel_dense_is_tensorflows_own():
    rng = np.random.default_rng(3)
    kernels = tf.Variable(rng.normal(size=(3, 5, 4)).astype(np.float32))
    biases = tf.Variable(rng.normal(size=(3, 4)).astype(np.float32))
    members = [tf.Variable(rng.normal(size=(7, 5)).astype(np.float32)) for _ in range(3)]
    weights = rng.normal(size=(3, 7, 4)).astype(np.float32)
    sources = [kernels, biases, *members]

    def gradients(outputs_of):
        with tf.GradientTape() as tape:
            outputs = outputs_of()
            loss = tf.add_n([tf.reduce_sum(w * o) for w, o in zip(weights, outputs, strict=True)])
        return tape.gradient(loss, sources), outputs

    ours, outputs = gradients(lambda: parallel_dense(members, kernels, biases))
    expected, plain = gradients(
        lambda: [
            tf.matmul(member, kernels[index]) + biases[index]
            for index, member in enumerate(members)
        ]
    )
    for one, other in zip([*ours, *outputs], [*expected, *plain], strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)
