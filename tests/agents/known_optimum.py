"""Small decision problems whose best actions are known, and logs of behaviour in them."""

import dataclasses

import numpy as np
import tensorflow as tf

from mtfx.agents.transition_tensors import TransitionTensors

GAMMA = 0.9
#: What the second step's reward has of the second state, see ``two_steps``.
BONUS = 0.5


@dataclasses.dataclass(frozen=True)
class Problem:
    """Logs, held-out first states, their best actions, and the true value of any first action."""

    data: TransitionTensors
    states: np.ndarray
    best: np.ndarray
    behaviour: np.ndarray
    value: object


def peak(x):
    """f: where the reward of a step is highest."""
    return 0.4 * x


def states_of(x, stage):
    return np.stack([x, np.full_like(x, stage), np.ones_like(x)], axis=1).astype(np.float32)


def one_step(behaviour, rows=2000, seed=0):
    """A session is one step; the reward is -(a - f(x))²."""
    rng = np.random.default_rng(seed)
    x, test = rng.uniform(-1, 1, rows), rng.uniform(-1, 1, 200)
    actions = behaviour(rng, x)
    rewards = -np.square(actions - peak(x))
    data = _tensors(states_of(x, 0), actions, rewards, np.full((rows, 3), np.nan), np.zeros(rows))
    return Problem(
        data,
        states_of(test, 0),
        peak(test),
        behaviour(rng, test),
        lambda actions: -np.square(actions - peak(test)),
    )


def two_steps(behaviour, rows=2000, seed=0):
    """The first action is the second state, whose reward grows with it.

    r_1 = -(a - f(x))², x' = a, r_2 = BONUS x' - (a' - f(x'))². With the best a', which loses
    nothing, the first step is worth -(a - f(x))² + gamma BONUS a: best at f(x) + gamma BONUS / 2.
    """
    rng = np.random.default_rng(seed)
    x, test = rng.uniform(-1, 1, rows), rng.uniform(-1, 1, 200)
    first = behaviour(rng, x)
    second = behaviour(rng, first)
    data = _tensors(
        np.concatenate([states_of(x, 0), states_of(first, 1)]),
        np.concatenate([first, second]),
        np.concatenate(
            [-np.square(first - peak(x)), BONUS * first - np.square(second - peak(first))]
        ),
        np.concatenate([states_of(first, 1), np.full((rows, 3), np.nan)]),
        np.repeat([1.0, 0.0], rows),
    )
    return Problem(
        data,
        states_of(test, 0),
        peak(test) + GAMMA * BONUS / 2,
        behaviour(rng, test),
        lambda actions: -np.square(actions - peak(test)) + GAMMA * BONUS * actions,
    )


def uniform(rng, x):
    """Good data: every action."""
    return rng.uniform(-1, 1, x.shape)


def narrow(rng, x):
    """Narrow data below the best action, where reward rises with the action: a trap.

    A critic that has seen only the rise expects it to go on.
    """
    return np.clip(peak(x) - 0.3 + rng.normal(0, 0.05, x.shape), -1, 1)


def _tensors(states, actions, rewards, next_states, discounts):
    columns = (states, actions[:, None], rewards, next_states, discounts)
    return TransitionTensors(*(tf.constant(column, tf.float32) for column in columns))
