"""Export of a fusion policy: a SavedModel that maps states to actions, and its description.

A policy whose fusion is trained with it, as xMTF's is, carries that in the same SavedModel.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tensorflow as tf
from tf_agents.policies import tf_policy
from tf_agents.trajectories import time_step as ts

from mtfx.errors import DataError, why_unreadable
from mtfx.files import UNREADABLE, read_json
from mtfx.models.action_policy import ActionSample
from mtfx.models.fusion.base import AdditiveFusion
from mtfx.models.fusion.config import (
    AnyFusionConfig,
    FormulaFreeConfig,
    build_fusion,
    fusion_config,
)

STATE, ACTION, SIGNATURE = "state", "action", "actions"
METADATA_FILE = "mtfx.json"

#: States float32 `[batch, state]` to actions float32 `[batch, action]` in [-1, 1].
PolicyFunction = Callable[[tf.Tensor], tf.Tensor]


@dataclasses.dataclass(frozen=True)
class PolicyMetadata:
    """What a policy's user must know to feed it and to use its actions.

    Attributes:
      method: Name of the algorithm.
      state_dim: Size of the states.
      action_dim: Size of the actions.
      prediction_names: Predictions that its fusion function combines, in order.
      fusion: The fusion function, as ``to_dict`` of its config has it; see
        ``mtfx.models.fusion.config.fusion_config``.
      config: Everything else that decided what the policy is: hyper-parameters, seed, data.
      code_version: Of MTFX.
    """

    method: str
    state_dim: int
    action_dim: int
    prediction_names: tuple[str, ...]
    fusion: Mapping[str, Any]
    config: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    code_version: str = ""

    @property
    def fusion_config(self) -> AnyFusionConfig:
        """The fusion function's config; raises ValueError if it is none."""
        return fusion_config(self.fusion)


class PolicyModule(tf.Module):
    """A policy with its one signature; needs nothing but TensorFlow to load.

    With a fusion of its own it also has that one's ``inner``, ``contributions`` and ``scores``, as
    functions whose arguments are those of ``mtfx.models.fusion.base.AdditiveFusion``.
    """

    def __init__(
        self,
        function: PolicyFunction,
        variables: Sequence[tf.Variable],
        state_dim: int,
        fusion: AdditiveFusion | None = None,
    ) -> None:
        """Keeps the parts.

        Args:
          function: The policy.
          variables: All that it and its fusion read.
          state_dim: Size of the states.
          fusion: A fusion that is trained with the policy, of states as they come; None for one
            that follows from ``PolicyMetadata.fusion``.
        """
        super().__init__(name="policy")
        self.policy_variables = list(variables)
        self._function = function
        spec = tf.TensorSpec([None, state_dim], tf.float32, name=STATE)
        self.actions = tf.function(self._actions, input_signature=[spec], autograph=False)
        if fusion is not None:
            candidates = tf.TensorSpec([None, None, fusion.num_predictions], tf.float32)
            action = tf.TensorSpec([None, fusion.action_dim], tf.float32)
            self.fusion = fusion
            self.inner = tf.function(fusion.inner, [candidates, spec], autograph=False)
            self.contributions = tf.function(
                fusion.contributions, [candidates, action], autograph=False
            )
            self.scores = tf.function(fusion.scores, [candidates, action, spec], autograph=False)

    def _actions(self, state: tf.Tensor) -> dict[str, tf.Tensor]:
        finite = tf.debugging.assert_all_finite(state, "state is not finite")
        return {ACTION: tf.clip_by_value(self._function(finite), -1.0, 1.0)}


def agent_function(policy: tf_policy.TFPolicy) -> PolicyFunction:
    """A policy of TF-Agents, without state of its own, as a function of the observation."""

    def function(state: tf.Tensor) -> tf.Tensor:
        # ts.restart() takes no batch size that is known only when the function runs.
        batch = tf.shape(state)[:1]
        first = tf.fill(batch, ts.StepType.FIRST)
        return policy.action(ts.TimeStep(first, tf.zeros(batch), tf.ones(batch), state)).action

    return function


def export_policy(module: PolicyModule, directory: str, metadata: PolicyMetadata) -> None:
    """Writes the SavedModel and, in its ``assets.extra``, the metadata.

    Raises:
      ValueError: if the policy's actions are not float32 `[batch, action_dim]`, or not finite, or
        the metadata and the module do not agree on whether the fusion is saved with the policy.
    """
    config = metadata.fusion_config
    saved = isinstance(config, FormulaFreeConfig) and config.saved_cells
    if saved != hasattr(module, "scores"):
        raise ValueError(
            f"the metadata of policy {metadata.method} say {dict(metadata.fusion)}, but the policy "
            f"has {'no cells' if saved else 'cells of its own'}"
        )
    probe = module.actions(tf.zeros([2, metadata.state_dim]))[ACTION]
    if probe.shape != (2, metadata.action_dim) or not bool(tf.reduce_all(tf.math.is_finite(probe))):
        raise ValueError(
            f"policy {metadata.method} gives actions {probe.numpy().tolist()} for two states of "
            f"zeros; expected finite ones of size {metadata.action_dim}"
        )
    tf.saved_model.save(module, directory, signatures={SIGNATURE: module.actions})
    extra = os.path.join(directory, "assets.extra")
    tf.io.gfile.makedirs(extra)
    with tf.io.gfile.GFile(os.path.join(extra, METADATA_FILE), "w") as file:
        file.write(json.dumps(dataclasses.asdict(metadata), indent=1, sort_keys=True))


