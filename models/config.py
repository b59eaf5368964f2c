"""Sizes of all networks of the models, and everything that decides what a ranking model is."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args

from mtfx.config import Config, OneOf
from mtfx.models.loss_weighting.registry import LOSS_WEIGHTINGS
from mtfx.models.mtl.registry import BACKBONES, BackboneConfig

#: ``paper`` has RMTL's layer sizes, ``small`` suits some 100,000 impressions.
ModelSize = Literal["paper", "small"]
MODEL_SIZES: tuple[ModelSize, ...] = get_args(ModelSize)
#: Features that a critic may look at: all of the model's, or those of one level, see
#: ``mtfx.datasets.spec.Feature``.
CriticFeatures = Literal["all", "impression", "session"]
#: Standard deviation of random exploration, around the middle of the bounds. BatchRL-MTF does not
#: print its own; with 0.5 two actions in three lie in the middle half and the bounds are still met.
RANDOM_DEVIATION = 0.5
#: Of action noise: the 0.1 of BatchRL-MTF (8), read as a standard deviation, as in TD3.
NOISE_DEVIATION = 0.1


@dataclasses.dataclass(frozen=True)
class StateConfig(Config):
    """Sizes of the state representation network.

    Attributes:
      embedding_dim: Width of every embedding and of every projected numeric feature (RMTL: 128).
      hidden_units: Hidden layers between the concatenated features and the state.
      state_dim: Width of the state, the input of every backbone (RMTL: 128).
      shrinkage: Impressions that a value of a feature with statistics must have had for half of its
        embedding to count; see ``mtfx.models.features``.
      output_activation: Activation of the state. RMTL's equation (4) has a sigmoid, which squeezes
        all states into (0, 1), centred on 0.5, and scales the gradient of every embedding by at
        most 1/4; ``relu`` keeps the gradient of the active units whole, and backbones follow whose
        first layer is linear in the state anyway. ``sigmoid`` gives the paper's form.
    """

    embedding_dim: int = 128
    hidden_units: tuple[int, ...] = (256,)
    state_dim: int = 128
    shrinkage: float = 1000.0
    output_activation: Literal["relu", "sigmoid", "tanh", "linear"] = "relu"


@dataclasses.dataclass(frozen=True)
class HistoryConfig(Config):
    """Sizes of the network that reads the user's earlier impressions.

    Attributes:
      length: How many of them it sees, the latest; 0: none, and there is no such network.
      units: Width of the layer that compares an earlier impression with the present one (DIN's
        activation unit).
      value_units: Width of what is pooled; there are two poolings.
      embedding_dim: Width of the embeddings of its own that earlier impressions' ids get.
      dropout: Share of the pooled units set to zero while training.
      small_vocabulary: Most ids of a feature have a handful of rows where it has more ids than
        this.
      id_dropout: Share of the units of such features' embeddings set to zero while training.
    """

    length: int = 50
    units: int = 32
    value_units: int = 48
    embedding_dim: int = 8
    dropout: float = 0.35
    small_vocabulary: int = 1_000
    id_dropout: float = 0.5

    def __post_init__(self) -> None:
        for name in ("units", "value_units", "embedding_dim"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.length < 0:
            raise ValueError(f"the length of a history must not be negative, got {self.length}")
        if not (0.0 <= self.dropout < 1.0 and 0.0 <= self.id_dropout < 1.0):
            raise ValueError(
                f"dropout is a share in [0, 1), got {self.dropout} and {self.id_dropout}"
            )


@dataclasses.dataclass(frozen=True)
class ModelConfig(Config):
    """A ranking model's configuration; the defaults are RMTL's.

    Attributes:
      backbone: The multi-task model; see `mtfx backbones`.
      sizes: Its sizes; RMTL's when None.
      state: Sizes of the state representation.
      history: Sizes of the network that reads the user's earlier impressions.
      task_weights: Weight of a task's loss, TASK=WEIGHT; may be given for several tasks. By default
        1, and 0.1 of a regression, whose loss is otherwise some ten times the others'.
      loss_weighting: How tasks are balanced while training, beyond that; see `mtfx backbones`.
    """

    backbone: Annotated[str, OneOf(BACKBONES)] = "mmoe"
    sizes: BackboneConfig | None = None
    state: StateConfig = dataclasses.field(default_factory=StateConfig)
    history: HistoryConfig = dataclasses.field(default_factory=HistoryConfig)
    task_weights: tuple[tuple[str, float], ...] = ()
    loss_weighting: Annotated[str, OneOf(LOSS_WEIGHTINGS)] = "constant"

    def __post_init__(self) -> None:
        LOSS_WEIGHTINGS[self.loss_weighting]
        BACKBONES.config(self.backbone, self.sizes)
        for name, weight in self.task_weights:
            if not weight >= 0:
                raise ValueError(f"task_weights {name}={weight:g} must not be negative")

    @classmethod
    def of_size(cls, size: ModelSize, backbone: str = "mmoe", **others: Any) -> ModelConfig:
        """A model in one of the two sizes.

        Args:
          size: Which of them.
          backbone: One of ``BACKBONES``.
          **others: Further fields.
        """
        sizes, state = model_sizes(backbone, size, 0)
        return cls(backbone, sizes, state, **others)

    def with_seed(self, seed: int) -> ModelConfig:
        """The same model with the seed of its backbone's weights and dropout."""
        sizes = self.sizes or BACKBONES[self.backbone].config()
        return dataclasses.replace(self, sizes=dataclasses.replace(sizes, seed=seed))

    @classmethod
    def config_types(cls, values: Mapping[str, Any]) -> Mapping[str, type[Config]]:
        """The sizes are of the backbone's class."""
        return {"sizes": BACKBONES[values.get("backbone", cls.backbone)].config}


