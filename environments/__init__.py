"""Batched environments of TF-Agents."""

from typing import TYPE_CHECKING

from mtfx.lazy import exports

if TYPE_CHECKING:
    from mtfx.environments.sessions.replay import SessionReplayEnvironment
    from mtfx.environments.sessions.table import SessionTable
    from mtfx.environments.simulator.config import SimulatorConfig
    from mtfx.environments.simulator.dynamics import Simulator
    from mtfx.environments.simulator.environment import FusionEnvironment
    from mtfx.environments.simulator.policies import ConstantPolicy
    from mtfx.environments.simulator.table_response import TableResponse
    from mtfx.environments.simulator.user_requests import UserRequests
    from mtfx.environments.simulator.value import session_figures
    from mtfx.environments.simulator.world import World, load_world, save_world
else:
    __getattr__, __dir__, __all__ = exports(
        __name__,
        {
            "sessions.replay": ("SessionReplayEnvironment",),
            "sessions.table": ("SessionTable",),
            "simulator.config": ("SimulatorConfig",),
            "simulator.dynamics": ("Simulator",),
            "simulator.environment": ("FusionEnvironment",),
            "simulator.policies": ("ConstantPolicy",),
            "simulator.table_response": ("TableResponse",),
            "simulator.user_requests": ("UserRequests",),
            "simulator.value": ("session_figures",),
            "simulator.world": ("World", "load_world", "save_world"),
        },
    )
