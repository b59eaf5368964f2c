"""A replay buffer whose samples follow from a seed."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from mtfx.agents.transition_tensors import CandidateTensors, TransitionTensors, state_spec
from mtfx.models.action_policy import MASK, PREDICTIONS


class TransitionReplay:
    """The latest transitions, in variables that a training step reads without leaving the graph.

    TF-Agents' ``TFUniformReplayBuffer`` does nearly this; but it samples from the program's random
    state, so that a training which resumes takes other minibatches, and it keeps candidates in
    float32.

    Attributes:
      capacity: Transitions kept at most.
      size: Transitions kept, an int32 variable.
      data: What is kept: variables of ``capacity`` rows, of which the first ``size`` are valid.
      candidates: Likewise; None for an agent that does not learn from candidates.
    """

    def __init__(self, agent: Any, capacity: int) -> None:
        """Makes the variables.

        Args:
          agent: One of ``mtfx.agents.building.build_agent``, which says the sizes.
          capacity: See the class.

        Raises:
          ValueError: if the capacity is below 1.
        """
        if capacity < 1:
            raise ValueError(f"a replay buffer holds at least one transition, not {capacity}")
        self.capacity = capacity
        self.size = tf.Variable(0, dtype=tf.int32, trainable=False, name="replay_size")
        observation = agent.time_step_spec.observation
        states, actions = state_spec(agent).shape[0], agent.action_spec.shape[0]
        self.data = TransitionTensors(
            _rows(capacity, states),
            _rows(capacity, actions),
            _rows(capacity),
            _rows(capacity, states),
            _rows(capacity),
        )
        self.candidates = None
        if isinstance(observation, dict):
            self.candidates = CandidateTensors(
                _rows(capacity, *observation[PREDICTIONS].shape, dtype=tf.float16),
                _rows(capacity, *observation[MASK].shape, dtype=tf.bool),
            )

    def add(
        self, data: TransitionTensors, number: int, candidates: CandidateTensors | None = None
    ) -> None:
        """Takes transitions in; the oldest make room.

        Args:
          data: `[N, ...]`; of more than the capacity only the last are kept.
          number: Transitions that came before these, which says where they go: a buffer that is
            filled again from the same transitions is the same.
          candidates: Theirs, if the agent learns from candidates; of the agent's width.
        """
        count = data.states.shape[0]
        kept = min(count, self.capacity)
        places = (number % self.capacity + tf.range(count - kept, count)) % self.capacity
        pairs = list(zip(self.data, data, strict=True))
        if self.candidates is not None and candidates is not None:
            pairs += zip(self.candidates, candidates, strict=True)
        for variable, values in pairs:
            rows = tf.cast(values[count - kept :], variable.dtype)
            variable.scatter_update(tf.IndexedSlices(rows, places))  # type: ignore[union-attr]
        self.size.assign(min(number + count, self.capacity))


def _rows(capacity: int, *shape: int, dtype: tf.DType = tf.float32) -> Any:
    return tf.Variable(tf.zeros([capacity, *shape], dtype), trainable=False)