class SavedPolicy:
    """An exported policy, in the form that the simulator and the estimators take.

    Attributes:
      metadata: What was exported with it.
      model: The loaded SavedModel, which holds its variables.
    """

    def __init__(self, directory: str) -> None:
        """Loads the SavedModel.

        Args:
          directory: Where it was exported to.

        Raises:
          DataError: if there is none.
        """
        self.metadata = read_policy_metadata(directory)
        self.model: Any = tf.saved_model.load(directory)
        self._signature = self.model.signatures[SIGNATURE]

    def act(self, states: tf.Tensor) -> tf.Tensor:
        """Actions float32 `[batch, action]` of states float32 `[batch, state]`."""
        action = self._signature(**{STATE: states})[ACTION]
        return tf.ensure_shape(action, [None, self.metadata.action_dim])

    def fusion(self, num_predictions: int) -> AdditiveFusion:
        """The fusion function that the policy's actions are for, with its trained cells if any.

        Args:
          num_predictions: K of the candidates that are to be ranked.

        Raises:
          DataError: if the policy is for other predictions, or its metadata are damaged.
        """
        names = self.metadata.prediction_names
        if num_predictions != len(names):
            raise DataError(
                f"the policy {self.metadata.method} fuses {len(names)} predictions "
                f"({', '.join(names)}), but there are {num_predictions} to fuse: train it with "
                "this ranking model"
            )
        try:
            config = self.metadata.fusion_config
            if isinstance(config, FormulaFreeConfig) and config.saved_cells:
                return SavedFusion(self.model, num_predictions, self.metadata.action_dim)
            return build_fusion(config, num_predictions)
        except (ValueError, TypeError) as error:
            raise DataError(f"the policy's fusion {dict(self.metadata.fusion)}: {error}") from error

    def actions(self, states: tf.Tensor, users: tf.Tensor, seed: tf.Tensor) -> ActionSample:
        """Actions of states; see ``mtfx.models.action_policy.ActionPolicy``.

        The action is a function of the state, so it has no density.
        """
        del users, seed
        return ActionSample(self.act(states), tf.fill([tf.shape(states)[0]], float("nan")))


def read_policy_metadata(directory: str) -> PolicyMetadata:
    """The metadata of an exported policy.

    Raises:
      DataError: if the directory holds none.
    """
    path = os.path.join(directory, "assets.extra", METADATA_FILE)
    try:
        values = read_json(path)
        values["prediction_names"] = tuple(values["prediction_names"])
        return PolicyMetadata(**values)
    except UNREADABLE as error:
        raise DataError(
            f"{directory} holds no fusion policy of MTFX: its {METADATA_FILE} "
            f"{why_unreadable(error)}"
        ) from error


class SavedFusion(AdditiveFusion):
    """xMTF's fusion of a loaded policy, whose cells and normaliser the SavedModel holds.

    Attributes:
      model: The loaded SavedModel, kept so that a ranker that has this fusion saves its variables.
    """

    def __init__(self, model: Any, num_predictions: int, action_dim: int) -> None:
        """Takes the functions of a ``mtfx.models.export.policy.PolicyModule`` with a fusion.

        Args:
          model: As ``tf.saved_model.load`` gives it.
          num_predictions: K.
          action_dim: A.
        """
        super().__init__(num_predictions, action_dim, name="saved_fusion")
        self.model = model

    def inner(self, predictions: tf.Tensor, states: tf.Tensor | None) -> tf.Tensor:
        """See :meth:`mtfx.models.fusion.base.AdditiveFusion.inner`."""
        shape = [None, None, self.num_predictions]
        return tf.ensure_shape(self.model.inner(predictions, _known(states)), shape)

    def contributions(self, inner: tf.Tensor, action: tf.Tensor) -> tf.Tensor:
        """See :meth:`mtfx.models.fusion.base.AdditiveFusion.contributions`."""
        shape = [None, None, self.num_predictions]
        return tf.ensure_shape(self.model.contributions(inner, action), shape)

    def scores(
        self, predictions: tf.Tensor, action: tf.Tensor, states: tf.Tensor | None = None
    ) -> tf.Tensor:
        """See :meth:`mtfx.models.fusion.base.FusionFunction.scores`."""
        self.check_shapes(predictions, action)
        return tf.ensure_shape(self.model.scores(predictions, action, _known(states)), [None, None])


def _known(states: tf.Tensor | None) -> tf.Tensor:
    if states is None:
        raise ValueError("xMTF's cells depend on the state: give the states to score with")
    return states
