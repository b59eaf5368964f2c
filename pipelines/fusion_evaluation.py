"""The stages of the fusion pipeline that judge policies, made from its configuration."""

from __future__ import annotations

from collections.abc import Sequence

from tfx.dsl.components.base.base_component import BaseComponent
from tfx.types.channel import Channel

from mtfx.components.headroom_estimator import HeadroomEstimator
from mtfx.components.policy_comparison import PolicyComparison
from mtfx.components.policy_evaluator.config import PolicyEvaluatorConfig, default_estimators
from mtfx.components.policy_selector import PolicySelector
from mtfx.environments.simulator.world import INDEPENDENT
from mtfx.evaluation.config import BlessingConfig
from mtfx.evaluation.ope.config import ConservativeConfig
from mtfx.pipelines.code_version import code_version
from mtfx.pipelines.fusion_config import FusionPipelineConfig

#: Simulated sessions of other seeds than those that are learned from.
EVALUATION_SEED = 1_000_003
#: And others again, by which alone a policy is chosen.
SELECTION_SEED = 2_000_003
_NOT_SERVED = (
    "--response published: what it learnt from users who answer with the ranking model's own "
    "prediction is not to be served"
)


def evaluation_config(config: FusionPipelineConfig) -> PolicyEvaluatorConfig:
    """How policies are judged."""
    return PolicyEvaluatorConfig(
        estimators=default_estimators(
            ConservativeConfig.penalty if config.ope_penalty is None else config.ope_penalty,
            config.reward_config.gamma,
            config.estimator,
        ),
        deciding=config.estimator,
        blessing=BlessingConfig(
            max_drop=config.max_return_drop,
            refusal=_NOT_SERVED if config.response == "published" and not config.served else "",
        ),
        simulator=config.simulator,
        simulated_sessions=config.eval_sessions,
        seed=config.seed,
        code_version=code_version(),
    )


def comparison_stage(
    config: FusionPipelineConfig,
    simulator: Channel,
    policies: Sequence[Channel],
    world: str = "",
) -> PolicyComparison:
    """The stage that compares policies on the same simulated sessions.

    Args:
      config: The run.
      simulator: The simulator.
      policies: What is compared.
      world: Folder of another world in the simulator's artifact.
    """
    return PolicyComparison(
        simulator=simulator,
        policies=policies,
        simulator_config=config.simulator,
        sessions=config.eval_sessions,
        gamma=evaluation_config(config).gamma,
        method=config.method,
        seed=config.seed + EVALUATION_SEED,
        world=world,
        code_version=code_version(),
    )


def selection_stages(
    config: FusionPipelineConfig, simulator: Channel, policies: Sequence[Channel]
) -> list[BaseComponent]:
    """The stage that chooses the policy to push, if there is a choice."""
    if config.push != "best":
        return []
    return [
        PolicySelector(
            simulator=simulator,
            policies=policies,
            simulator_config=config.simulator,
            sessions=config.eval_sessions,
            gamma=evaluation_config(config).gamma,
            method=config.method,
            seed=config.seed + SELECTION_SEED,
            code_version=code_version(),
        )
    ]


def independent_stages(
    config: FusionPipelineConfig, simulator: Channel, policies: Sequence[Channel]
) -> list[BaseComponent]:
    """The stage that compares them where users answer independently of the ranking model.

    Where they do in the first place there is nothing to add.
    """
    if config.response != "published" or (config.served is not None and config.keep_simulator):
        return []
    stage = comparison_stage(config, simulator, policies, INDEPENDENT)
    return [stage.with_id(f"{stage.id}-{INDEPENDENT}")]


def headroom_stages(config: FusionPipelineConfig, simulator: Channel) -> list[BaseComponent]:
    """The stage that says what fusion could gain in the simulator, if it is wanted."""
    if not config.headroom or config.served is not None:
        return []
    return [
        HeadroomEstimator(
            simulator=simulator,
            fusion=config.fusion.to_json(),
            simulator_config=config.simulator.to_json(),
            sessions=config.eval_sessions,
            seed=config.seed + EVALUATION_SEED,
            code_version=code_version(),
        )
    ]
