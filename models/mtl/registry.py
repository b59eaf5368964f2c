"""The backbones by name, with their sizes; the defaults are RMTL's (section 3.2)."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from mtfx.config import Config
from mtfx.datasets.spec import Task
from mtfx.registry import Entry, Registry

if TYPE_CHECKING:
    from mtfx.models.mtl.base import Backbone


@dataclasses.dataclass(frozen=True)
class BackboneConfig(Config):
    """Sizes common to all backbones.

    Attributes:
      bottom_units: Layers of a bottom, and of an expert (RMTL: 128 x 512 x 256).
      tower_units: Hidden layers of a task's tower, which one output unit follows (RMTL: 256 x 128 x
        64 x 1).
      dropout: Share of hidden units set to zero while training, after every hidden layer.
      seed: Seed of the weights and of dropout.
    """

    bottom_units: tuple[int, ...] = (512, 256)
    tower_units: tuple[int, ...] = (128, 64)
    dropout: float = 0.2
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.bottom_units or min(self.bottom_units + self.tower_units) < 1:
            raise ValueError(
                "a backbone needs at least one bottom layer, and layers of at least one unit; "
                f"got bottom_units={self.bottom_units}, tower_units={self.tower_units}"
            )
        if not 0.0 <= self.dropout < 1.0:
            raise ValueError(f"dropout is a share in [0, 1), got {self.dropout}")


@dataclasses.dataclass(frozen=True)
class MmoeConfig(BackboneConfig):
    """Sizes of MMoE.

    Attributes:
      num_experts: Experts shared by all tasks.
    """

    num_experts: int = 8

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.num_experts < 1:
            raise ValueError(f"MMoE needs at least one expert, got {self.num_experts}")


@dataclasses.dataclass(frozen=True)
class PleConfig(BackboneConfig):
    """Sizes of PLE.

    RMTL fixes the number of experts at 8 without saying how PLE divides them; the library it uses
    for its baselines gives half to the shared pool and half to each task, so that every task's
    gate mixes 8 experts, as MMoE's does. These are the defaults.

    Attributes:
      num_shared_experts: Experts shared by all tasks, per level.
      num_task_experts: Experts of each task, per level.
      num_levels: Extraction levels stacked on one another.
    """

    num_shared_experts: int = 4
    num_task_experts: int = 4
    num_levels: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if min(self.num_shared_experts, self.num_task_experts, self.num_levels) < 1:
            raise ValueError(
                "PLE needs at least one shared expert, one expert per task and one level; got "
                f"{self.num_shared_experts}, {self.num_task_experts}, {self.num_levels}"
            )


@dataclasses.dataclass(frozen=True)
class BackboneEntry(Entry):
    """A registered backbone.

    Attributes:
      config: Class of its sizes; its defaults are RMTL's.
      small: Its sizes for data sets of some 100,000 impressions.
    """

    config: type[BackboneConfig]
    small: BackboneConfig


_SMALL = BackboneConfig(bottom_units=(64, 32), tower_units=(16,))
BACKBONES: Registry[BackboneEntry] = Registry(
    "backbone",
    {
        "single_task": BackboneEntry(
            "models.mtl.shared_bottom:SingleTask",
            BackboneConfig,
            "a bottom and a tower of its own for every task",
            _SMALL,
        ),
        "shared_bottom": BackboneEntry(
            "models.mtl.shared_bottom:SharedBottom",
            BackboneConfig,
            "one bottom for all tasks, a tower for each",
            _SMALL,
        ),
        "esmm": BackboneEntry(
            "models.mtl.esmm:Esmm",
            BackboneConfig,
            "p(pay) = p(click) · p(pay | click) over the entire space",
            _SMALL,
        ),
        "mmoe": BackboneEntry(
            "models.mtl.mmoe:Mmoe",
            MmoeConfig,
            "shared experts, mixed by a gate per task",
            MmoeConfig(bottom_units=(64, 32), tower_units=(16,), num_experts=4),
        ),
        "ple": BackboneEntry(
            "models.mtl.ple:Ple",
            PleConfig,
            "shared and task-specific experts, mixed by a gate per task, in levels",
            PleConfig(
                bottom_units=(64, 32), tower_units=(16,), num_shared_experts=2, num_task_experts=2
            ),
        ),
    },
)


def build_backbone(
    name: str,
    tasks: tuple[Task, ...],
    config: BackboneConfig | None = None,
    *,
    dtype: str = "float32",
) -> Backbone:
    """Builds a backbone. Imports TensorFlow.

    Args:
      name: One of ``BACKBONES``.
      tasks: The tasks, in the order of the logits' columns.
      config: Its sizes; RMTL's when None.
      dtype: Keras dtype policy of the hidden layers, ``float32`` or ``mixed_bfloat16``.

    Raises:
      ValueError: if the name is unknown, the config is another backbone's, or the tasks do not suit
        the backbone.
    """
    return BACKBONES[name].load()(tasks, BACKBONES.config(name, config), dtype=dtype)
