"""An exported ranker in the simulator, as it would rank in production."""

from __future__ import annotations

import os
from typing import Any

import tensorflow as tf

from mtfx.environments.simulator.dynamics import Simulator
from mtfx.errors import DataError, why_unreadable
from mtfx.files import UNREADABLE, read_json
from mtfx.models.action_policy import ActionSample
from mtfx.models.export.ranker import ACTION, MASK, METADATA_FILE, PREDICTIONS, SCORES, STATE
from mtfx.models.fusion.base import FusionFunction

_FUSE = "fuse"


class RankerPolicy(FusionFunction):
    """Policy and fusion function of a ranker, by its signature ``fuse``.

    It is both what chooses the actions and what scores the candidates; the candidates' predictions
    are the world's, which are those of the ranking model that the world was made with.
    """

    def __init__(self, directory: str, simulator: Simulator) -> None:
        """Loads the SavedModel.

        Args:
          directory: Of the exported ranker.
          simulator: Where it is to rank.

        Raises:
          DataError: if it is no ranker, or fuses other predictions or states than the simulator's.
        """
        try:
            content = read_json(os.path.join(directory, "assets.extra", METADATA_FILE))
            names = tuple(one["name"] for one in content["predictions"])
            states = tuple(content["state_names"])
        except UNREADABLE as error:
            raise DataError(
                f"{directory} holds no ranker of MTFX: its {METADATA_FILE} {why_unreadable(error)}"
            ) from error
        for kind, found, wanted in (
            ("predictions", names, tuple(simulator.world.prediction_names)),
            ("states", states, simulator.state_names),
        ):
            if found != wanted:
                raise DataError(
                    f"the ranker in {directory} takes {len(found)} {kind}, other than the "
                    f"simulator's {len(wanted)}: it is of another ranking model"
                )
        model: Any = tf.saved_model.load(directory)
        if _FUSE not in model.signatures:
            raise DataError(f"the ranker in {directory} has no signature {_FUSE!r}; export it anew")
        fuse = model.signatures[_FUSE]
        super().__init__(len(names), int(fuse.structured_outputs[ACTION].shape[-1]))
        self._model, self._fuse = model, fuse

    def actions(self, states: tf.Tensor, users: tf.Tensor, seed: tf.Tensor) -> ActionSample:
        """See :class:`mtfx.models.action_policy.ActionPolicy`; a ranker draws nothing."""
        del users, seed
        batch = tf.shape(states)[0]
        none = tf.zeros([batch, 0, self.num_predictions])
        action = self._answer(states, none)[ACTION]
        return ActionSample(
            tf.ensure_shape(action, [None, self.action_dim]), tf.fill([batch], float("nan"))
        )

    def scores(
        self, predictions: tf.Tensor, action: tf.Tensor, states: tf.Tensor | None = None
    ) -> tf.Tensor:
        """See :class:`mtfx.models.fusion.base.FusionFunction`.

        The ranker chooses its action again by itself; the one given is not looked at.
        """
        del action
        if states is None:
            raise ValueError("a ranker takes the states")
        return self._answer(states, predictions)[SCORES]

    def _answer(self, states: tf.Tensor, predictions: tf.Tensor) -> dict[str, tf.Tensor]:
        mask = tf.ones(tf.shape(predictions)[:2], tf.bool)
        return self._fuse(**{STATE: states, PREDICTIONS: predictions, MASK: mask})
