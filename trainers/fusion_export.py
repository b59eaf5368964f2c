"""What a trained fusion agent leaves: its policy, with its fusion where it has trained that too."""

from __future__ import annotations

import dataclasses
from typing import Any

import tensorflow as tf

from models.fusion.config import AnyFusionConfig, FormulaFreeConfig
from models.fusion.formula_free import RawStateFusion
from models.fusion.registry import build_fusion
from models.fusion.saved_policy import PolicyModule, agent_function
from trainers.transition_data import TransitionTable

#: Requests whose orders are compared.
_REQUESTS = 500


def policy_module(agent: Any, state_dim: int) -> PolicyModule:
    """An agent's greedy policy, ready to be exported; with trained cells, these too.

    Both take states as they come: the agent's normaliser, as it is now, is part of what is saved.

    Args:
      agent: One of ``agents.fusion_registry.build_agent``.
      state_dim: S.
    """
    policy = agent.policy
    if not isinstance(agent.time_step_spec.observation, dict):
        return PolicyModule(agent_function(policy), policy.variables(), state_dim)
    fusion = _own_fusion(agent)
    return PolicyModule(policy.greedy_actions, policy.variables(), state_dim, fusion)


def exported_fusion(agent: Any, logged: AnyFusionConfig) -> AnyFusionConfig:
    """The fusion that an agent's policy is exported with.

    Args:
      agent: The agent.
      logged: The fusion under which its transitions were logged.
    """
    if isinstance(logged, FormulaFreeConfig):
        return dataclasses.replace(logged, saved_cells=_own_fusion(agent) is not None)
    return logged


def order_agreement(agent: Any, table: TransitionTable, logged: AnyFusionConfig) -> float | None:
    """How nearly an agent's own fusion orders candidates as the log's would by the same actions.

    Off-policy estimators value actions by what they did in the log. Trained cells change what an
    action does: an estimate of such a policy is of another ranking, the more so the lower this is.

    Args:
      agent: The agent.
      table: Its transitions.
      logged: The fusion under which they were logged.

    Returns:
      Share of the pairs of candidates that both order alike, of those that the log's fusion does
      not hold for equal; None for an agent without trained cells.
    """
    own = _own_fusion(agent)
    if own is None or table.predictions is None or table.mask is None:
        return None
    if isinstance(logged, FormulaFreeConfig):
        logged = dataclasses.replace(logged, saved_cells=False)
    rows = tf.range(0, table.num_transitions, max(1, table.num_transitions // _REQUESTS))
    states, mask = tf.gather(table.states, rows), tf.gather(table.mask, rows)
    predictions = tf.cast(tf.gather(table.predictions, rows), tf.float32)
    actions = agent.greedy_actions(states, tf.constant([0, 0]))
    reference = build_fusion(logged, own.num_predictions).scores(predictions, actions, states)
    scores = own.scores(predictions, actions, states)
    ordered = reference[:, :, tf.newaxis] < reference[:, tf.newaxis, :]
    ordered &= mask[:, :, tf.newaxis] & mask[:, tf.newaxis, :]
    alike = ordered & (scores[:, :, tf.newaxis] < scores[:, tf.newaxis, :])
    count = tf.reduce_sum(tf.cast(ordered, tf.float64))
    return float(tf.math.divide_no_nan(tf.reduce_sum(tf.cast(alike, tf.float64)), count))


def _own_fusion(agent: Any) -> RawStateFusion | None:
    """The fusion that an agent has trained, of states as they come; None for other agents."""
    fusion = getattr(agent, "fusion", None)
    if fusion is None or fusion.cells is None:
        return None
    return RawStateFusion(fusion, agent.normalized)
