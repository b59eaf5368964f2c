"""Which variables of a model belong to several tasks."""

from __future__ import annotations

from collections.abc import Callable

from models.keras import keras
from models.mtl.base import Backbone
from models.mtl.esmm import Esmm
from models.mtl.mmoe import Mmoe
from models.mtl.ple import Ple
from models.mtl.shared_bottom import SharedBottom

Layers = list[keras.layers.Layer]


def _nothing(backbone: Backbone) -> Layers:
    return []


def _shared_bottom(backbone: SharedBottom) -> Layers:
    return [backbone.bottom]


def _esmm(backbone: Esmm) -> Layers:
    """A parent's bottom and tower are in its children's probabilities too.

    Those of tasks without children are not shared, but stacked in the same variables.
    """
    parents = any(task.parent is not None for task in backbone.tasks)
    return [backbone.bottoms, backbone.towers] if parents else []


def _mmoe(backbone: Mmoe) -> Layers:
    return [backbone.experts]


def _ple(backbone: Ple) -> Layers:
    """Below the last level the shared gate mixes everyone's experts, so all tasks use them.

    A task's gate feeds its own experts of the next level, which others see unless that is the last.
    """
    layers: Layers = []
    for above, level in enumerate(reversed(backbone.levels)):
        layers.append(level.shared_experts)
        if above >= 1:
            layers += [level.task_experts, level.shared_gate]
        if above >= 2:
            layers += level.task_gates
    return layers


#: By name of the backbone, its layers that more than one task's loss depends on.
SHARED_LAYERS: dict[str, Callable[..., Layers]] = {
    "single_task": _nothing,
    "shared_bottom": _shared_bottom,
    "esmm": _esmm,
    "mmoe": _mmoe,
    "ple": _ple,
}
