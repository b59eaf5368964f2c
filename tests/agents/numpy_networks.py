"""The networks of fusion agents in NumPy, in float64, from their weights alone."""

import numpy as np


def draw(*shape, seed=0):
    """Standard normal numbers, float32."""
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def mlp(layer, *parts):
    """Output of a ``mtfx.models.fusion_networks.StateMlp`` for the joined parts."""
    hidden = np.concatenate(parts, axis=-1).astype(np.float64)
    for index, (kernel, bias) in enumerate(zip(layer.kernels, layer.biases, strict=True)):
        hidden = hidden @ kernel.numpy() + bias.numpy()
        if index < len(layer.kernels) - 1:
            hidden = np.maximum(hidden, 0)
    return hidden


def critic(network, states, actions):
    """Values `[batch]` of a ``mtfx.agents.fusion_adapters.CriticNetwork``."""
    return mlp(network.mlp, states, np.clip(actions, -1, 1))[:, 0]


def actor(network, states):
    """Actions of a ``mtfx.agents.fusion_adapters.ActorNetwork``."""
    return np.tanh(mlp(network.mlp, states))


def shift(networks):
    """Moves every weight, so that biases are not 0 and targets are not their networks."""
    for place, network in enumerate(networks):
        for number, variable in enumerate(network.trainable_variables):
            variable.assign_add(0.3 * draw(*variable.shape, seed=100 * place + number))


def values_of(network):
    return [variable.numpy() for variable in network.trainable_variables]


def moved(before, network):
    """Whether any weight differs from what ``values_of`` gave."""
    return any((a != b).any() for a, b in zip(before, values_of(network), strict=True))


def slope(loss, variable, index, width=1e-3):
    """Central difference of a NumPy loss along one weight, which is restored."""
    start = variable.numpy()
    ends = []
    for sign in (1, -1):
        now = start.copy()
        now[index] += sign * width
        variable.assign(now)
        ends.append((loss(), float(now[index])))
    variable.assign(start)
    (high, right), (low, left) = ends
    return (high - low) / (right - left)
