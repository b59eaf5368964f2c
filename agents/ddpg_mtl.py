"""D-PLE, RMTL's baseline from reinforcement learning: DDPG with a multi-task model as actor."""

from __future__ import annotations

import dataclasses

from mtfx.agents.rmtl import RmtlAgent
from mtfx.agents.rmtl_config import RmtlConfig


class DdpgMtlAgent(RmtlAgent):
    """Critics as RMTL's; the actor ascends their Q (15) and never sees a label.

    Lillicrap et al., "Continuous control with deep reinforcement learning", 2016. TF-Agents'
    DdpgAgent takes one scalar reward and one critic; here each task has its own, as in RMTL, which
    shares everything but the actor's update.
    """

    @staticmethod
    def configure(config: RmtlConfig) -> RmtlConfig:
        """RMTL's settings with DDPG's actor update, and noise on collected actions.

        Without noise the critics see one action per state, and how Q changes with the action, which
        is all that the actor learns from, is arbitrary.
        """
        return dataclasses.replace(config, actor_update="q", exploration=config.exploration or 0.1)
