"""The interface of a response model: what the simulator asks of its users."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import numpy as np
import tensorflow as tf

from mtfx.config import Config
from mtfx.environments.simulator.config import PublishedSettings, SimulatorConfig
from mtfx.registry import Entry, Registry


class Response(NamedTuple):
    """What users do with one impression each.

    Attributes:
      feedback: 0 or 1, float32 `[batch, feedback]`.
      watch_s: Seconds watched, float32 `[batch]`.
      satisfaction_reward: What the impression does to the satisfaction, float32 `[batch]`; in
        [0, 1], but in the published simulator, where it has no upper bound.
    """

    feedback: tf.Tensor
    watch_s: tf.Tensor
    satisfaction_reward: tf.Tensor


class ResponseModel(tf.Module, abc.ABC):
    """How users respond to the items of their pools.

    Never the model that ranks them, but in one world, whose ``caveat`` says so.

    A *slot* is the place of an item in its user's pool. What the model needs to know of a user and
    an item is a table over `[user, slot]`, so that a step is a few gathers and arithmetic.

    Randomness comes from ``seed`` alone: int32 `[2]` for the whole batch, or int32 `[batch, 2]`, a
    seed per session, with which a session's numbers do not depend on its place in the batch (see
    :mod:`mtfx.environments.simulator.draws`). A model must draw the same numbers whatever item is
    shown, so that policies can be compared with common random numbers.

    Attributes:
      feedback_names: Names of the feedbacks, F of them.
      num_users: U.
      pool_size: P, items of each user's pool.
      rules: Of sessions, where a simulator is given no others.
      caveat: What must stand beside every figure of a world with this model; empty if nothing.
    """

    rules: ClassVar[SimulatorConfig] = SimulatorConfig()
    caveat: ClassVar[str] = ""
    feedback_names: tuple[str, ...]
    num_users: int
    pool_size: int

    @abc.abstractmethod
    def initial_satisfaction(self, users: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Satisfaction with which sessions start, at least 0.

        Args:
          users: int32 `[batch]`.
          seed: int32 `[2]` or `[batch, 2]`.

        Returns:
          float32 `[batch]`.
        """

    @abc.abstractmethod
    def probabilities(
        self, users: tf.Tensor, slots: tf.Tensor, satisfaction: tf.Tensor
    ) -> tf.Tensor:
        """The probability of each feedback, not conditional on any other.

        Args:
          users: int32 `[batch]`.
          slots: int32 `[batch]`.
          satisfaction: Before the impression, float32 `[batch]`.

        Returns:
          float32 `[batch, feedback]`.
        """

    @abc.abstractmethod
    def expected_watch_s(
        self, users: tf.Tensor, slots: tf.Tensor, satisfaction: tf.Tensor
    ) -> tf.Tensor:
        """Mean seconds watched; arguments as of :meth:`probabilities`, float32 `[batch]`."""

    @abc.abstractmethod
    def respond(
        self, users: tf.Tensor, slots: tf.Tensor, satisfaction: tf.Tensor, seed: tf.Tensor
    ) -> Response:
        """Draws what users do; arguments as of :meth:`probabilities`, and the seed."""

    @abc.abstractmethod
    def leave_probability(self, users: tf.Tensor, satisfaction: tf.Tensor) -> tf.Tensor:
        """The chance that users leave of their own accord after an impression.

        The simulator's own rules (satisfaction too low, view cap) come on top.

        Args:
          users: int32 `[batch]`.
          satisfaction: After the impression, float32 `[batch]`.

        Returns:
          float32 `[batch]`.
        """

    @abc.abstractmethod
    def durations_s(self, users: tf.Tensor, slots: tf.Tensor) -> tf.Tensor:
        """Length of the videos shown, in seconds, float32 `[batch]`."""

    @abc.abstractmethod
    def arrays(self) -> dict[str, np.ndarray]:
        """The tables, for :func:`mtfx.environments.simulator.world.save_world`."""

    @abc.abstractmethod
    def settings(self) -> dict[str, Any]:
        """Everything else that :meth:`restore` needs, as JSON values."""

    @classmethod
    @abc.abstractmethod
    def restore(
        cls, arrays: Mapping[str, np.ndarray], settings: Mapping[str, Any]
    ) -> ResponseModel:
        """The model whose :meth:`arrays` and :meth:`settings` these are.

        Raises:
          ValueError: if a table is missing, has another shape or holds a NaN.
        """


def checked_table(
    arrays: Mapping[str, np.ndarray], name: str, shape: tuple[int | None, ...]
) -> np.ndarray:
    """A response model's table as float32, after a check.

    Args:
      arrays: Tables by name.
      name: Which.
      shape: What it must be; None stands for any size.

    Returns:
      float32 array.

    Raises:
      ValueError: if it is missing, has another shape, or holds a value that is not finite.
    """
    if name not in arrays:
        raise ValueError(f"the response model lacks the table {name!r}")
    table = np.asarray(arrays[name], np.float32)
    fits = table.ndim == len(shape) and all(
        wanted is None or wanted == size for wanted, size in zip(shape, table.shape, strict=True)
    )
    if not fits:
        wanted = ", ".join("any" if size is None else str(size) for size in shape)
        raise ValueError(
            f"the response model's table {name!r} must have shape [{wanted}], "
            f"got {list(table.shape)}"
        )
    if not np.isfinite(table).all():
        place = tuple(int(i) for i in np.argwhere(~np.isfinite(table))[0])
        raise ValueError(f"the response model's table {name!r} is not finite at {place}")
    return table


#: The response models by the name under which a world is saved; each has a configuration of its
#: own, which :meth:`ResponseModel.settings` gives.
RESPONSE_MODELS: Registry[Entry] = Registry(
    "response model",
    {
        "fitted": Entry(
            "environments.simulator.fitted_response:FittedResponse", Config, "fitted to a log"
        ),
        "published": Entry(
            "environments.simulator.published_response:PublishedResponse",
            PublishedSettings,
            "the ranking model's own prediction, as in xMTF's published simulator; circular",
        ),
        "synthetic_video": Entry(
            "environments.simulator.synthetic_response:SyntheticResponse",
            Config,
            "the known truth of a synthetic log",
        ),
        "table": Entry(
            "environments.simulator.table_response:TableResponse", Config, "given probabilities"
        ),
    },
)


def response_model_name(model: ResponseModel) -> str:
    """The name of a model's class; raises ValueError if it is not registered."""
    kind = type(model)
    for name, entry in RESPONSE_MODELS.items():
        if f"mtfx.{entry.target}" == f"{kind.__module__}:{kind.__name__}":
            return name
    raise ValueError(
        f"{kind.__name__} is not in RESPONSE_MODELS: register it, so that it can be loaded"
    )
