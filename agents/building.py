"""Construction of the agents that learn fusion policies: from a name, sizes and settings."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
from tf_agents.agents import tf_agent
from tf_agents.specs import tensor_spec
from tf_agents.trajectories import time_step as ts

from mtfx.agents.config import FusionAgentConfig
from mtfx.agents.registry import AGENTS
from mtfx.agents.xmtf import xmtf_specs


def specs(state_dim: int, action_dim: int) -> tuple[Any, Any]:
    """Time step spec and action spec of the fusion MDP.

    The bounds are scalars on purpose: with bounds per dimension TF-Agents' CQL multiplies the log
    density of uniform actions with the number of dimensions twice.

    Args:
      state_dim: S, of float32 observations `[S]`.
      action_dim: A, of float32 actions `[A]` in [-1, 1].

    Raises:
      ValueError: if a size is below 1.
    """
    if min(state_dim, action_dim) < 1:
        raise ValueError(f"states and actions need a size, got {state_dim} and {action_dim}")
    make_bounded: Any = tensor_spec.BoundedTensorSpec  # TensorFlow's stubs lack its arguments.
    return (
        ts.time_step_spec(tf.TensorSpec([state_dim], tf.float32, "observation")),
        make_bounded([action_dim], tf.float32, -1.0, 1.0, "action"),
    )


def build_agent(
    name: str,
    state_dim: int,
    action_dim: int,
    config: FusionAgentConfig | None = None,
    seed: int = 0,
    candidates: int = 0,
) -> tf_agent.TFAgent:
    """Builds and initialises an agent whose ``policy`` is greedy.

    Args:
      name: A key of ``mtfx.agents.registry.AGENTS``.
      state_dim: S.
      action_dim: A.
      config: Hyper-parameters of the algorithm's class; its defaults if None.
      seed: Of weights and of what the agent samples.
      candidates: C, of the largest request; for an agent that ``needs_candidates`` only.

    Raises:
      ValueError: if the name is unknown, the config is of another algorithm, or a size is below 1.
    """
    entry, settings = AGENTS[name], AGENTS.config(name, config)
    if entry.needs_candidates and candidates < 1:
        raise ValueError(f"agent {name!r} learns from candidates: say how many a request has")
    sizes = (
        xmtf_specs(state_dim, candidates, action_dim)
        if entry.needs_candidates
        else specs(state_dim, action_dim)
    )
    agent = entry.load()(*sizes, settings, seed)
    agent.initialize()
    return agent


def q_values(agent: Any, states: tf.Tensor, actions: tf.Tensor) -> tf.Tensor:
    """What an agent expects of actions: min_j Q_j(s, a), the lower of its two critics.

    Args:
      agent: One of :func:`build_agent`.
      states: float32 `[batch, S]`.
      actions: float32 `[batch, A]` in [-1, 1].

    Returns:
      float32 `[batch]`, without dropout.
    """
    return agent.q_values(states, actions)