def model_sizes(backbone: str, size: ModelSize, seed: int) -> tuple[BackboneConfig, StateConfig]:
    """Sizes of a backbone and of the state representation below it.

    Args:
      backbone: One of ``BACKBONES``.
      size: Which of the two.
      seed: The backbone's.
    """
    entry = BACKBONES[backbone]
    if size == "small":
        state = StateConfig(embedding_dim=16, hidden_units=(), state_dim=64)
        return dataclasses.replace(entry.small, seed=seed), state
    return entry.config(seed=seed), StateConfig()


@dataclasses.dataclass(frozen=True)
class CriticConfig(Config):
    """Sizes of the critics; the defaults are RMTL's (section 3.2): those of its backbones.

    Attributes:
      state: Sizes of the critics' own state representation.
      action_units: Width of the embedded action ("a 1 x 128 action layer to be consistent with the
        input features").
      bottom_units: Layers of the bottom that all tasks share.
      tower_units: Hidden layers of a task's tower, which one output unit follows.
      dropout: Share of hidden units dropped while the critics learn; never when they are asked.
        RMTL drops 0.2 in all networks, but a critic learns from its own predictions: with units
        dropped on one side of the TD error only, that error does not vanish (it stayed at -0.09
        per step where it fell to 0.000 without dropout, and Q was a fifth too high).
      features: Which of the model's features make the critics' state. RMTL gives its critics what
        its backbones see; its published code has the present item's properties only
        (``impression``). The actor's predictions are the action in any case.
      seed: Of weights and dropout.
    """

    state: StateConfig = dataclasses.field(default_factory=StateConfig)
    action_units: int = 128
    bottom_units: tuple[int, ...] = (512, 256)
    tower_units: tuple[int, ...] = (128, 64)
    dropout: float = 0.0
    features: CriticFeatures = "all"
    seed: int = 0

    def __post_init__(self) -> None:
        if min((self.action_units, *self.bottom_units, *self.tower_units)) < 1:
            raise ValueError(f"layers of the critics need at least one unit, got {self}")
        if not self.bottom_units or not 0.0 <= self.dropout < 1.0:
            raise ValueError(f"critics need a bottom layer, and dropout in [0, 1); got {self}")
        if self.features not in get_args(CriticFeatures):
            choices = ", ".join(get_args(CriticFeatures))
            raise ValueError(f"no features {self.features!r} of critics; there are: {choices}")


@dataclasses.dataclass(frozen=True)
class ResponseNetworkConfig(Config):
    """Sizes; those of the small models, for some 100,000 impressions, as random exposures are few.

    Attributes:
      embedding_dim: Width of every feature's embedding.
      state_dim: Width of the state.
      backbone: Multi-task backbone, see ``mtfx.models.mtl.registry``; it takes ``BackboneConfig``.
      bottom_units: Of its bottom.
      tower_units: Of each head.
      dropout: Share of hidden units set to zero while training.
    """

    embedding_dim: int = 16
    state_dim: int = 64
    backbone: str = "shared_bottom"
    bottom_units: tuple[int, ...] = (64, 32)
    tower_units: tuple[int, ...] = (16,)
    dropout: float = 0.2


@dataclasses.dataclass(frozen=True)
class TwoTowerConfig(Config):
    """Sizes of the towers.

    Attributes:
      embedding_dim: E, of users and items; 64 is the size of the user embedding in xMTF's state.
      feature_dim: Width of every feature's embedding.
      hidden_units: Hidden layers of each tower.
      temperature: Divides the cosine before the softmax. Yi et al. (RecSys 2019) normalise both
        towers and find 0.05 to 0.1 best.
    """

    embedding_dim: int = 64
    feature_dim: int = 16
    hidden_units: tuple[int, ...] = (128,)
    temperature: float = 0.1

    def __post_init__(self) -> None:
        for name in ("embedding_dim", "feature_dim"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if not self.temperature > 0:
            raise ValueError(f"temperature must be positive, got {self.temperature}")
