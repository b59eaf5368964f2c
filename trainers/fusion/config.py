"""Configurations of the fusion Trainer and of streaming, as plain data."""

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


@dataclasses.dataclass(frozen=True)
class StreamingConfig:
    """How sessions are trained on as they come.

    Attributes:
      method: An algorithm of ``mtfx.agents.registry``.
      agent: Its hyper-parameters; ``buffer_size`` is that of the replay buffer.
      fusion: The fusion function whose actions the sessions hold.
      candidates: C, candidates of a request that an agent learns from; smaller requests are padded,
        of larger ones so many are drawn.
      steps_per_transition: Training steps for each new transition. 1 is Algorithm 1's; the sum over
        a session is rounded, and what is left over goes to the next.
      export_every: Sessions between two checkpoints, each with an export.
      seed: Of weights and minibatches.
      code_version: Recorded with the policies.
    """

    method: str
    agent: FusionAgentConfig
    fusion: AnyFusionConfig
    candidates: int = 100
    steps_per_transition: float = 1.0
    export_every: int = 1000
    seed: int = 0
    code_version: str = ""

    def __post_init__(self) -> None:
        AGENTS[self.method]
        for name in ("candidates", "export_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if not 0.0 < self.steps_per_transition < float("inf"):
            raise ValueError(
                f"steps_per_transition must be positive, got {self.steps_per_transition}"
            )

    def values(self) -> dict[str, Any]:
        """What a stream that is resumed has to have in common with the one that stopped."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        # A newer version of the code may resume.
        del values["code_version"]
        return {**values, "agent": self.agent.to_dict(), "fusion": self.fusion.to_dict()}
