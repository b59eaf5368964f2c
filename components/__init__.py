"""TFX components: from raw logs to examples; thin executors over ``datasets``."""

from typing import TYPE_CHECKING

from mtfx.lazy import exports

if TYPE_CHECKING:
    from mtfx.components.headroom_estimator import HeadroomEstimator
    from mtfx.components.interaction_gen.component import (
        ServedInteractionGen,
        SimulatedInteractionGen,
    )
    from mtfx.components.policy_comparison import PolicyComparison
    from mtfx.components.policy_evaluator.component import PolicyEvaluator
    from mtfx.components.policy_search.component import PolicySearch
    from mtfx.components.ranker_exporter.component import RankerExporter
    from mtfx.components.session_example_gen.component import SessionExampleGen
    from mtfx.components.session_flattener import SessionFlattener
    from mtfx.components.session_schema import InlineSchemaGen
    from mtfx.components.simulator_gen import SimulatorGen
    from mtfx.components.strict_distribution_validator.component import StrictDistributionValidator
    from mtfx.components.strict_example_validator import StrictExampleValidator
else:
    __getattr__, __dir__, __all__ = exports(
        __name__,
        {
            "headroom_estimator": ("HeadroomEstimator",),
            "interaction_gen.component": ("ServedInteractionGen", "SimulatedInteractionGen"),
            "policy_comparison": ("PolicyComparison",),
            "policy_evaluator.component": ("PolicyEvaluator",),
            "policy_search.component": ("PolicySearch",),
            "ranker_exporter.component": ("RankerExporter",),
            "session_example_gen.component": ("SessionExampleGen",),
            "session_flattener": ("SessionFlattener",),
            "session_schema": ("InlineSchemaGen",),
            "simulator_gen": ("SimulatorGen",),
            "strict_distribution_validator.component": ("StrictDistributionValidator",),
            "strict_example_validator": ("StrictExampleValidator",),
        },
    )
