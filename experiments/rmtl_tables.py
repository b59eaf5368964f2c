"""The designs of RMTL's Table 1, Table 2 and transfer study (sections 3.3 to 3.5)."""

from __future__ import annotations

from collections.abc import Iterable

from experiments.design import Column, Design, ExperimentOptions, TableDesign
from experiments.paper_numbers import PAPER_DATA, rmtl_table_1, rmtl_table_2
from experiments.trials import RmtlTrial, with_requirements
from models.sizes import BACKBONE_NAMES

#: The backbones that the paper combines with RMTL, as it writes them.
_RMTL_BACKBONES = {"esmm": "ESMM", "mmoe": "MMoE", "ple": "PLE"}

_FINE_TUNING = (
    "RMTL goes on training the plain model, which alone may change it: compare it with CW of Table "
    "2 too, which goes on in the same way with weights of 1."
)


def table_1(options: ExperimentOptions) -> Design:
    """All backbones with constant weights, D-PLE, and RMTL on three of them.

    Raises:
      ValueError: if a backbone is unknown.
    """
    backbones = options.backbones or BACKBONE_NAMES
    columns = [_plain(options, name) for name in backbones]
    if "ple" in backbones:
        columns.append(_column(options, "D-PLE", "ple", "ddpg"))
    columns += [
        _column(options, f"RMTL-{_RMTL_BACKBONES[name]}", name, "rmtl")
        for name in backbones
        if name in _RMTL_BACKBONES
    ]
    baseline = "single_task" if "single_task" in backbones else ""
    columns = [_with(column, "single_task", baseline) for column in columns]
    return _design(
        TableDesign(
            "RMTL, Table 1: performance by method",
            tuple(
                _with_paper(column, rmtl_table_1(options.dataset, column.title))
                for column in columns
            ),
            PAPER_DATA.get(options.dataset, ""),
            (_FINE_TUNING,),
        )
    )


def table_2(options: ExperimentOptions) -> Design:
    """What the weights of the loss are worth: CW, WL, NLC and RMTL, on each backbone.

    Raises:
      ValueError: if a backbone is unknown.
    """
    tables = []
    for backbone in options.backbones or ("ple",):
        rmtl = f"RMTL-{_RMTL_BACKBONES.get(backbone, backbone)}"
        columns = [_plain(options, backbone)]
        for title, method in (("CW", "cw"), ("WL", "wl"), ("NLC", "nlc"), (rmtl, "rmtl")):
            column = _with(_column(options, title, backbone, method), "CW", "CW")
            paper = rmtl_table_2(options.dataset, title) if backbone == "ple" else {}
            columns.append(_with_paper(column, paper))
        has_paper = any(column.paper for column in columns)
        tables.append(
            TableDesign(
                f"RMTL, Table 2: loss weights on {backbone}",
                tuple(columns),
                PAPER_DATA[options.dataset] if has_paper else "",
                (
                    "CW goes on training the plain model in the same way with weights of 1; the "
                    "paper's CW is its plain PLE.",
                ),
            )
        )
    return _design(*tables)


def transfer(options: ExperimentOptions) -> Design:
    """Each backbone with critics that were trained with each (section 3.4).

    Raises:
      ValueError: if a backbone is unknown.
    """
    backbones = options.backbones or tuple(_RMTL_BACKBONES)
    tables = []
    for backbone in backbones:
        columns = [_plain(options, backbone)]
        columns += [
            _column(options, f"critics of {other}", backbone, "rmtl", other) for other in backbones
        ]
        tables.append(
            TableDesign(
                f"RMTL, transfer: {backbone} with critics of {', '.join(backbones)}",
                tuple(columns),
                notes=(_FINE_TUNING,),
            )
        )
    return _design(*tables)


def _plain(options: ExperimentOptions, backbone: str) -> Column:
    return Column(backbone, _trials(options, backbone, "constant"))


def _column(
    options: ExperimentOptions, title: str, backbone: str, method: str, critic_from: str = ""
) -> Column:
    trials = _trials(options, backbone, method, critic_from)
    return Column(title, trials, {"backbone": backbone})


def _trials(
    options: ExperimentOptions, backbone: str, method: str, critic_from: str = ""
) -> tuple[RmtlTrial, ...]:
    return tuple(
        RmtlTrial(backbone, method, seed, critic_from, options.settings) for seed in options.seeds
    )


def _with(column: Column, comparison: str, title: str) -> Column:
    """The column with a further comparison, unless it is with itself or with nothing."""
    if not title or title == column.title:
        return column
    return Column(column.title, column.trials, {**column.against, comparison: title}, column.paper)


def _with_paper(column: Column, paper: dict[tuple[str, str], float]) -> Column:
    return Column(column.title, column.trials, column.against, paper)


def _design(*tables: TableDesign) -> Design:
    return Design(tables, with_requirements(_by_seed(tables)))


def _by_seed(tables: Iterable[TableDesign]) -> Iterable[RmtlTrial]:
    """All trials of the first seed, then of the second: an early stop leaves whole seeds."""
    columns = [column for table in tables for column in table.columns]
    for trials in zip(*(column.trials for column in columns), strict=True):
        for trial in trials:
            assert isinstance(trial, RmtlTrial)
            yield trial
