"""Gates and mixtures: NumPy's figures, and the compiled gradient against TensorFlow's own."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from mtfx.models.mtl.gates import COMPILED_UNITS, Gate, mixtures

#: What the gates of MMoE see, and those of a level of PLE with a shared gate.
EVERYONE = ((0, 1, 2), (0, 1, 2))
EXTRACTION = ((0, 2), (1, 2), (0, 1, 2))


def test_a_gate_is_a_softmax_of_its_inputs():
    gate = Gate(4, seed=1, name="gate")
    inputs = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    weights = gate(tf.constant(inputs)).numpy()
    logits = inputs @ gate.kernel.numpy()
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(weights, expected, rtol=1e-5)


@pytest.mark.parametrize("seen", [EVERYONE, EXTRACTION])
@pytest.mark.parametrize("training", [False, True])
@settings(max_examples=5)
@given(seed=st.integers(0, 2**32 - 1))
def test_mixtures_are_sums_of_the_experts_seen(seen, training, seed):
    gates, experts, _ = tensors(seen, seed)
    mixed = mixtures(gates, experts, seen, training)
    for gate, places, mixture in zip(gates, seen, mixed, strict=True):
        stacked = np.stack([experts[place].numpy() for place in places], axis=1)
        expected = np.einsum("be,beu->bu", gate.numpy(), stacked)
        np.testing.assert_allclose(mixture, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("seen", [EVERYONE, EXTRACTION])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-5), ("bfloat16", 0.02)])
def test_the_compiled_gradient_is_tensorflows_own(seen, dtype, tolerance):
    gates, experts, upstream = (
        [tf.cast(tensor, dtype) for tensor in each] for each in tensors(seen, seed=7)
    )

    def gradients(training):
        with tf.GradientTape() as tape:
            tape.watch([gates, experts])
            mixed = mixtures(gates, experts, seen, training)
        return tf.nest.flatten(tape.gradient(mixed, [gates, experts], output_gradients=upstream))

    for one, other in zip(gradients(True), gradients(False), strict=True):
        assert one.dtype == other.dtype == dtype
        size = np.abs(other).max()
        np.testing.assert_allclose(
            tf.cast(one, tf.float32), tf.cast(other, tf.float32), atol=tolerance * float(size)
        )


def tensors(seen, seed):
    rng = np.random.default_rng(seed)
    gates = [tf.nn.softmax(tf.constant(rng.normal(size=(6, len(p))), tf.float32)) for p in seen]
    experts = [tf.constant(rng.normal(size=(6, COMPILED_UNITS)), tf.float32) for _ in range(3)]
    upstream = [tf.constant(rng.normal(size=(6, COMPILED_UNITS)), tf.float32) for _ in seen]
    return gates, experts, upstream


@pytest.mark.parametrize(("units", "compiled"), [(COMPILED_UNITS, True), (4, False)])
def test_only_large_experts_are_compiled_and_only_while_training(units, compiled):
    gates, experts = [tf.ones([2, 1])], [tf.ones([2, units])]

    def compiles(training):
        traced = tf.function(lambda: mixtures(gates, experts, ((0,),), training), autograph=False)
        functions = traced.get_concrete_function().graph.as_graph_def().library.function
        return any(function.attr["_XlaMustCompile"].b for function in functions)

    assert compiles(training=True) == compiled
    assert not compiles(training=False)
