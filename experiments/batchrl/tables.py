"""The designs of BatchRL-MTF's Table 1 and Figures 5 to 8."""

from __future__ import annotations

from collections.abc import Iterable

from mtfx.experiments.batchrl.numbers import batchrl_table_1
from mtfx.experiments.batchrl.policies import TABLE_1_POLICIES, policy_spec
from mtfx.experiments.batchrl.trials import FusionTrial, Stage
from mtfx.experiments.engine.design import Column, Design, FusionOptions, RowKey, TableDesign
from mtfx.experiments.engine.requirements import with_requirements
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


def table_1(options: FusionOptions) -> Design:
    """All methods and variants, against BO and against BatchRL-MTF."""
    columns = []
    for name, spec in TABLE_1_POLICIES.items():
        against = {other: other for other in ("BO", "BatchRL-MTF") if other != spec.title}
        columns.append(
            Column(
                spec.title,
                _trials(options, "evaluation", name),
                against,
                batchrl_table_1(spec.title),
            )
        )
    return _design(
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
    return _design(
        TableDesign(
            "BatchRL-MTF, Figure 5: estimated Q at the end of training",
            tuple(
                Column(policy_spec(name).title, _trials(options, "policy", name)) for name in names
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
    columns = [Column(f"{log} log", _trials(options, "log", log)) for log in ("mixed", "random")]
    columns += [
        Column(policy_spec(name).title, _trials(options, "evaluation", name))
        for name in ("td3", "uwac_td3", "cql_sac", "bcq", "bcq_re")
    ]
    return _design(
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
    return _design(
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
        columns.append(Column(column, trials, {} if column == paper else {paper: paper}))
    return TableDesign(
        f"BatchRL-MTF, Figure 8 {title}",
        tuple(columns),
        (_OFFLINE, *SIMULATOR_ROWS),
        notes=("The data are the same for all: the policy behind them keeps its settings.",),
        measured_on=_IN_THE_SIMULATOR,
    )


def _trials(
    options: FusionOptions, stage: Stage, subject: str, changes: Values = ()
) -> tuple[FusionTrial, ...]:
    return tuple(
        FusionTrial(stage, subject, seed, options.settings, changes) for seed in options.seeds
    )


def _design(*tables: TableDesign) -> Design:
    return Design(tables, with_requirements(seed_by_seed(tables)))


def seed_by_seed(tables: Iterable[TableDesign]) -> Iterable[FusionTrial]:
    """All trials of the first seed, then of the second: an early stop leaves whole seeds."""
    columns = [column for table in tables for column in table.columns]
    for trials in zip(*(column.trials for column in columns), strict=True):
        for trial in trials:
            assert isinstance(trial, FusionTrial)
            yield trial
