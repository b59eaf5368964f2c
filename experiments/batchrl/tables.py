"""Designs of BatchRL-MTF's Table 1 with its numbers, of its Figures 5 to 8, and of estimators."""

from __future__ import annotations

from mtfx.experiments.batchrl.policies import ACCURACY_POLICIES, TABLE_1_POLICIES, policy_spec
from mtfx.experiments.batchrl.trial import ESTIMATOR_NAMES, FusionTrial, Stage
from mtfx.experiments.engine.design import Design, FusionOptions, RowKey, TableColumn, TableDesign
from mtfx.setting import Values

SIMULATOR_ROWS: tuple[RowKey, ...] = (
    ("simulator", "true_return"),
    ("simulator", "watch_s"),
    ("simulator", "positive_rate"),
    ("simulator", "views"),
)
_OFFLINE: RowKey = ("offline", "estimated_return")
_ACTIONS: tuple[RowKey, ...] = (
    ("actions", "distance"),
    ("actions", "extreme"),
    ("actions", "spread"),
)
_IN_THE_SIMULATOR = "in the simulator"

_PROTOCOL = (
    "Each seed explores, trains and measures anew. Its data are a log of random exploration, on "
    "which BatchRL-MTF-RE is trained, and one of as many requests of mixed exploration (half of "
    "the users random, half noise around BatchRL-MTF-RE), on whose first sessions all other agents "
    "are trained. BO and ES search in the simulator with as many sessions as the mixed log has. "
    "All policies of a seed are measured on the same simulated sessions: of the users that the "
    "logs have too, but with moods, candidates and luck that no log has seen."
)
_UNITS = (
    "*offline* is the conservative estimate on the mixed log's last sessions, *simulator* the "
    "truth; both value the default reward, whatever a variant learnt from. The paper's offline "
    "values are in units of its own reward; its watch time and positive-interaction rate are of "
    "users per day on a live platform, and changes from BO."
)


#: "Multi-Task Fusion via Reinforcement Learning for Long-Term User Satisfaction in Recommender
#: Systems" (Zhang et al., 2022), Table 1, by column: offline value, ADTime and UPIRate; None where
#: it prints none. The offline values are in units of its own, unpublished reward. The online
#: figures are changes in percent from Bayesian optimisation (BO) on its live platform: of the time
#: spent in the app per user and day (ADTime), and of the share of plays with a positive interaction
#: (UPIRate). Its Figures 5 to 8 have no numbers in the text.
_TABLE_1: dict[str, tuple[float | None, float | None, float | None]] = {
    "ES": (None, 0.376, 0.402),
    "TD3": (-648.162, None, None),
    "UWAC+TD3": (-297.053, -0.513, 16.061),
    "CQL+SAC": (5.194, 2.322, 10.258),
    "BatchRL-MTF": (4.126, 2.216, 9.118),
    "BatchRL-MTF-RE": (3.023, 0.862, -1.282),
    "BatchRL-MTF-Rtime": (None, 2.254, 8.877),
    "BatchRL-MTF-Rintegrity": (None, 1.996, 9.464),
    "BatchRL-MTF-Rinteraction": (None, 2.550, 9.651),
}
#: Our rows for the three.
_ROWS = (
    ("offline", "estimated_return"),
    ("simulator", "watch_s"),
    ("simulator", "positive_rate"),
)


def table_1(options: FusionOptions) -> Design:
    """All methods and variants, against BO and against BatchRL-MTF."""
    columns = []
    for name, spec in TABLE_1_POLICIES.items():
        against = {other: other for other in ("BO", "BatchRL-MTF") if other != spec.title}
        columns.append(
            TableColumn(
                spec.title,
                _trials(options, "evaluation", name),
                against,
                _printed_in_table_1(spec.title),
            )
        )
    return Design.of(
        TableDesign(
            "BatchRL-MTF, Table 1: methods and variants",
            tuple(columns),
            (_OFFLINE, *SIMULATOR_ROWS),
            "its platform",
            (_PROTOCOL, _UNITS),
            _IN_THE_SIMULATOR,
        )
    )


