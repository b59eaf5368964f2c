"""The agents that learn fusion policies, by name."""

from __future__ import annotations

import dataclasses

from mtfx.agents.carried_state import BCQ, CQL_SAC, TD3, XMTF, CarriedState
from mtfx.agents.config import (
    BcqConfig,
    CqlSacConfig,
    FusionAgentConfig,
    Td3Config,
    UwacTd3Config,
    XmtfConfig,
)
from mtfx.registry import Entry, Registry


@dataclasses.dataclass(frozen=True)
class AgentEntry(Entry):
    """An algorithm; ``mtfx.agents.building.build_agent`` makes one.

    Attributes:
      target: Takes time step spec, action spec, hyper-parameters and a seed, and gives the agent.
      config: Class of its hyper-parameters.
      carried: What a warm start keeps of its state, and what begins anew.
      needs_candidates: Whether it learns from the candidates' predictions and has a ``fusion`` of
        its own, of states that its ``normalized`` gives; its observations are then those of
        ``mtfx.agents.xmtf.xmtf_specs``, and its actions as many as the predictions.
    """

    config: type[FusionAgentConfig]
    carried: CarriedState
    needs_candidates: bool = False


AGENTS: Registry[AgentEntry] = Registry(
    "fusion agent",
    {
        "bcq": AgentEntry(
            "agents.bcq:build_bcq",
            BcqConfig,
            "BatchRL-MTF's: actions near those of the logs",
            BCQ,
        ),
        "td3": AgentEntry(
            "agents.td3:build_td3", Td3Config, "twin critics, free of the logs' actions", TD3
        ),
        "uwac_td3": AgentEntry(
            "agents.uwac_td3:build_uwac_td3",
            UwacTd3Config,
            "TD3 that learns less where its critics are uncertain",
            TD3,
        ),
        "cql_sac": AgentEntry(
            "agents.cql_sac:build_cql_sac",
            CqlSacConfig,
            "SAC with low values for actions that the logs lack",
            CQL_SAC,
        ),
        "xmtf": AgentEntry(
            "agents.xmtf_batch_constrained:build_xmtf_agent",
            XmtfConfig,
            "no formula: monotonic cells of two stages, the outer one learned by RL",
            XMTF,
            needs_candidates=True,
        ),
    },
)
