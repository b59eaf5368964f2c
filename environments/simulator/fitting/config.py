"""Configuration of a simulator's world, as plain data."""

from __future__ import annotations

import dataclasses
from typing import Literal, get_args

from mtfx.config import Config
from mtfx.datasets.fused_predictions import FusedPrediction
from mtfx.models.config import ResponseNetworkConfig, TwoTowerConfig

ResponseKind = Literal["auto", "truth", "fitted", "published"]
PredictionKind = Literal["model", "true"]


@dataclasses.dataclass(frozen=True)
class RetrievalTrainingConfig(Config):
    """How retrieval is trained.

    Attributes:
      model: Sizes of the towers.
      epochs: Passes over the positive impressions.
      batch_size: Pairs per step, and so negatives of each pair.
      learning_rate: Adam's.
      seed: Of weights and shuffling.
    """

    model: TwoTowerConfig = dataclasses.field(default_factory=TwoTowerConfig)
    epochs: int = 5
    batch_size: int = 1024
    learning_rate: float = 1e-3
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")


@dataclasses.dataclass(frozen=True)
class ResponseTrainingConfig(Config):
    """How the response model is fitted.

    Attributes:
      network: Sizes.
      epochs: At most this many passes.
      batch_size: Impressions per step.
      learning_rate: Adam's.
      patience: Stop after this many epochs without a better likelihood of the calibration rows.
      seed: Of weights, dropout and shuffling.
      min_random_rows: With fewer random exposures, the training split is used instead.
    """

    network: ResponseNetworkConfig = dataclasses.field(default_factory=ResponseNetworkConfig)
    epochs: int = 30
    batch_size: int = 256
    learning_rate: float = 1e-3
    patience: int = 2
    seed: int = 0
    min_random_rows: int = 5_000

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "patience"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")


@dataclasses.dataclass(frozen=True)
class WorldConfig(Config):
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
        fitted to the log; ``auto`` takes the first where there is one; ``published`` is the ranking
        model's own prediction, as in xMTF's published simulator.
      predictions: What candidates are ranked by: the ranking ``model``'s predictions, or the
        ``true`` probabilities of the response model, which no ranker that is served has. The
        second tells what fusion could do if the ranking model were without error.
      leave_out: Names of predictions that are not fused.
      fused: Predictions with their scales as they are, such as those of a log that was served;
        empty: all that the ranking model has, their scales fitted to the training split.
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
    leave_out: tuple[str, ...] = ()
    fused: tuple[FusedPrediction, ...] = ()
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
        if self.response == "published" and self.predictions == "true":
            raise ValueError(
                "the response published answers with the ranking model's predictions: candidates "
                "cannot be ranked by true ones"
            )
