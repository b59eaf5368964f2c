"""Designs of xMTF's Tables 3 and 4, with its numbers, and of its Figures 5 to 7."""

from __future__ import annotations

from mtfx.experiments.engine.design import Design, FusionOptions, RowKey, TableColumn, TableDesign
from mtfx.experiments.xmtf.trial import METHODS, XmtfTrial
from mtfx.setting import Value

#: λ of Table 4.
LAMBDAS = (0.0, 0.1, 0.4, 0.9, 1.0)
_SIMULATOR: tuple[RowKey, ...] = (
    ("simulator", "watch_s"),
    ("simulator", "true_return"),
    ("simulator", "views"),
    ("simulator", "positive_rate"),
)
_CELLS: tuple[RowKey, ...] = (("cells", "inner_violations"), ("cells", "violations"))
_IN_THE_SIMULATOR = "in the simulator"
_PAPER_DATA = "its KuaiRand simulator"

_PROTOCOL = (
    "Each seed learns and is measured anew. An agent acts and learns at once: first random "
    "exploration, then noise around its own actions, with one update of a batch from the buffer "
    "for a request of every lane. All agents share sessions, buffer, batch, exploration, learning "
    "rates, the size of their networks and the normalisation of states. BatchRL-MTF's agent, whose "
    "paper trains it on logs, learns here from what its own exploration has collected so far. "
    "xMTF's cells learn monotonicity and their own order from as many requests as the warm-up has "
    "before that begins (setting *preparation*), without any reward. CEM "
    "searches one weight vector, on as many sessions as the agents have. All methods of a seed are "
    "measured on the same simulated sessions, which no training has seen."
)
_REWARD = (
    "The reward is the minutes watched (setting *reward*), discounted by *gamma*; the figure that "
    "counts is the seconds watched in a whole session, as in the paper. In the paper xMTF has "
    "1.08 times the watch time of the best formula-based method, BatchRL-MTF-2, and 1.37 times "
    "that of CEM-2."
)
_TRANSFER = (
    "*xMTF, hinge transfer* is ours: (16) is a hinge, which is 0 where the outer stage's order "
    "is learnt, in the place of the BPR loss."
)
_VIOLATIONS = (
    "A violation is a pair of candidates of one request that a cell ranks against its prediction; "
    "shares are means over predictions, of the inner stage alone and of both stages."
)


#: "xMTF: A Formula-Free Model for Reinforcement-Learning-Based Multi-Task Fusion in Recommender
#: Systems" (Cao et al., 2025), by column of Table 3: total watch time of a session in seconds, in a
#: simulator on KuaiRand, mean over 20 trials. Its deviations are in its table only.
_TABLE_3 = {
    "CEM-1": 897.5,
    "CEM-2": 931.2,
    "TD3-1": 1088.7,
    "TD3-2": 1129.1,
    "BatchRL-MTF-1": 1137.3,
    "BatchRL-MTF-2": 1185.4,
    "xMTF": 1279.7,
    "xMTF w/o outer": 1092.8,
    "xMTF w/o inner": 1106.3,
}
#: By λ, Table 4.
_TABLE_4 = {0.0: 732.8, 0.1: 1073.2, 0.4: 1279.7, 0.9: 1254.4, 1.0: 1103.1}
_ROW = ("simulator", "watch_s")


def table_3(options: FusionOptions) -> Design:
    """All methods, each against xMTF and against equal weights."""
    columns = [
        TableColumn(
            spec.title,
            trials_of(options, name),
            {other: other for other in ("xMTF", "equal weights") if other != spec.title},
            printed_in_table_3(spec.title),
        )
        for name, spec in METHODS.items()
        if spec.learner != "expected"
    ]
    columns.append(
        TableColumn(
            "xMTF, hinge transfer",
            trials_of(options, "xmtf", (("transfer", "hinge"),)),
            {"xMTF": "xMTF", "equal weights": "equal weights"},
        )
    )
    return Design.of(
        TableDesign(
            "xMTF, Table 3: methods and ablations",
            tuple(columns),
            (*_SIMULATOR, *_CELLS),
            _PAPER_DATA,
            (_PROTOCOL, _REWARD, _VIOLATIONS, _TRANSFER),
            _IN_THE_SIMULATOR,
            deviations=True,
            paper_changes=False,
        )
    )


def sweep(options: FusionOptions) -> Design:
    """Table 4: xMTF with each λ of (18), against the paper's best, 0.4."""
    columns = [
        TableColumn(
            lambda_title(value),
            trials_of(options, "xmtf", (("lambda", value),)),
            {} if value == 0.4 else {lambda_title(0.4): lambda_title(0.4)},
            _printed_in_table_4(value),
        )
        for value in LAMBDAS
    ]
    return Design.of(
        TableDesign(
            "xMTF, Table 4: weight λ of the monotonicity loss",
            tuple(columns),
            (*_SIMULATOR, *_CELLS),
            _PAPER_DATA,
            (_REWARD, _VIOLATIONS),
            _IN_THE_SIMULATOR,
            deviations=True,
            paper_changes=False,
        )
    )


def curves(options: FusionOptions) -> Design:
    """The cells' curves and how often they fall, of both families (Figures 5 to 7)."""
    columns = [
        TableColumn(lambda_title(value), trials_of(options, "xmtf", (("lambda", value),)))
        for value in LAMBDAS
    ]
    columns.append(TableColumn("basis cells", trials_of(options, "xmtf_basis")))
    return Design.of(
        TableDesign(
            "xMTF, Figures 5 to 7: how often the cells fall",
            tuple(columns),
            (*_CELLS, ("simulator", "watch_s")),
            notes=(_VIOLATIONS,),
            measured_on=_IN_THE_SIMULATOR,
        )
    )


def lambda_title(value: float) -> str:
    """A column's title."""
    return f"λ {value:g}"


def trials_of(
    options: FusionOptions, name: str, changes: tuple[tuple[str, Value], ...] = ()
) -> tuple[XmtfTrial, ...]:
    """The trials of a method, one per seed.

    Args:
      options: Seeds and settings.
      name: Of the method.
      changes: Settings that the column differs by.
    """
    settings = tuple({**dict(options.settings), **dict(changes)}.items())
    return tuple(XmtfTrial(name, seed, settings) for seed in options.seeds)


def printed_in_table_3(column: str) -> dict[tuple[str, str], float]:
    """Of Table 3: by our row, the number of a column; empty where it has none."""
    return {_ROW: _TABLE_3[column]} if column in _TABLE_3 else {}


def _printed_in_table_4(monotonicity_weight: float) -> dict[tuple[str, str], float]:
    """Of Table 4, by λ."""
    found = _TABLE_4.get(monotonicity_weight)
    return {} if found is None else {_ROW: found}