def q_curves(options: FusionOptions) -> Design:
    """What each agent expects of a session, and what it earns (Figure 5)."""
    names = ("td3", "uwac_td3", "cql_sac", "bcq")
    rows = ("q_mean", "q_deviation", "true_return", "q_error")
    return Design.of(
        TableDesign(
            "BatchRL-MTF, Figure 5: estimated Q at the end of training",
            tuple(
                TableColumn(policy_spec(name).title, _trials(options, "policy", name))
                for name in names
            ),
            tuple(("session starts", row) for row in rows),
            notes=(
                "Q is the lower of an agent's two critics at the starts of its data's sessions, "
                "with its own action: what it expects a session to be worth. The true return is "
                "the mean of simulated sessions with the same policy and discount.",
            ),
            measured_on=_IN_THE_SIMULATOR,
        )
    )


def action_distribution(options: FusionOptions) -> Design:
    """Where the actions of each agent lie, beside those of its data (Figures 6 and 7)."""
    columns = [
        TableColumn(f"{log} log", _trials(options, "log", log)) for log in ("mixed", "random")
    ]
    columns += [
        TableColumn(policy_spec(name).title, _trials(options, "evaluation", name))
        for name in ("td3", "uwac_td3", "cql_sac", "bcq", "bcq_re")
    ]
    return Design.of(
        TableDesign(
            "BatchRL-MTF, Figures 6 and 7: distribution of the actions",
            tuple(columns),
            _ACTIONS,
            notes=(
                "Means over the coordinates of the action, on the states of the mixed log's last "
                "sessions. The distance is the 1-Wasserstein distance to the logged actions; an "
                "action beyond 0.95 of its bound counts as at the bound.",
            ),
            measured_on=_IN_THE_SIMULATOR,
        )
    )


_RHO = (0.05, 0.1, 0.15, 0.3, 0.5)
_ETA = (5e-5, 1e-4, 2e-4, 5e-4, 1e-3)


def sensitivity(options: FusionOptions) -> Design:
    """BatchRL-MTF with another perturbation bound or critics' learning rate (Figure 8)."""
    return Design.of(
        _varied(options, "rho", _RHO, 0.15, "a: perturbation bound rho"),
        _varied(options, "critic_learning_rate", _ETA, 2e-4, "b: critics' learning rate eta"),
    )


def _varied(
    options: FusionOptions, name: str, values: tuple[float, ...], default: float, title: str
) -> TableDesign:
    paper = f"{name} {default:g}"
    columns = []
    for value in values:
        column = f"{name} {value:g}"
        trials = _trials(options, "evaluation", "bcq", ((name, value),))
        columns.append(TableColumn(column, trials, {} if column == paper else {paper: paper}))
    return TableDesign(
        f"BatchRL-MTF, Figure 8 {title}",
        tuple(columns),
        (_OFFLINE, *SIMULATOR_ROWS),
        notes=("The data are the same for all: the policy behind them keeps its settings.",),
        measured_on=_IN_THE_SIMULATOR,
    )


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
        TableColumn(
            name,
            _trials(options, "accuracy", name),
            {} if name == _PAPERS else {_PAPERS: _PAPERS},
        )
        for name in ESTIMATOR_NAMES
    )
    policies = tuple(
        TableColumn(
            policy_spec(name).title,
            _trials(options, "estimates", name),
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
            measured_on=_IN_THE_SIMULATOR,
        ),
        TableDesign(
            "The values behind it",
            policies,
            (
                ("simulator", "true_return"),
                *((name, "estimated_return") for name in ESTIMATOR_NAMES),
            ),
            notes=("Bold is the highest value, not the best estimate.",),
            measured_on=_IN_THE_SIMULATOR,
        ),
    )
    return Design.of(*tables)


def _trials(
    options: FusionOptions, stage: Stage, subject: str, changes: Values = ()
) -> tuple[FusionTrial, ...]:
    return tuple(
        FusionTrial(stage, subject, seed, options.settings, changes) for seed in options.seeds
    )


def _printed_in_table_1(column: str) -> dict[tuple[str, str], float]:
    """BatchRL-MTF's Table 1: by our row, the number of a column; empty where it has none."""
    numbers = _TABLE_1.get(column, ())
    return {row: number for row, number in zip(_ROWS, numbers, strict=False) if number is not None}
