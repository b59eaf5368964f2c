"""Configuration of the fusion Trainer's run function, as plain data."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from mtfx.agents.config import FusionAgentConfig, XmtfConfig
from mtfx.agents.registry import AGENTS
from mtfx.config import Config
from mtfx.models.fusion.config import AnyFusionConfig, FormulaFreeConfig, fusion_config_class


@dataclasses.dataclass(frozen=True)
class FusionTrainerConfig(Config):
    """Carried in the Trainer's ``custom_config``.

    Attributes:
      method: Name of the algorithm; see ``mtfx.agents.registry``.
      agent: Its hyper-parameters.
      fusion: The function that the logged actions were for.
      checkpoint_dir: Directory that outlives a killed run, so that the next one resumes.
      seed: Of weights, minibatches and sampled actions.
      log_every: Training steps between logs.
      code_version: Recorded with the policy, and part of the cache key.
    """

    method: str
    agent: FusionAgentConfig
    fusion: AnyFusionConfig
    checkpoint_dir: str
    seed: int = 0
    log_every: int = 1000
    code_version: str = ""

    def __post_init__(self) -> None:
        if isinstance(self.agent, XmtfConfig):
            cells = self.agent.cells
            wanted = FormulaFreeConfig(cells.low, cells.high).action_meaning()
            if self.fusion.action_meaning() != wanted:
                raise ValueError(
                    f"method {self.method} learns coefficients of the fusion {wanted}, not of "
                    f"{self.fusion.action_meaning()}"
                )

    @classmethod
    def config_types(cls, values: Mapping[str, Any]) -> Mapping[str, Any]:
        """The agent's class is told by the method, the fusion's by its formula."""
        return {
            "agent": AGENTS[values["method"]].config,
            "fusion": fusion_config_class(values.get("fusion")),
        }
