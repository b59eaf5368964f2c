"""The MLPs of fusion agents against NumPy, in all the shapes that they take."""

import numpy as np
import pytest
import tensorflow as tf

from mtfx.models.fusion_networks import ActionVae, Perturbation, StateMlp, TwinCritics


def draw(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def numpy_mlp(mlp, joined):
    """The output from the weights alone, in float64."""
    hidden = np.asarray(joined, np.float64)
    for index, (kernel, bias) in enumerate(zip(mlp.kernels, mlp.biases, strict=True)):
        hidden = hidden @ kernel.numpy() + bias.numpy()
        if index < len(mlp.kernels) - 1:
            hidden = np.maximum(hidden, 0)
    return hidden


@pytest.fixture
def mlp():
    network = StateMlp(4, 3, (8, 5), 2, seed=1, name="mlp", dropout=0.25)
    for bias in network.biases:
        bias.assign(draw(*bias.shape, seed=9))
    return network


def test_one_vector_per_state(mlp):
    states, inputs = draw(6, 4), draw(6, 3, seed=1)
    expected = numpy_mlp(mlp, np.concatenate([states, inputs], axis=1))
    np.testing.assert_allclose(mlp(states, inputs), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("samples", [1, 7])
def test_many_vectors_per_state(mlp, samples):
    states, inputs = draw(6, 4), draw(6, samples, 3, seed=1)
    for number in range(samples):
        expected = numpy_mlp(mlp, np.concatenate([states, inputs[:, number]], axis=1))
        values = mlp(states, inputs)
        assert values.shape == (6, samples, 2)
        np.testing.assert_allclose(values[:, number], expected, rtol=1e-4, atol=1e-5)


def test_gradients_do_not_depend_on_how_vectors_are_passed(mlp):
    states, inputs = draw(6, 4), draw(6, 7, 3, seed=1)
    with tf.GradientTape(persistent=True) as tape:
        together = tf.reduce_sum(tf.sin(mlp(states, inputs)))
        rows = mlp(np.repeat(states, 7, axis=0), inputs.reshape(-1, 3))
        apart = tf.reduce_sum(tf.sin(rows))
    for variable in mlp.trainable_variables:
        first, second = tape.gradient(together, variable), tape.gradient(apart, variable)
        np.testing.assert_allclose(first, second, rtol=1e-4, atol=1e-4)


def test_the_state_alone():
    network = StateMlp(4, 0, (8,), 2, seed=1, name="actor")
    states = draw(6, 4)
    np.testing.assert_allclose(network(states), numpy_mlp(network, states), rtol=1e-4, atol=1e-5)


def test_dropout_keeps_the_mean_and_drops_its_share(mlp):
    states, inputs = draw(1, 4), draw(1, 3, seed=1)
    values = mlp.passes(states, inputs, 20_000, tf.constant([3, 4])).numpy()[0]
    assert values.shape == (20_000, 2)
    assert len(np.unique(values[:, 0])) > 100
    # The second hidden layer's inputs are dropped too, so only a linear network keeps its mean.
    linear = StateMlp(4, 3, (8,), 2, seed=1, name="linear", dropout=0.25)
    values = linear.passes(states, inputs, 20_000, tf.constant([3, 4])).numpy()[0]
    hidden = numpy_mlp_first(linear, np.concatenate([states, inputs], axis=1))
    kernel = linear.kernels[1].numpy()
    np.testing.assert_allclose(values.mean(axis=0), (hidden @ kernel)[0], atol=0.02)
    variance = np.square(hidden) @ np.square(kernel) * 0.25 / 0.75
    np.testing.assert_allclose(values.var(axis=0), variance[0], rtol=0.05)


def numpy_mlp_first(mlp, joined):
    return np.maximum(joined @ mlp.kernels[0].numpy() + mlp.biases[0].numpy(), 0)


def test_dropout_is_a_function_of_its_seed(mlp):
    states, inputs = draw(6, 4), draw(6, 3, seed=1)
    first, again, other = (
        mlp(states, inputs, dropout_seed=tf.constant(seed)).numpy()
        for seed in ([1, 2], [1, 2], [1, 3])
    )
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other)


def test_weights_are_a_function_of_the_seed():
    first, again, other = (TwinCritics(4, 3, (8,), seed=seed) for seed in (1, 1, 2))
    states, actions = draw(6, 4), draw(6, 3)
    np.testing.assert_array_equal(first(states, actions), again(states, actions))
    assert not np.allclose(first(states, actions), other(states, actions))


def test_twin_critics_differ():
    critics = TwinCritics(4, 3, (8,), seed=1)
    states, actions = draw(6, 4), draw(6, 5, 3)
    values = critics(states, actions)
    assert values.shape == (2, 6, 5)
    assert not np.allclose(values[0], values[1])
    np.testing.assert_array_equal(critics.first(states, actions), values[0])


@pytest.mark.parametrize("rho", [0.0, 0.15])
def test_a_perturbation_stays_within_rho_and_the_bounds(rho):
    network = Perturbation(4, 3, rho, (8,), seed=1)
    network.mlp.biases[-1].assign([50.0, -50.0, 0.0])
    states, actions = draw(200, 4), np.tanh(2 * draw(200, 3))
    perturbed = network(states, actions).numpy()
    assert np.abs(perturbed).max() <= 1
    assert np.abs(perturbed - actions).max() <= rho + 1e-6
    inside = np.abs(actions[:, 0]) < 1 - rho
    np.testing.assert_allclose(perturbed[inside, 0], actions[inside, 0] + rho, atol=1e-6)


def test_the_generator_gives_actions_in_bounds():
    vae = ActionVae(4, 3, 6, (8,), seed=1)
    actions = vae.decode(draw(50, 4), 100 * draw(50, 9, 6)).numpy()
    assert actions.shape == (50, 9, 3)
    assert np.abs(actions).max() <= 1
    mean, log_std = vae.encode(draw(50, 4), draw(50, 3))
    assert mean.shape == log_std.shape == (50, 6)


def test_a_network_needs_a_hidden_layer():
    with pytest.raises(ValueError, match="mlp needs a hidden layer"):
        StateMlp(4, 3, (), 2, seed=1, name="mlp")
