"""A small MDP whose policies' values are solved exactly, and sessions of it."""

import dataclasses

import numpy as np
import tensorflow as tf

from mtfx.evaluation.ope.data import OfflineData
from mtfx.models.action_policy import ActionSample

STATES, ACTIONS = 3, 2
GAMMA = 0.9
#: Discrete actions as points in [-1, 1]^2, one-hot for the Q network.
POINTS = np.eye(ACTIONS, dtype=np.float32) * 2 - 1


@dataclasses.dataclass(frozen=True)
class FiniteMdp:
    """States one-hot, actions the corners ``POINTS``; a session ends with probability ``end``."""

    rewards: np.ndarray  # [state, action]
    transitions: np.ndarray  # [state, action, state], given that the session goes on
    initial: np.ndarray  # [state]
    end: float

    def q(self, policy, rewards=None):
        """Q^π [state, action], of other rewards if given: solves the Bellman equation."""
        rewards = self.rewards if rewards is None else rewards
        going = GAMMA * (1 - self.end) * self.transitions.reshape(STATES * ACTIONS, STATES)
        step = np.einsum("is,sa->isa", going, policy).reshape(STATES * ACTIONS, -1)
        solved = np.linalg.solve(np.eye(STATES * ACTIONS) - step, rewards.ravel())
        return solved.reshape(STATES, ACTIONS)

    def value(self, policy, rewards=None):
        return float(self.initial @ (policy * self.q(policy, rewards)).sum(axis=1))

    def log(self, behaviour, sessions, seed, max_steps=30):
        """Sessions of the behaviour policy [state, action]; rewards are noisy."""
        rng = np.random.default_rng(seed)
        rows = []
        for session in range(sessions):
            state = rng.choice(STATES, p=self.initial)
            for step in range(max_steps):
                action = rng.choice(ACTIONS, p=behaviour[state])
                following = rng.choice(STATES, p=self.transitions[state, action])
                over = rng.random() < self.end
                reward = self.rewards[state, action] + rng.normal(0, 0.1)
                rows.append((session, step, state, action, reward, following, over))
                if over:
                    break
                state = following
        session, step, state, action, reward, following, over = map(
            np.array, zip(*rows, strict=True)
        )
        return OfflineData.from_arrays(
            states=np.eye(STATES)[state],
            actions=POINTS[action],
            rewards=reward,
            next_states=np.eye(STATES)[following],
            discounts=1.0 - over,
            session=session,
            step=step,
            log_density=np.log(behaviour[state, action]),
        )


class TabularPolicy:
    """Plays the corners with probabilities [state, action]; densities are probabilities."""

    def __init__(self, probabilities):
        self.log_probabilities = tf.constant(np.log(np.maximum(probabilities, 1e-30)), tf.float32)

    def actions(self, states, users, seed):
        logits = states @ self.log_probabilities
        # The Gumbel trick, as there is no stateless categorical draw of one per row with a seed.
        uniform = tf.random.stateless_uniform(tf.shape(logits), seed, minval=1e-12)
        drawn = tf.argmax(logits - tf.math.log(-tf.math.log(uniform)), axis=1)
        return ActionSample(tf.gather(tf.constant(POINTS), drawn), tf.fill(tf.shape(drawn), np.nan))

    def log_density(self, states, actions):
        played = (actions + 1) / 2
        return tf.reduce_sum((states @ self.log_probabilities) * played, axis=1)


class FunctionPolicy:
    """A deterministic policy without densities, from states to actions."""

    def __init__(self, function):
        self.function = function

    def actions(self, states, users, seed):
        return ActionSample(self.function(states), tf.fill([tf.shape(states)[0]], np.nan))


def random_mdp(seed=0, end=0.3):
    rng = np.random.default_rng(seed)
    return FiniteMdp(
        rewards=rng.uniform(-1, 2, (STATES, ACTIONS)),
        transitions=rng.dirichlet(np.ones(STATES), (STATES, ACTIONS)),
        initial=np.array([0.6, 0.3, 0.1]),
        end=end,
    )


def soft_policy(seed, floor=0.15):
    rng = np.random.default_rng(seed)
    raw = rng.dirichlet(np.ones(ACTIONS), STATES)
    return floor + (1 - ACTIONS * floor) * raw
