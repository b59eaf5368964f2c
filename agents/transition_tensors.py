"""Transitions in memory as tensors, checked, and as what an agent trains on."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import tensorflow as tf
from tf_agents.trajectories import time_step as ts
from tf_agents.trajectories import trajectory

from mtfx.models.action_policy import MASK, PREDICTIONS, STATE

#: By how much an action may be out of bounds.
_ROUNDING = 1e-5


class Transitions(Protocol):
    """Arrays or tensors of N transitions, for example a ``mtfx.datasets.transitions.table`` table.

    For an agent that learns from candidates it also has ``predictions``, float `[N, C, K]`, and
    ``mask``, bool `[N, C]`.
    """

    @property
    def states(self) -> Any:
        """float32 `[N, S]`."""

    @property
    def actions(self) -> Any:
        """float32 `[N, A]` in [-1, 1]."""

    @property
    def rewards(self) -> Any:
        """float32 `[N]`."""

    @property
    def next_states(self) -> Any:
        """float32 `[N, S]`."""

    @property
    def discounts(self) -> Any:
        """float32 `[N]`, 0 at a session's end and 1 elsewhere."""


class CandidateTensors(NamedTuple):
    """The candidates of N requests.

    Attributes:
      predictions: `[N, C, K]`, float16 to save memory or float32.
      mask: bool `[N, C]`.
    """

    predictions: tf.Tensor
    mask: tf.Tensor


class TransitionTensors(NamedTuple):
    """Transitions as float32 tensors."""

    states: tf.Tensor
    actions: tf.Tensor
    rewards: tf.Tensor
    next_states: tf.Tensor
    discounts: tf.Tensor


def state_spec(agent: Any) -> tf.TensorSpec:
    """The spec of an agent's states, whether or not its observations hold more."""
    observation = agent.time_step_spec.observation
    return observation[STATE] if isinstance(observation, dict) else observation


def transition_tensors(agent: Any, table: Transitions) -> TransitionTensors:
    """The table as tensors; raises ValueError if an agent cannot learn from it."""
    state_dim = state_spec(agent).shape[0]
    action_dim = agent.action_spec.shape[0]
    data = TransitionTensors(
        *(
            tf.convert_to_tensor(getattr(table, name), tf.float32, name=name)
            for name in TransitionTensors._fields
        )
    )
    count = data.states.shape[0]
    if not count:
        raise ValueError("there are no transitions to learn from")
    shapes = TransitionTensors(
        [count, state_dim], [count, action_dim], [count], [count, state_dim], [count]
    )
    for name, values, shape in zip(TransitionTensors._fields, data, shapes, strict=True):
        if list(values.shape) != shape:
            raise ValueError(f"{name} of the transitions should be {shape}, not {values.shape}")
        finite = tf.math.is_finite(values)
        if name == "next_states":
            # What follows a session's end is not used.
            finite |= data.discounts[:, tf.newaxis] == 0
        _check_finite(name, finite)
    if float(tf.reduce_max(tf.abs(data.actions))) > 1.0 + _ROUNDING:
        raise ValueError(
            f"actions are in [-1, 1], but one of the transitions has "
            f"{float(tf.reduce_max(tf.abs(data.actions)))}"
        )
    zeros = tf.zeros_like(data.next_states)
    over = data.discounts[:, tf.newaxis] == 0
    return data._replace(next_states=tf.where(over, zeros, data.next_states))


def candidate_tensors(agent: Any, table: Transitions) -> CandidateTensors | None:
    """The table's candidates; None for an agent that does not learn from them.

    Raises:
      ValueError: if the agent does and the table has none, or others than the agent's.
    """
    observation = agent.time_step_spec.observation
    if not isinstance(observation, dict):
        return None
    predictions, mask = (getattr(table, name, None) for name in (PREDICTIONS, MASK))
    if predictions is None or mask is None:
        raise ValueError(
            "the agent learns from the candidates' predictions, but the transitions were loaded "
            "without them: load them with `candidates`"
        )
    found = CandidateTensors(tf.convert_to_tensor(predictions), tf.convert_to_tensor(mask, tf.bool))
    count = len(table.states)
    for name, values in found._asdict().items():
        shape = [count, *observation[name].shape]
        if list(values.shape) != shape:
            raise ValueError(f"{name} of the transitions should be {shape}, not {values.shape}")
    _check_finite(PREDICTIONS, tf.math.is_finite(found.predictions) | ~found.mask[..., tf.newaxis])
    return found


def experience(
    data: TransitionTensors, rows: tf.Tensor, candidates: CandidateTensors | None = None
) -> trajectory.Trajectory:
    """Some transitions in the form that ``TFAgent.train`` takes.

    Args:
      data: The transitions, as tensors.
      rows: Which ones, int32 `[batch]`.
      candidates: Their candidates, for an agent that learns from them. The next request's are not
        known; no equation reads them, and the present ones stand in for them.

    Returns:
      Trajectories `[batch, 2]`.
    """
    actions, discounts = tf.gather(data.actions, rows), tf.gather(data.discounts, rows)
    rewards, zeros = tf.gather(data.rewards, rows), tf.zeros(tf.shape(rows), tf.float32)
    middle = tf.fill(tf.shape(rows), ts.StepType.MID)
    following = tf.where(discounts > 0, ts.StepType.MID, ts.StepType.LAST)
    observation: Any = tf.stack(
        [tf.gather(data.states, rows), tf.gather(data.next_states, rows)], axis=1
    )
    if candidates is not None:
        predictions = tf.cast(tf.gather(candidates.predictions, rows), tf.float32)
        mask = tf.gather(candidates.mask, rows)
        observation = {
            STATE: observation,
            PREDICTIONS: tf.stack([predictions, predictions], axis=1),
            MASK: tf.stack([mask, mask], axis=1),
        }
    return trajectory.Trajectory(
        step_type=tf.stack([middle, following], axis=1),
        observation=observation,
        action=tf.stack([actions, actions], axis=1),
        policy_info=(),
        next_step_type=tf.stack([following, middle], axis=1),
        reward=tf.stack([rewards, zeros], axis=1),
        discount=tf.stack([discounts, zeros], axis=1),
    )


def _check_finite(name: str, finite: tf.Tensor) -> None:
    if not bool(tf.reduce_all(finite)):
        whole = tf.reduce_all(tf.reshape(finite, [finite.shape[0], -1]), axis=1)
        row = int(tf.argmin(tf.cast(whole, tf.int8)))
        raise ValueError(f"{name} of the transitions holds no number, first in row {row}")
