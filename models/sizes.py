"""The two sizes that every model comes in: RMTL's, and one for small data.

Names and numbers are here without TensorFlow, which takes seconds to import: the command line
checks its flags against them.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Literal, get_args

from mtfx.models.mtl.config import BackboneConfig, MmoeConfig, PleConfig

if TYPE_CHECKING:
    from mtfx.models.features import StateConfig

ModelSize = Literal["paper", "small"]
MODEL_SIZES: tuple[ModelSize, ...] = get_args(ModelSize)

#: Sizes of each backbone for data sets of some 100,000 impressions; the paper's are the defaults.
SMALL_BACKBONES: dict[str, BackboneConfig] = {
    "single_task": BackboneConfig(bottom_units=(64, 32), tower_units=(16,)),
    "shared_bottom": BackboneConfig(bottom_units=(64, 32), tower_units=(16,)),
    "esmm": BackboneConfig(bottom_units=(64, 32), tower_units=(16,)),
    "mmoe": MmoeConfig(bottom_units=(64, 32), tower_units=(16,), num_experts=4),
    "ple": PleConfig(
        bottom_units=(64, 32), tower_units=(16,), num_shared_experts=2, num_task_experts=2
    ),
}
BACKBONE_NAMES = tuple(SMALL_BACKBONES)


def model_sizes(backbone: str, size: ModelSize, seed: int) -> tuple[BackboneConfig, StateConfig]:
    """Sizes of a backbone and of the state representation below it. Imports TensorFlow.

    Args:
      backbone: One of ``BACKBONE_NAMES``.
      size: ``paper`` has RMTL's layer sizes, ``small`` suits some 100,000 impressions.
      seed: The backbone's.
    """
    from mtfx.models.features import StateConfig

    if size == "small":
        state = StateConfig(embedding_dim=16, hidden_units=(), state_dim=64)
        return dataclasses.replace(SMALL_BACKBONES[backbone], seed=seed), state
    return type(SMALL_BACKBONES[backbone])(seed=seed), StateConfig()
