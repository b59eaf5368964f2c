"""The interface of a profile's world: what the simulation of sessions asks of it."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Iterator

import numpy as np
import polars as pl

from mtfx.datasets.synthetic.blocks import Block
from mtfx.datasets.synthetic.latents import Items, Users
from mtfx.datasets.synthetic.user_model import NEUTRAL_SATISFACTION, UserModel


@dataclasses.dataclass(frozen=True)
class Intercepts:
    """The constants that :mod:`mtfx.datasets.synthetic.calibration` finds.

    Attributes:
      tasks: Added to the score of each feedback, float32 `[task]`.
      leave: Added to the score of leaving.
      rows_per_session: Mean impressions of a session in the standard log.
    """

    tasks: np.ndarray
    leave: float
    rows_per_session: float


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What users do with one impression each.

    Attributes:
      labels: Feedbacks, bool `[n, task]`.
      reward: In [0, 1], float32 `[n]`.
      gap_ms: Time until the next impression, at least 1,000, int64 `[n]`.
      extra_ms: A time the profile logs (watch time; delay of the cart), int64 `[n]`.
    """

    labels: np.ndarray
    reward: np.ndarray
    gap_ms: np.ndarray
    extra_ms: np.ndarray


@dataclasses.dataclass(frozen=True)
class BlockImpressions:
    """Impressions of a block, ordered by user and time.

    Attributes:
      user: Index in the block, int64 `[n]`.
      item: Index of the item, int64 `[n]`.
      time_ms: Unix time, int64 `[n]`.
      context: The session's context, int8 `[n]`.
      is_random: Shown at random instead of by the logging policy, bool `[n]`.
      labels: bool `[n, task]`.
      extra_ms: See :class:`Outcome`, int64 `[n]`.
      satisfaction: Before the impression, float32 `[n]`.
      scores: Each feedback's score without its intercept, float32 `[n, task]`; None unless asked.
      side: What else the probabilities depend on, float32 `[n]`; None unless asked.
      leave_scores: Score of leaving without its intercept (infinite where the user had to leave),
        float32 `[n]`; None unless asked.
    """

    user: np.ndarray
    item: np.ndarray
    time_ms: np.ndarray
    context: np.ndarray
    is_random: np.ndarray
    labels: np.ndarray
    extra_ms: np.ndarray
    satisfaction: np.ndarray
    scores: np.ndarray | None = None
    side: np.ndarray | None = None
    leave_scores: np.ndarray | None = None

    def take(self, chosen: np.ndarray) -> BlockImpressions:
        """The impressions where ``chosen`` (bool `[n]`) is true."""
        names = [field.name for field in dataclasses.fields(self)]
        columns = {name: getattr(self, name) for name in names}
        return BlockImpressions(
            **{name: None if value is None else value[chosen] for name, value in columns.items()}  # type: ignore[arg-type]
        )


@dataclasses.dataclass(frozen=True)
class Truth:
    """What a block's impressions were drawn from.

    Attributes:
      probabilities: Of each feedback, float32 `[n, task]`.
      mean_extra_ms: Mean of :attr:`Outcome.extra_ms`, float32 `[n]`; None where it tells nothing.
    """

    probabilities: np.ndarray
    mean_extra_ms: np.ndarray | None = None


class ProfileWorld(abc.ABC):
    """A profile's users and items, and how the one responds to the other.

    Attributes:
      model: Constants of the profile.
      items: All items.
      random_probability: Chance that an impression from ``random_from_ms`` on is shown at random.
      random_from_ms: Unix time.
    """

    model: UserModel
    items: Items
    random_probability: float = 0.0
    random_from_ms: int = 0

    @abc.abstractmethod
    def users(self, block: Block) -> Users:
        """The users of a block."""

    @abc.abstractmethod
    def session_context(self, rng: np.random.Generator, sessions: int) -> np.ndarray:
        """The context of each session, int8 `[sessions]`."""

    @abc.abstractmethod
    def circumstances(
        self, item: np.ndarray, time_ms: np.ndarray, context: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """What item, time and context add to the utility, and the ``side`` of the impression.

        Args:
          item: int64 `[n]`.
          time_ms: int64 `[n]`.
          context: int8 `[n]`.

        Returns:
          Two float32 `[n]`.
        """

    def situation_scores(
        self,
        factors: np.ndarray,
        item: np.ndarray,
        affinity: np.ndarray,
        shift: np.ndarray,
        satisfaction: np.ndarray,
    ) -> np.ndarray:
        """What the situation adds to the scores of user and item, float32 `[n, task]`.

        Args:
          factors: The users', float32 `[n, FACTORS]`.
          item: int64 `[n]`.
          affinity: Of user and item, float32 `[n]`.
          shift: Of the utility, by the circumstances, float32 `[n]`.
          satisfaction: float32 `[n]`.
        """
        del factors, item
        utility = np.float32(self.model.affinity) * affinity + shift
        utility += np.float32(self.model.satisfaction) * (
            satisfaction - np.float32(NEUTRAL_SATISFACTION)
        )
        return utility[:, None] * np.asarray(self.model.utility_weights, np.float32)

    def mean_extra_ms(
        self, item: np.ndarray, scores: np.ndarray, side: np.ndarray
    ) -> np.ndarray | None:
        """Mean of :attr:`Outcome.extra_ms`, float32 `[n]`; None where it tells nothing.

        Args:
          item: int64 `[n]`.
          scores: With intercepts, float32 `[n, task]`.
          side: float32 `[n]`.
        """
        del item, scores, side
        return None

    @abc.abstractmethod
    def probabilities(self, scores: np.ndarray, side: np.ndarray) -> np.ndarray:
        """The true probability of each feedback, not conditional on any other.

        Args:
          scores: With intercepts, float32 `[n, task]`.
          side: float32 `[n]`.

        Returns:
          float32 `[n, task]`.
        """

    @abc.abstractmethod
    def respond(
        self, rng: np.random.Generator, item: np.ndarray, scores: np.ndarray, side: np.ndarray
    ) -> Outcome:
        """Draws the feedback to one impression each.

        Args:
          rng: Source of randomness.
          item: int64 `[n]`.
          scores: With intercepts, float32 `[n, task]`.
          side: float32 `[n]`.
        """

    @abc.abstractmethod
    def log_frames(
        self,
        rng: np.random.Generator,
        block: Block,
        impressions: BlockImpressions,
        truth: Truth | None,
    ) -> dict[str, pl.DataFrame]:
        """A block's rows of each file that grows with the impressions, by file stem.

        Args:
          rng: Source of randomness for columns that carry no signal.
          block: Whose users.
          impressions: Their impressions.
          truth: What they were drawn from, if it is to be written.
        """

    @abc.abstractmethod
    def item_frames(self) -> Iterator[tuple[str, pl.DataFrame]]:
        """The rows of the files about items, as pairs of file stem and rows."""


def sigmoid(score: np.ndarray) -> np.ndarray:
    """Logistic function of float32 scores above -88."""
    return np.float32(1) / (np.float32(1) + np.exp(-score))
