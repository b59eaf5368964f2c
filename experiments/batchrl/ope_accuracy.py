"""The design of ``ope-accuracy``: each estimator against the simulator's truth."""

from __future__ import annotations

from mtfx.experiments.batchrl.policies import ACCURACY_POLICIES, policy_spec
from mtfx.experiments.batchrl.tables import seed_by_seed
from mtfx.experiments.batchrl.trials import ESTIMATOR_NAMES, FusionTrial
from mtfx.experiments.engine.design import Column, Design, FusionOptions, RowKey, TableDesign
from mtfx.experiments.engine.requirements import with_requirements

_AGREEMENT: tuple[RowKey, ...] = (
    ("over policies", "kendall_tau"),
    ("over policies", "relative_error"),
    ("over policies", "lower_bound"),
    ("low ends of intervals", "kendall_tau"),
    ("low ends of intervals", "relative_error"),
    ("low ends of intervals", "lower_bound"),
)
#: The estimator that the others are compared with.
_PAPERS = "conservative"


def ope_accuracy(options: FusionOptions) -> Design:
    """How each estimator's values of the policies agree with the true ones, and the values."""
    estimators = tuple(
        Column(
            name,
            tuple(FusionTrial("accuracy", name, seed, options.settings) for seed in options.seeds),
            {} if name == _PAPERS else {_PAPERS: _PAPERS},
        )
        for name in ESTIMATOR_NAMES
    )
    policies = tuple(
        Column(
            policy_spec(name).title,
            tuple(FusionTrial("estimates", name, seed, options.settings) for seed in options.seeds),
        )
        for name in ACCURACY_POLICIES
    )
    tables = (
        TableDesign(
            f"Off-policy estimators against the truth, over {len(ACCURACY_POLICIES)} policies",
            estimators,
            _AGREEMENT,
            notes=(
                "All estimators see the last sessions of the mixed log, on which no policy was "
                "trained. The truth is the mean discounted return of simulated sessions. "
                "Deterministic policies are smoothed by Gaussian noise (setting ope_bandwidth) "
                "for the two estimators with importance weights. A low end is what a blessing "
                "looks at; its relative error is mostly how far below the truth it lies. "
                "`report.json` has Kendall's tau of every seed with a bootstrap interval over the "
                "policies, in the notes of the trials.",
            ),
            measured_on="in the simulator",
        ),
        TableDesign(
            "The values behind it",
            policies,
            (
                ("simulator", "true_return"),
                *((name, "estimated_return") for name in ESTIMATOR_NAMES),
            ),
            notes=("Bold is the highest value, not the best estimate.",),
            measured_on="in the simulator",
        ),
    )
    return Design(tables, with_requirements(seed_by_seed(tables)))
