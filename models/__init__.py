"""Keras models: state representation, multi-task backbones, the ranking model."""

from typing import TYPE_CHECKING

from mtfx.lazy import exports

if TYPE_CHECKING:
    from mtfx.models.action_policy import ActionSample
    from mtfx.models.config import ModelConfig, StateConfig
    from mtfx.models.fusion.config import FusionConfig, build_fusion
    from mtfx.models.input_features import InputFeature
    from mtfx.models.loss_weighting.registry import LOSS_WEIGHTINGS
    from mtfx.models.mtl.base import Backbone
    from mtfx.models.mtl.registry import BACKBONES, BackboneConfig, BackboneEntry
    from mtfx.models.ranking_model import RankingModel
else:
    __getattr__, __dir__, __all__ = exports(
        __name__,
        {
            "action_policy": ("ActionSample",),
            "config": ("ModelConfig", "StateConfig"),
            "input_features": ("InputFeature",),
            "fusion.config": ("FusionConfig", "build_fusion"),
            "loss_weighting.registry": ("LOSS_WEIGHTINGS",),
            "mtl.base": ("Backbone",),
            "mtl.registry": ("BACKBONES", "BackboneConfig", "BackboneEntry"),
            "ranking_model": ("RankingModel",),
        },
    )
