"""Policies whose parameters are a vector: what the searches look for.

They hold the parameters of several members side by side, so that the simulator steps the sessions
of a whole population at once, and keep them in a variable, so that a new generation traces nothing
anew. They are :class:`mtfx.models.action_policy.ActionPolicy`.
"""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import tensorflow as tf

from mtfx.models.action_policy import ActionSample


class VectorPolicy(tf.Module, abc.ABC):
    """A deterministic policy with a parameter vector per member.

    A batch of states is split into as many equal blocks as there are members; block `i` is acted on
    by member `i`. So with more than one member sessions must keep their places in the batch until
    the last has ended; with one, any batch will do.

    Attributes:
      size: Length of the parameter vector.
      members: How many vectors there are.
      parameters: The variable, float32 `[member, size]`.
    """

    def __init__(self, size: int, members: int) -> None:
        """Makes members of zeros.

        Args:
          size: Length of the parameter vector.
          members: How many.

        Raises:
          ValueError: if a number is not positive.
        """
        super().__init__()
        if size < 1 or members < 1:
            raise ValueError(f"a policy needs parameters and members, got {size} and {members}")
        self.size = size
        self.members = members
        self.parameters = tf.Variable(tf.zeros([members, size]), name="parameters")

    def assign(self, parameters: np.ndarray) -> None:
        """Sets the parameters.

        Args:
          parameters: `[member, size]`, or `[size]` for all members.

        Raises:
          ValueError: if the shape does not fit, or a value is NaN or infinite.
        """
        values = np.asarray(parameters, dtype=np.float32)
        if values.shape not in ((self.members, self.size), (self.size,)):
            raise ValueError(
                f"{type(self).__name__} takes parameters [{self.members}, {self.size}], got "
                f"{list(values.shape)}"
            )
        if not np.all(np.isfinite(values)):
            raise ValueError(f"{type(self).__name__}: parameters must be finite")
        self.parameters.assign(np.broadcast_to(values, (self.members, self.size)))

    def actions(self, states: tf.Tensor, users: tf.Tensor, seed: tf.Tensor) -> ActionSample:
        """Actions of a batch.

        Args:
          states: float32 `[batch, state]`; the batch is a multiple of the members.
          users: int32 `[batch]`; not looked at.
          seed: int32 `[2]`; not used, the policies are deterministic.

        Raises:
          InvalidArgumentError: if the batch cannot be split into equal blocks.
        """
        del users, seed
        action = self(states)
        return ActionSample(action, tf.fill([tf.shape(states)[0]], np.float32(np.nan)))

    def __call__(self, states: tf.Tensor) -> tf.Tensor:
        """Actions float32 `[batch, action]` of states `[batch, state]`; see :meth:`actions`."""
        batch = tf.shape(states)[0]
        tf.debugging.assert_equal(
            batch % self.members,
            0,
            message=f"the batch must be a multiple of the policy's {self.members} members",
        )
        blocks = tf.reshape(states, [self.members, batch // self.members, states.shape[-1]])
        action = self._act(blocks)
        return tf.reshape(action, [batch, action.shape[-1]])

    @abc.abstractmethod
    def _act(self, states: tf.Tensor) -> tf.Tensor:
        """Actions `[member, block, action]` of states `[member, block, state]`."""


class ConstantVectorPolicy(VectorPolicy):
    """The same action for everybody: fusion without personalisation."""

    def __init__(self, action_dim: int, members: int = 1) -> None:
        """Makes actions of zeros.

        Args:
          action_dim: A.
          members: How many actions are tried side by side.
        """
        super().__init__(action_dim, members)

    def _act(self, states: tf.Tensor) -> tf.Tensor:
        action = tf.clip_by_value(self.parameters, -1.0, 1.0)[:, tf.newaxis]
        return tf.repeat(action, tf.shape(states)[1], axis=1)


@dataclasses.dataclass(frozen=True)
class NetworkShape:
    """Sizes of the evolved network; "a simple network" is all that BatchRL-MTF says of it.

    Attributes:
      state_dim: S.
      action_dim: A.
      hidden_units: Its tanh layers. Ours: one of 16.
    """

    state_dim: int
    action_dim: int
    hidden_units: tuple[int, ...] = (16,)

    def __post_init__(self) -> None:
        if min(self.layers) < 1:
            raise ValueError(f"a network's sizes must be positive, got {self.layers}")

    @property
    def layers(self) -> tuple[int, ...]:
        """Sizes from the state to the action."""
        return (self.state_dim, *self.hidden_units, self.action_dim)

    @property
    def parameters(self) -> int:
        """Number of parameters."""
        return sum((inputs + 1) * outputs for inputs, outputs in pairwise(self.layers))


class NetworkPolicy(VectorPolicy):
    """A small tanh network from the state to the action.

    A layer is `tanh(x W / √inputs + b)`, its part of the vector W row by row and then b. The
    division lets one deviation of the search suit all parameters.
    """

    def __init__(self, shape: NetworkShape, members: int = 1) -> None:
        """Makes networks of zeros, whose action is 0.

        Args:
          shape: Their sizes.
          members: How many are tried side by side.
        """
        super().__init__(shape.parameters, members)
        self.shape = shape

    def _act(self, states: tf.Tensor) -> tf.Tensor:
        offset = 0
        values = states
        for inputs, outputs in pairwise(self.shape.layers):
            end = offset + inputs * outputs
            kernel = tf.reshape(self.parameters[:, offset:end], [self.members, inputs, outputs])
            bias = self.parameters[:, tf.newaxis, end : end + outputs]
            values = tf.tanh(tf.matmul(values, kernel / np.float32(np.sqrt(inputs))) + bias)
            offset = end + outputs
        return values


class PopulationObjective:
    """The objective of a search over a policy's parameters.

    Evaluates as many points at once as the policy has members, whatever the search asks for.
    """

    def __init__(
        self, policy: VectorPolicy, evaluate: Callable[[VectorPolicy], np.ndarray]
    ) -> None:
        """Keeps the parts.

        Args:
          policy: Its parameters are overwritten.
          evaluate: Gives each member's value `[member]`, for example its mean return over sessions
            in the simulator, the same users and seed for every member. It is called again and
            again with the same policy object.
        """
        self._policy = policy
        self._evaluate = evaluate

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """Values `[points]` of points `[points, size]`."""
        members = self._policy.members
        values = []
        for start in range(0, len(points), members):
            chunk = points[start : start + members]
            # The last point once more where the population is smaller than the members.
            filled = np.concatenate([chunk, np.repeat(chunk[-1:], members - len(chunk), axis=0)])
            self._policy.assign(filled)
            values.append(np.asarray(self._evaluate(self._policy))[: len(chunk)])
        return np.concatenate(values)
