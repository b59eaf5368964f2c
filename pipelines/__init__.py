"""The TFX pipelines, their configuration and the runners."""

from typing import TYPE_CHECKING

from mtfx.lazy import exports

if TYPE_CHECKING:
    from mtfx.pipelines.compare import CompareOptions, run_compare
    from mtfx.pipelines.config import RankingPipelineConfig
    from mtfx.pipelines.daily import run_days
    from mtfx.pipelines.daily_config import DailyConfig
    from mtfx.pipelines.fusion import run_fusion
    from mtfx.pipelines.fusion_config import FusionPipelineConfig
    from mtfx.pipelines.options import DataOptions
    from mtfx.pipelines.ranking import run_ranking
    from mtfx.pipelines.simulator import run_simulator
    from mtfx.pipelines.streaming import StreamOptions, run_stream
else:
    __getattr__, __dir__, __all__ = exports(
        __name__,
        {
            "compare": ("CompareOptions", "run_compare"),
            "config": ("RankingPipelineConfig",),
            "daily": ("run_days",),
            "daily_config": ("DailyConfig",),
            "fusion": ("run_fusion",),
            "fusion_config": ("FusionPipelineConfig",),
            "options": ("DataOptions",),
            "ranking": ("run_ranking",),
            "simulator": ("run_simulator",),
            "streaming": ("StreamOptions", "run_stream"),
        },
    )
