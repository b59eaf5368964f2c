"""The simulator and TF-Agents: a batched environment of it, and their policies as its own."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp
from tf_agents.environments import tf_environment
from tf_agents.policies import tf_policy
from tf_agents.specs import tensor_spec
from tf_agents.trajectories import time_step as ts
from tf_agents.utils import common

from mtfx.environments.simulator import draws
from mtfx.environments.simulator.dynamics import Simulator
from mtfx.environments.simulator.requests import check_action, check_fit, choose
from mtfx.environments.simulator.runner import Seed, as_seed, checked_users
from mtfx.environments.simulator.session import Candidates, SessionState
from mtfx.models.action_policy import MASK, PREDICTIONS, STATE, ActionSample
from mtfx.models.fusion.base import FusionFunction


class FusionEnvironment(tf_environment.TFEnvironment):
    """A batch of sessions side by side, each lane starting another when one is over.

    The observation is a state `[S]` (see ``Simulator.state_names``), the action the weights of the
    fusion function, `[A]` in [-1, 1]; a step shows the top candidate and rewards by BatchRL-MTF
    (2). The discount is 0 at the session's end. Sessions take their users in a random order in
    which none comes a second time before all others have come.

    An agent that learns from the candidates too, such as xMTF's, can see some of them: the
    observation is then a dictionary with the keys of ``mtfx.models.action_policy``. Candidates come
    in a random order, so that the first so many are a fair sample of them.

    An action that is NaN or out of bounds raises InvalidArgumentError, also in a lane whose session
    is over, where it has no other effect.
    """

    def __init__(
        self,
        simulator: Simulator,
        fusion: FusionFunction,
        batch_size: int,
        *,
        users: np.ndarray | None = None,
        seed: Seed = 0,
        observed_candidates: int = 0,
    ) -> None:
        """Sets up the lanes.

        Args:
          simulator: The simulator.
          fusion: Scores the candidates.
          batch_size: Sessions side by side.
          users: Indices of the users that have sessions, int `[n]`; all when None.
          seed: Of everything random.
          observed_candidates: How many of a request's candidates an observation shows, at most; 0
            makes it the state alone.

        Raises:
          ValueError: if ``batch_size`` is less than 1 or ``observed_candidates`` less than 0, there
            are no users or unknown ones, or the fusion function is for another number of
            predictions.
        """
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size}")
        if observed_candidates < 0:
            raise ValueError(f"observed_candidates must be at least 0, got {observed_candidates}")
        check_fit(simulator, fusion)
        self._observed = min(observed_candidates, simulator.num_candidates)
        make: Any = tensor_spec.BoundedTensorSpec  # TensorFlow's stubs do not know its arguments.
        observation: Any = tensor_spec.TensorSpec([simulator.state_dim], tf.float32, "observation")
        if self._observed:
            shape = [self._observed, simulator.world.num_predictions]
            observation = {
                STATE: tf.TensorSpec([simulator.state_dim], tf.float32, STATE),
                PREDICTIONS: tf.TensorSpec(shape, tf.float32, PREDICTIONS),
                MASK: tf.TensorSpec(shape[:1], tf.bool, MASK),
            }
        action = make([fusion.action_dim], tf.float32, -1.0, 1.0, "action")
        super().__init__(ts.time_step_spec(observation), action, batch_size)
        num_users = simulator.world.num_users
        users = np.arange(num_users) if users is None else users
        self._users = tf.constant(checked_users(users, num_users))
        self._simulator, self._fusion = simulator, fusion
        self._seed = as_seed(seed)
        self._drawn = tf.Variable(0, dtype=tf.int32, name="sessions_drawn")
        self._started = tf.Variable(False, name="started")
        session = simulator.reset(tf.zeros([batch_size], tf.int32), self._seed)
        candidates = simulator.candidates(session)
        self._session = SessionState(*(_variable(part) for part in session))
        # What was observed is kept for the next step, so that candidates are drawn once.
        self._candidates = Candidates(*(_variable(part) for part in candidates))
        self._state = _variable(simulator.observe(session, candidates))
        self._step_type = _variable(tf.fill([batch_size], ts.StepType.LAST))
        self._reward = _variable(tf.zeros([batch_size]))

    def _current_time_step(self) -> ts.TimeStep:
        return tf.cond(self._started, self._observe, self._reset)

    @tf.function(autograph=False)
    def _reset(self) -> ts.TimeStep:
        self._started.assign(True)
        every = tf.fill([self.batch_size], True)
        self._take(self._begin(_read(self._session), every))
        self._step_type.assign(tf.fill([self.batch_size], ts.StepType.FIRST))
        self._reward.assign(tf.zeros([self.batch_size]))
        return self._observe()

    @tf.function(autograph=False)
    def _step(self, action: tf.Tensor) -> ts.TimeStep:
        return tf.cond(self._started, lambda: self._advance(action), self._reset)

    def _advance(self, action: tf.Tensor) -> ts.TimeStep:
        action = check_action(action, self._fusion.action_dim)
        over = self._step_type == ts.StepType.LAST
        session = _read(self._session)
        chosen = choose(
            self._fusion,
            Candidates(*map(tf.identity, self._candidates)),
            action,
            tf.identity(self._state),
        )
        following, outcome = self._simulator.step(session, chosen)
        self._take(self._begin(following, over))
        going = tf.where(outcome.done, ts.StepType.LAST, ts.StepType.MID)
        self._step_type.assign(tf.where(over, ts.StepType.FIRST, going))
        self._reward.assign(tf.where(over, 0.0, outcome.reward))
        return self._observe()

    def _begin(self, session: SessionState, lanes: tf.Tensor) -> SessionState:
        """Starts a session in the lanes marked by bool `[lane]`."""
        count = tf.cast(lanes, tf.int32)
        # Lanes that start nothing count as session 0.
        numbers = tf.maximum(self._drawn + tf.cumsum(count) - 1, 0)
        self._drawn.assign_add(tf.reduce_sum(count))
        size = tf.size(self._users)
        rounds = numbers // size
        seed = tf.tile(self._seed[tf.newaxis], [self.batch_size, 1])
        # tf.random.experimental.index_shuffle pads the seeds of a batch on the wrong axis (2.16).
        places = tf.raw_ops.RandomIndexShuffle(
            index=numbers % size,
            seed=tf.concat([rounds[:, tf.newaxis], seed], axis=1),
            max_index=size - 1,
        )
        fresh = self._simulator.reset(
            tf.gather(self._users, places), draws.fold_in(seed, draws.Stream.SESSION, numbers)
        )
        return SessionState(
            *(
                tf.where(tf.reshape(lanes, [-1] + [1] * (new.shape.rank - 1)), new, old)
                for new, old in zip(fresh, session, strict=True)
            )
        )

    def _take(self, session: SessionState) -> None:
        candidates = self._simulator.candidates(session)
        self._state.assign(self._simulator.observe(session, candidates))
        for variable, value in zip(
            (*self._session, *self._candidates), (*session, *candidates), strict=True
        ):
            variable.assign(value)

    def _observe(self) -> ts.TimeStep:
        step_type = self._step_type.read_value()
        return ts.TimeStep(
            step_type=step_type,
            reward=self._reward.read_value(),
            discount=tf.where(step_type == ts.StepType.LAST, 0.0, 1.0),
            observation=self._observation(),
        )

    def _observation(self) -> Any:
        state = self._state.read_value()
        if not self._observed:
            return state
        return {
            STATE: state,
            PREDICTIONS: self._candidates.predictions[:, : self._observed],
            MASK: self._candidates.mask[:, : self._observed],
        }


def _variable(value: tf.Tensor) -> tf.Variable:
    return tf.Variable(value, trainable=False)


def _read(session: SessionState) -> SessionState:
    return SessionState(*(tf.identity(part) for part in session))


class TfAgentsPolicy:
    """Adapts a stateless policy over states `[S]` and actions `[A]`.

    A policy that only describes a distribution is sampled with the given seed, and its log density
    is returned; a deterministic one has none. A policy that draws actions in a way of its own (that
    is, in ``_action``, as BCQ's) gets the seed as an int32 tensor `[2]`, so it must use stateless
    ops. What is served draws from no seed: see ``mtfx.models.export.policy.agent_function``.
    """

    def __init__(self, policy: tf_policy.TFPolicy) -> None:
        """Keeps the policy.

        Args:
          policy: Its observation is one vector, its action one vector in [-1, 1].

        Raises:
          ValueError: if it has a state, or its specs are others.
        """
        specs = (policy.time_step_spec.observation, policy.action_spec)
        for name, spec in zip(("observation", "action"), specs, strict=True):
            if not isinstance(spec, tf.TensorSpec) or spec.shape.rank != 1:
                raise ValueError(f"the policy's {name} must be one vector, its spec is {spec}")
        if policy.policy_state_spec:
            raise ValueError("the policy has a state; the simulator takes stateless ones")
        self._policy = policy
        self._draws_itself = type(policy)._action is not tf_policy.TFPolicy._action

    def actions(self, states: tf.Tensor, users: tf.Tensor, seed: tf.Tensor) -> ActionSample:
        """See :class:`mtfx.models.action_policy.ActionPolicy`."""
        batch = tf.shape(states)[0]
        time_step = ts.TimeStep(
            step_type=tf.fill([batch], ts.StepType.MID),
            reward=tf.zeros([batch]),
            discount=tf.ones([batch]),
            observation=states,
        )
        unknown = tf.fill([batch], float("nan"))
        spec = self._policy.action_spec
        if self._draws_itself:
            action = self._policy.action(time_step, (), seed).action
            return ActionSample(common.clip_to_spec(action, spec), unknown)
        distribution = self._policy.distribution(time_step, ()).action
        if isinstance(distribution, tfp.distributions.Deterministic):
            return ActionSample(common.clip_to_spec(distribution.sample(), spec), unknown)
        action = distribution.sample(seed=seed)
        density = distribution.log_prob(action)
        if density.shape.rank == 2:
            density = tf.reduce_sum(density, axis=1)
        return ActionSample(common.clip_to_spec(action, spec), density)
