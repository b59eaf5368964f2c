"""First requests of a simulator's users: what a service would know of each of them."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence

import numpy as np

from mtfx.datasets.request_state import RequestColumn, RequestStateConfig

#: 2023-11-14, 22:13 UTC; any time does for users without a log.
_SOME_TIME_MS = 1_700_000_000_000
_CONFIG = "config"


@dataclasses.dataclass(frozen=True)
class UserRequests:
    """What is known of each user when a session begins, as states are made of it.

    Attributes:
      config: What states are made of.
      attributes: Of ``mtfx.models.request_state.RequestFacts``; float32 `[U, A]`.
      start_ms: When the session begins, Unix ms, int64 `[U]`.
      past_ms: Times of the earlier impressions, the newest first, -1 behind the last; int64
        `[U, H]`.
      past: What is known of each, -1 where it is unknown; float32 `[U, H, V]`.

    Raises:
      ValueError: at construction, naming what does not fit.
    """

    config: RequestStateConfig
    attributes: np.ndarray
    start_ms: np.ndarray
    past_ms: np.ndarray
    past: np.ndarray

    def __post_init__(self) -> None:
        for name, dtype in _DTYPES.items():
            object.__setattr__(self, name, np.asarray(getattr(self, name), dtype))
        users, length = len(self.attributes), self.config.length
        wanted = {
            "attributes": (users, len(self.config.attribute_names)),
            "start_ms": (users,),
            "past_ms": (users, length),
            "past": (users, length, len(self.config.past_names)),
        }
        for name, shape in wanted.items():
            found = getattr(self, name).shape
            if found != shape:
                raise ValueError(f"the users' {name} must be {list(shape)}, got {list(found)}")
        for name in ("attributes", "past"):
            finite = np.isfinite(getattr(self, name).reshape(users, -1)).all(axis=1)
            if not finite.all():
                raise ValueError(
                    f"the users' {name} are not finite in row {int(np.argmin(finite))}"
                )

    @property
    def num_users(self) -> int:
        """U, number of users."""
        return len(self.attributes)

    @classmethod
    def of_strangers(
        cls,
        attributes: np.ndarray,
        feedback: Sequence[str] = (),
        *,
        watch_share: bool = True,
        length: int = 50,
    ) -> UserRequests:
        """Users of whom nothing is known but some numbers.

        Args:
          attributes: float32 `[U, A]`.
          feedback: Names of feedbacks that their sessions are described by.
          watch_share: Whether the share watched describes them too.
          length: H, earlier impressions that are remembered.
        """
        values = np.asarray(attributes, np.float32)
        if values.ndim != 2:
            raise ValueError(f"attributes must be [user, attribute], got {list(values.shape)}")
        users, width = values.shape
        numbers = tuple(RequestColumn(f"attribute_{place}", "float32") for place in range(width))
        config = RequestStateConfig(
            numbers=numbers, feedback=tuple(feedback), watch_share=watch_share, length=length
        )
        return cls(
            config,
            values,
            np.full(users, _SOME_TIME_MS),
            np.full((users, length), -1),
            np.full((users, length, len(config.past_names)), -1.0),
        )

    def arrays(self) -> dict[str, np.ndarray]:
        """What :meth:`restore` needs, for ``np.savez``."""
        tables = {name: getattr(self, name) for name in _DTYPES}
        return tables | {_CONFIG: np.array(self.config.to_json())}

    @classmethod
    def restore(cls, arrays: Mapping[str, np.ndarray]) -> UserRequests:
        """The inverse of :meth:`arrays`.

        Raises:
          KeyError or ValueError: if one lacks or does not fit.
        """
        config = RequestStateConfig.from_dict(json.loads(str(arrays[_CONFIG])))
        return cls(config, **{name: arrays[name] for name in _DTYPES})


_DTYPES: dict[str, type] = {
    "attributes": np.float32,
    "start_ms": np.int64,
    "past_ms": np.int64,
    "past": np.float32,
}
