"""Export of a trained fusion agent: its policy, and beside it the whole agent.

A policy has its fusion with it where the agent has trained that too. It can only be served:
critics, target networks and optimizers, from which another training begins, are in the agent's
checkpoint.
"""

from __future__ import annotations

import dataclasses
import os
from typing import Any

import tensorflow as tf

from mtfx.datasets.transitions.table import TransitionTable
from mtfx.errors import DataError
from mtfx.models.export.policy import PolicyModule, agent_function
from mtfx.models.fusion.config import AnyFusionConfig, FormulaFreeConfig
from mtfx.models.fusion.formula_free import RawStateFusion

_DIRECTORY = "agent"
#: Requests whose orders are compared.
_REQUESTS = 500


def policy_module(agent: Any, state_dim: int) -> PolicyModule:
    """An agent's greedy policy, ready to be exported; with trained cells, these too.

    Both take states as they come: the agent's normaliser, as it is now, is part of what is saved.

    Args:
      agent: One of ``mtfx.agents.building.build_agent``.
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


def order_agreement(agent: Any, table: TransitionTable) -> float | None:
    """How often an agent's own fusion puts what was shown above what was not, as the log's did.

    Off-policy estimators value actions by what they did in the log. Trained cells change what an
    action does: an estimate of such a policy is of another ranking, the more so the lower this is.

    The log itself is compared with: by a logged action, the fusion of the time put the shown
    candidate first. Which fusion that was need not be known: from the second day on it has the
    cells of the ranker that served, and a window of days was served by several. It supposes that
    the first of a ranking is shown, as simulator and :mod:`serving` do it.

    Args:
      agent: The agent.
      table: Its transitions.

    Returns:
      Share of the pairs of a shown and another candidate that the agent's fusion orders likewise by
      the logged actions, of those whose predictions differ; None for an agent without trained
      cells, and where there are no such pairs.
    """
    own = _own_fusion(agent)
    if own is None or table.predictions is None or table.mask is None or table.shown is None:
        return None
    rows = tf.range(0, table.num_transitions, max(1, table.num_transitions // _REQUESTS))
    states, actions, mask, shown, others = (
        tf.gather(part, rows)
        for part in (table.states, table.actions, table.mask, table.shown, table.predictions)
    )
    both = tf.cast(tf.concat([shown[:, tf.newaxis], others], axis=1), tf.float32)
    scores = own.scores(both, actions, states)
    pairs = mask & tf.reduce_any(others != shown[:, tf.newaxis], axis=-1)
    alike = pairs & (scores[:, 1:] < scores[:, :1])
    count = int(tf.math.count_nonzero(pairs))
    return int(tf.math.count_nonzero(alike)) / count if count else None


def _own_fusion(agent: Any) -> RawStateFusion | None:
    """The fusion that an agent has trained, of states as they come; None for other agents."""
    fusion = getattr(agent, "fusion", None)
    if fusion is None or fusion.cells is None:
        return None
    return RawStateFusion(fusion, agent.normalized)


def save_agent(agent: Any, serving_model_dir: str) -> None:
    """Writes the agent's networks, target networks and optimizers beside its exported policy.

    Args:
      agent: One of ``mtfx.agents.building.build_agent``.
      serving_model_dir: Directory of the exported policy in its artifact.
    """
    prefix = os.path.join(_beside(serving_model_dir), "checkpoint")
    tf.train.Checkpoint(agent=agent).write(prefix)


def restore_agent(agent: Any, serving_model_dir: str) -> None:
    """Gives an agent the state of an earlier one; ``mtfx.agents.carried_state`` says what is in it.

    The count of training steps goes on too: xMTF's cells are prepared in the first steps of their
    life, and would be wiped if these came once more. Draws that follow from the step's number are
    new ones.

    Args:
      agent: A new agent.
      serving_model_dir: Directory of the earlier one's exported policy.

    Raises:
      DataError: if there is no earlier state, or it is of another method or other sizes.
    """
    prefix = os.path.join(_beside(serving_model_dir), "checkpoint")
    try:
        status = tf.train.Checkpoint(agent=agent).read(prefix)
        # Optimizers make their variables in the first step, and get their values then.
        status.assert_existing_objects_matched()
    except (tf.errors.OpError, ValueError, AssertionError) as error:
        raise DataError(
            f"the agent in {_beside(serving_model_dir)} cannot be started from: "
            f"{str(error).strip().splitlines()[0]}. Train with its method, settings and states, or "
            "start without it"
        ) from error


def _beside(serving_model_dir: str) -> str:
    return os.path.join(os.path.dirname(serving_model_dir.rstrip("/")), _DIRECTORY)
