"""Everything that decides what a ranking model is, as plain data."""

from __future__ import annotations

import dataclasses
from typing import Any

from mtfx.models.config_keys import check_keys
from mtfx.models.features import StateConfig
from mtfx.models.loss_weighting.names import LossWeightingName
from mtfx.models.loss_weighting.registry import loss_weighting_entry
from mtfx.models.mtl.config import BackboneConfig
from mtfx.models.mtl.registry import backbone_entry


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """A ranking model's configuration; the defaults are RMTL's.

    Attributes:
      backbone: Name of the backbone, see ``mtfx.models.mtl.registry``.
      sizes: Its sizes; RMTL's when None.
      state: Sizes of the state representation.
      task_weights: Weight of a task's loss, by name; 1 for a task that is not named.
      loss_weighting: How the losses are weighted beyond that, see
        ``mtfx.models.loss_weighting.registry``.
    """

    backbone: str = "mmoe"
    sizes: BackboneConfig | None = None
    state: StateConfig = dataclasses.field(default_factory=StateConfig)
    task_weights: tuple[tuple[str, float], ...] = ()
    loss_weighting: LossWeightingName = "constant"

    def __post_init__(self) -> None:
        loss_weighting_entry(self.loss_weighting)
        expected = backbone_entry(self.backbone).config
        if self.sizes is not None and not isinstance(self.sizes, expected):
            raise ValueError(
                f"backbone {self.backbone!r} is configured by {expected.__name__}, "
                f"not by {type(self.sizes).__name__}"
            )
        for name, weight in self.task_weights:
            if not weight >= 0:
                raise ValueError(f"the weight of task {name!r} must not be negative, got {weight}")

    def to_dict(self) -> dict[str, Any]:
        """A dictionary of JSON types, for TFX's ``custom_config``."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> ModelConfig:
        """The inverse of :meth:`to_dict`, also after a round trip through JSON.

        Raises:
          ValueError: if a key is unknown.
        """
        check_keys(cls, values)
        backbone = values.get("backbone", cls.backbone)
        sizes = values.get("sizes")
        return cls(
            backbone=backbone,
            sizes=None if sizes is None else _from_json(backbone_entry(backbone).config, sizes),
            state=_from_json(StateConfig, values.get("state", {})),
            task_weights=tuple(
                (str(name), float(weight)) for name, weight in values.get("task_weights", ())
            ),
            loss_weighting=values.get("loss_weighting", cls.loss_weighting),
        )


def _from_json(config_class: type, values: dict[str, Any]) -> Any:
    check_keys(config_class, values)
    return config_class(
        **{
            name: tuple(value) if isinstance(value, list) else value
            for name, value in values.items()
        }
    )
