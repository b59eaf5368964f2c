"""One request of a batch of sessions: a policy's action, the fused scores, the top candidate."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from mtfx.environments.simulator.dynamics import Simulator
from mtfx.environments.simulator.session import Candidates, SessionState, StepOutcome
from mtfx.models.action_policy import ActionPolicy, ActionSample
from mtfx.models.fusion.base import FusionFunction, check_finite

#: tanh and a rescaling may put an action this far outside [-1, 1].
_ACTION_TOLERANCE = 1e-5


class Request(NamedTuple):
    """A request and its outcome.

    Attributes:
      state: float32 `[batch, S]`.
      candidates: What was offered.
      sample: What the policy chose.
      chosen: Column of the candidate that was shown, int32 `[batch]`.
      outcome: What happened.
    """

    state: tf.Tensor
    candidates: Candidates
    sample: ActionSample
    chosen: tf.Tensor
    outcome: StepOutcome


def check_fit(simulator: Simulator, fusion: FusionFunction) -> None:
    """Raises ValueError if a fusion function is for another number of predictions."""
    found, wanted = fusion.num_predictions, simulator.world.num_predictions
    if found != wanted:
        raise ValueError(
            f"the fusion function takes {found} predictions, but the world has {wanted}: "
            f"{', '.join(simulator.world.prediction_names)}"
        )


def check_action(action: tf.Tensor, action_dim: int) -> tf.Tensor:
    """Checks that actions are of the right size and within [-1, 1].

    Args:
      action: float32 `[batch, action]`.
      action_dim: A.

    Returns:
      The actions, to be used downstream.

    Raises:
      ValueError: when traced, if the shape is another.
      InvalidArgumentError: when run, if a value is NaN or outside.
    """
    if not action.shape.is_compatible_with([None, action_dim]):
        raise ValueError(
            f"an action must be [batch, {action_dim}] for this fusion function, got shape "
            f"{action.shape}"
        )
    # A comparison with NaN is false.
    inside = tf.reduce_all(tf.abs(action) <= 1.0 + _ACTION_TOLERANCE)
    check = tf.debugging.Assert(
        inside, ["an action is NaN or outside [-1, 1]; clip it in the policy", action], summarize=8
    )
    with tf.control_dependencies([] if check is None else [check]):
        return tf.identity(action)


def choose(
    fusion: FusionFunction, candidates: Candidates, action: tf.Tensor, states: tf.Tensor
) -> tf.Tensor:
    """The candidate with the highest fused score, int32 `[batch]`; the first among equals.

    Args:
      fusion: Scores the candidates.
      candidates: What is offered.
      action: float32 `[batch, action]`.
      states: float32 `[batch, S]`, for a fusion function that depends on them.

    Raises:
      InvalidArgumentError: when run, if the score of a candidate is NaN or infinite.
    """
    scores = fusion.scores(candidates.predictions, action, states)
    scores = check_finite(tf.where(candidates.mask, scores, 0.0), "the fused scores")
    scores = tf.where(candidates.mask, scores, scores.dtype.min)
    return tf.argmax(scores, axis=1, output_type=tf.int32)


def run_request(
    simulator: Simulator,
    fusion: FusionFunction,
    policy: ActionPolicy,
    session: SessionState,
    seed: tf.Tensor,
) -> tuple[SessionState, Request]:
    """Takes every session one request further.

    Args:
      simulator: The simulator.
      fusion: Scores the candidates.
      policy: Chooses the actions.
      session: Sessions that are not over.
      seed: Of the policy, int32 `[2]`; the users' randomness is the sessions' own.

    Returns:
      The sessions at their next request, and this one.
    """
    candidates = simulator.candidates(session)
    state = simulator.observe(session, candidates)
    sample = policy.actions(state, session.users, seed)
    action = check_action(sample.action, fusion.action_dim)
    chosen = choose(fusion, candidates, action, state)
    following, outcome = simulator.step(session, chosen)
    return following, Request(
        state, candidates, ActionSample(action, sample.log_density), chosen, outcome
    )
