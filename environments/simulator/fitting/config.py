"""What world a simulator gets, as plain data."""

from __future__ import annotations

import dataclasses
import json
from typing import Any, Literal, get_args

from mtfx.environments.simulator.fitting.response import ResponseTrainingConfig
from mtfx.environments.simulator.fitting.retrieval import RetrievalTrainingConfig
from mtfx.models.config import ResponseNetworkConfig, TwoTowerConfig
from mtfx.models.config_keys import check_keys

ResponseKind = Literal["auto", "truth", "fitted"]
PredictionKind = Literal["model", "true"]


@dataclasses.dataclass(frozen=True)
class WorldConfig:
    """How a world is made from a log and a ranking model.

    Attributes:
      dataset: Registry name or ``module:ATTRIBUTE``.
      data_dir: Directory of the log's files, for the random exposures, and for the manifest of a
        synthetic data set.
      users: U, drawn from the users of the test split; all of them if there are fewer.
      pool: P, items of each user's pool; all items if there are fewer.
      random_share: Of the pool, items drawn at random instead of retrieved.
      max_views: The simulator's view cap; pools should be well above it.
      carry_over: The simulator's.
      leave_below: The simulator's.
      response: ``truth`` is the user model behind a synthetic data set, ``fitted`` the model
        fitted to the log; ``auto`` takes the first where there is one.
      predictions: What candidates are ranked by: the ranking ``model``'s predictions, or the
        ``true`` probabilities of the response model, which no ranker that is served has. The
        second tells what fusion could do if the ranking model were without error.
      retrieval: Training of the two towers.
      response_training: Fit of the response model.
      max_impressions: Of each split, read no more.
      seed: Of everything random.
      code_version: Recorded, and part of the cache key.
      description_version: Likewise, of the user's own description of the data set.
      data_fingerprint: Likewise, of the files in ``data_dir`` that are read.
    """

    dataset: str
    data_dir: str
    users: int = 1_000
    pool: int = 300
    random_share: float = 0.2
    max_views: int = 50
    carry_over: float = 0.95
    leave_below: float = 0.1
    response: ResponseKind = "auto"
    predictions: PredictionKind = "model"
    retrieval: RetrievalTrainingConfig = dataclasses.field(default_factory=RetrievalTrainingConfig)
    response_training: ResponseTrainingConfig = dataclasses.field(
        default_factory=ResponseTrainingConfig
    )
    max_impressions: int = 5_000_000
    seed: int = 0
    code_version: str = ""
    description_version: str = ""
    data_fingerprint: str = ""

    def __post_init__(self) -> None:
        for name in ("users", "pool", "max_views", "max_impressions"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if not 0.0 <= self.random_share <= 1.0:
            raise ValueError(f"random_share is a share from 0 to 1, got {self.random_share}")
        if self.response not in get_args(ResponseKind):
            kinds = ", ".join(get_args(ResponseKind))
            raise ValueError(f"no response model {self.response!r}; there are: {kinds}")
        if self.predictions not in get_args(PredictionKind):
            kinds = ", ".join(get_args(PredictionKind))
            raise ValueError(f"no predictions {self.predictions!r}; there are: {kinds}")

    def to_json(self) -> str:
        """Canonical JSON."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> WorldConfig:
        """The inverse of :meth:`to_json`; raises ValueError for an unknown key."""
        values: dict[str, Any] = json.loads(text)
        check_keys(cls, values)
        retrieval = values.get("retrieval")
        if isinstance(retrieval, dict):
            towers = TwoTowerConfig(**_tuples(retrieval["model"]))
            values["retrieval"] = RetrievalTrainingConfig(**{**retrieval, "model": towers})
        training = values.get("response_training")
        if isinstance(training, dict):
            network = ResponseNetworkConfig(**_tuples(training["network"]))
            values["response_training"] = ResponseTrainingConfig(**{**training, "network": network})
        return cls(**values)


def _tuples(values: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(v) if isinstance(v, list) else v for name, v in values.items()}
