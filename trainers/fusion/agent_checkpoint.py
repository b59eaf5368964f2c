"""A fusion agent's whole state beside its exported policy, from which another training begins.

The exported policy can only be served: critics, target networks and optimizers are not in it.
"""

from __future__ import annotations

import os
from typing import Any

import tensorflow as tf

from mtfx.errors import DataError

_DIRECTORY = "agent"


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
