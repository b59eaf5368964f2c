"""The backbones by name."""

from __future__ import annotations

import dataclasses

from mtfx.datasets.spec import Task
from mtfx.models.mtl.base import Backbone
from mtfx.models.mtl.config import BackboneConfig, MmoeConfig, PleConfig
from mtfx.models.mtl.esmm import Esmm
from mtfx.models.mtl.mmoe import Mmoe
from mtfx.models.mtl.ple import Ple
from mtfx.models.mtl.shared_bottom import SharedBottom
from mtfx.models.mtl.single_task import SingleTask


@dataclasses.dataclass(frozen=True)
class BackboneEntry:
    """A registered backbone.

    Attributes:
      backbone: Its class.
      config: Class of its sizes; its defaults are RMTL's.
      description: One line for ``mtfx backbones``.
    """

    backbone: type[Backbone]
    config: type[BackboneConfig]
    description: str


BACKBONES: dict[str, BackboneEntry] = {
    "single_task": BackboneEntry(
        SingleTask, BackboneConfig, "a bottom and a tower of its own for every task"
    ),
    "shared_bottom": BackboneEntry(
        SharedBottom, BackboneConfig, "one bottom for all tasks, a tower for each"
    ),
    "esmm": BackboneEntry(
        Esmm, BackboneConfig, "p(pay) = p(click) · p(pay | click) over the entire space"
    ),
    "mmoe": BackboneEntry(Mmoe, MmoeConfig, "shared experts, mixed by a gate per task"),
    "ple": BackboneEntry(
        Ple, PleConfig, "shared and task-specific experts, mixed by a gate per task, in levels"
    ),
}


def backbone_entry(name: str) -> BackboneEntry:
    """The entry of this name; raises ValueError naming the known ones."""
    if name not in BACKBONES:
        raise ValueError(f"no backbone {name!r}; there are: {', '.join(BACKBONES)}")
    return BACKBONES[name]


def build_backbone(
    name: str,
    tasks: tuple[Task, ...],
    config: BackboneConfig | None = None,
    *,
    dtype: str = "float32",
) -> Backbone:
    """Builds a backbone.

    Args:
      name: One of ``BACKBONES``.
      tasks: The tasks, in the order of the logits' columns.
      config: Its sizes; RMTL's when None.
      dtype: Keras dtype policy of the hidden layers, ``float32`` or ``mixed_bfloat16``.

    Raises:
      ValueError: if the name is unknown, the config is another backbone's, or the tasks do not suit
        the backbone.
    """
    entry = backbone_entry(name)
    config = entry.config() if config is None else config
    if not isinstance(config, entry.config):
        raise ValueError(
            f"backbone {name!r} is configured by {entry.config.__name__}, "
            f"not by {type(config).__name__}"
        )
    return entry.backbone(tasks, config, dtype=dtype)
