"""Agents that learn fusion policies, by name."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import tensorflow as tf
from tf_agents.agents import tf_agent
from tf_agents.specs import tensor_spec
from tf_agents.trajectories import time_step as ts

from mtfx.agents.bcq import build_bcq
from mtfx.agents.carried_state import BCQ, CQL_SAC, TD3, XMTF, CarriedState
from mtfx.agents.cql_sac import build_cql_sac
from mtfx.agents.fusion_config import (
    BcqConfig,
    CqlSacConfig,
    FusionAgentConfig,
    Td3Config,
    UwacTd3Config,
    XmtfConfig,
)
from mtfx.agents.td3 import build_td3
from mtfx.agents.uwac_td3 import build_uwac_td3
from mtfx.agents.xmtf import XmtfAgent, xmtf_specs
from mtfx.agents.xmtf_batch_constrained import BatchConstrainedXmtfAgent


@dataclasses.dataclass(frozen=True)
class FusionAgentEntry:
    """An algorithm.

    Attributes:
      config: Class of its hyper-parameters.
      build: Takes time step spec, action spec, hyper-parameters and a seed, and gives the agent.
      summary: One line for ``--help``.
      carried: What a warm start keeps of its state, and what begins anew.
      needs_candidates: Whether it learns from the candidates' predictions and has a ``fusion`` of
        its own, of states that its ``normalized`` gives; its observations are then those of
        ``mtfx.agents.xmtf.xmtf_specs``, and its actions as many as the predictions.
    """

    config: type[FusionAgentConfig]
    build: Callable[[Any, Any, Any, int], tf_agent.TFAgent]
    summary: str
    carried: CarriedState
    needs_candidates: bool = False


def _build_xmtf(
    time_step_spec: Any, action_spec: Any, config: XmtfConfig, seed: int
) -> tf_agent.TFAgent:
    constrained = config.outer == "batch_constrained"
    agent = BatchConstrainedXmtfAgent if constrained else XmtfAgent
    return agent(time_step_spec, action_spec, config, seed=seed)


FUSION_AGENTS: dict[str, FusionAgentEntry] = {
    "bcq": FusionAgentEntry(
        BcqConfig, build_bcq, "BatchRL-MTF's: actions near those of the logs", BCQ
    ),
    "td3": FusionAgentEntry(Td3Config, build_td3, "twin critics, free of the logs' actions", TD3),
    "uwac_td3": FusionAgentEntry(
        UwacTd3Config,
        build_uwac_td3,
        "TD3 that learns less where its critics are uncertain",
        TD3,
    ),
    "cql_sac": FusionAgentEntry(
        CqlSacConfig, build_cql_sac, "SAC with low values for actions that the logs lack", CQL_SAC
    ),
    "xmtf": FusionAgentEntry(
        XmtfConfig,
        _build_xmtf,
        "no formula: monotonic cells of two stages, the outer one learned by RL",
        XMTF,
        needs_candidates=True,
    ),
}
FUSION_AGENT_NAMES = tuple(FUSION_AGENTS)


def fusion_agent_entry(name: str) -> FusionAgentEntry:
    """Looks an algorithm up; raises ValueError that lists the names if there is none."""
    if name not in FUSION_AGENTS:
        raise ValueError(f"no fusion agent {name!r}; there are: {', '.join(FUSION_AGENTS)}")
    return FUSION_AGENTS[name]


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
      name: A key of ``FUSION_AGENTS``.
      state_dim: S.
      action_dim: A.
      config: Hyper-parameters of the algorithm's class; its defaults if None.
      seed: Of weights and of what the agent samples.
      candidates: C, of the largest request; for an agent that ``needs_candidates`` only.

    Raises:
      ValueError: if the name is unknown, the config is of another algorithm, or a size is below 1.
    """
    entry = fusion_agent_entry(name)
    if config is None:
        config = entry.config()
    if type(config) is not entry.config:
        raise ValueError(
            f"agent {name!r} is configured by {entry.config.__name__}, "
            f"not by {type(config).__name__}"
        )
    if entry.needs_candidates and candidates < 1:
        raise ValueError(f"agent {name!r} learns from candidates: say how many a request has")
    sizes = (
        xmtf_specs(state_dim, candidates, action_dim)
        if entry.needs_candidates
        else specs(state_dim, action_dim)
    )
    agent = entry.build(*sizes, config, seed)
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
