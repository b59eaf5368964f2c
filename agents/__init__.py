"""Agents of TF-Agents: loss functions and a training step each."""

from typing import TYPE_CHECKING

from mtfx.lazy import exports

if TYPE_CHECKING:
    from mtfx.agents.building import build_agent
    from mtfx.agents.config import BcqConfig, CqlSacConfig, FusionAgentConfig, Td3Config, XmtfConfig
    from mtfx.agents.offline_training import train_offline
    from mtfx.agents.registry import AGENTS, AgentEntry
    from mtfx.agents.rmtl import RmtlAgent
    from mtfx.agents.search.registry import SEARCHES
    from mtfx.agents.transition_tensors import TransitionTensors
else:
    __getattr__, __dir__, __all__ = exports(
        __name__,
        {
            "building": ("build_agent",),
            "config": ("BcqConfig", "CqlSacConfig", "FusionAgentConfig", "Td3Config", "XmtfConfig"),
            "offline_training": ("train_offline",),
            "registry": ("AGENTS", "AgentEntry"),
            "rmtl": ("RmtlAgent",),
            "search.registry": ("SEARCHES",),
            "transition_tensors": ("TransitionTensors",),
        },
    )
