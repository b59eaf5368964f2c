"""Designs of RMTL's Table 1, Table 2 and transfer study (sections 3.3 to 3.5), and more."""

from __future__ import annotations

import dataclasses

from mtfx.experiments.engine.design import (
    RANKING_FIGURES,
    Design,
    RankingOptions,
    RowKey,
    TableColumn,
    TableDesign,
)
from mtfx.experiments.rmtl.numbers import PAPER_DATA, rmtl_table_1, rmtl_table_2
from mtfx.experiments.rmtl.trial import RmtlTrial
from mtfx.models.mtl.registry import BACKBONES
from mtfx.setting import Value

#: The backbones that the paper combines with RMTL, as it writes them.
_RMTL_BACKBONES = {"esmm": "ESMM", "mmoe": "MMoE", "ple": "PLE"}

_FINE_TUNING = (
    "RMTL goes on training the plain model, which alone may change it: compare it with CW of Table "
    "2 too, which goes on in the same way with weights of 1."
)


def table_1(options: RankingOptions) -> Design:
    """All backbones with constant weights, D-PLE, and RMTL on three of them.

    Raises:
      ValueError: if a backbone is unknown.
    """
    backbones = options.backbones or tuple(BACKBONES)
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
    return Design.of(
        TableDesign(
            "RMTL, Table 1: performance by method",
            tuple(
                _with_paper(column, rmtl_table_1(options.dataset, column.title))
                for column in columns
            ),
            _rows(options),
            PAPER_DATA.get(options.dataset, ""),
            (_FINE_TUNING,),
        )
    )


def table_2(options: RankingOptions) -> Design:
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
                _rows(options),
                PAPER_DATA[options.dataset] if has_paper else "",
                (
                    "CW goes on training the plain model in the same way with weights of 1; the "
                    "paper's CW is its plain PLE.",
                ),
            )
        )
    return Design.of(*tables)


def transfer(options: RankingOptions) -> Design:
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
                _rows(options),
                notes=(_FINE_TUNING,),
            )
        )
    return Design.of(*tables)


#: One change at a time, by title: what the paper does not say, or what could have gone wrong.
_VARIATIONS: dict[str, tuple[tuple[str, Value], ...]] = {
    "lambda 0.1": (("lambda", 0.1),),
    "lambda 3": (("lambda", 3.0),),
    "gamma 0": (("gamma", 0.0),),
    "gamma 0.5": (("gamma", 0.5),),
    "beta 0.02": (("beta", 0.02),),
    "epsilon 0.001": (("epsilon", 0.001),),
    "loss at most 2": (("max_loss", 2.0),),
    "critic dropout 0.2": (("critic_dropout", 0.2),),
    "critics see impressions": (("critic_features", "impression"),),
    "critics see sessions": (("critic_features", "session"),),
    "mean weight 1": (("normalise_weights", "yes"),),
}
#: The same for retraining itself, each beside CW retrained in the same way.
_RETRAINING: dict[str, tuple[tuple[str, Value], ...]] = {
    "slow": (("retrain_learning_rate", 1e-4),),
    "from scratch": (("retrain_from", "scratch"),),
    "or the start": (("keep_start", "yes"),),
}


def sensitivity(options: RankingOptions) -> Design:
    """RMTL with one setting changed at a time, each compared with CW, on each backbone.

    Raises:
      ValueError: if a backbone is unknown.
    """
    tables = []
    for backbone in options.backbones or ("ple",):
        columns = [
            _plain(options, backbone),
            _varied(options, "CW", backbone, "cw", "CW"),
            _varied(options, "RMTL", backbone, "rmtl", "CW"),
        ]
        columns += [
            _varied(options, title, backbone, "rmtl", "CW", changes)
            for title, changes in _VARIATIONS.items()
        ]
        for title, changes in _RETRAINING.items():
            control = f"CW {title}"
            columns.append(_varied(options, control, backbone, "cw", control, changes))
            columns.append(_varied(options, f"RMTL {title}", backbone, "rmtl", control, changes))
        tables.append(
            TableDesign(
                f"RMTL with one setting changed at a time, on {backbone}",
                tuple(columns),
                _rows(options),
                notes=(
                    "CW goes on training the plain model in the same way with weights of 1; a "
                    "variation of retraining is compared with CW varied in the same way.",
                ),
            )
        )
    return Design.of(*tables)


def backbones(options: RankingOptions) -> Design:
    """The backbones with constant weights, each compared with the single-task one.

    Raises:
      ValueError: if a backbone is unknown.
    """
    names = options.backbones or tuple(BACKBONES)
    baseline = "single_task" if "single_task" in names else ""
    columns = tuple(_with(_plain(options, name), "single_task", baseline) for name in names)
    return Design.of(TableDesign("Backbones with constant weights", columns, _rows(options)))


def _rows(options: RankingOptions) -> tuple[RowKey, ...]:
    return tuple((task, figure) for task in options.tasks for figure in RANKING_FIGURES)


def _plain(options: RankingOptions, backbone: str) -> TableColumn:
    return TableColumn(backbone, _trials(options, backbone, "constant"))


def _column(
    options: RankingOptions, title: str, backbone: str, method: str, critic_from: str = ""
) -> TableColumn:
    trials = _trials(options, backbone, method, critic_from)
    return TableColumn(title, trials, {"backbone": backbone})


def _varied(
    options: RankingOptions,
    title: str,
    backbone: str,
    method: str,
    control: str,
    changes: tuple[tuple[str, Value], ...] = (),
) -> TableColumn:
    """A column with some settings changed, compared with the column ``control`` too."""
    settings = tuple({**dict(options.settings), **dict(changes)}.items())
    changed = dataclasses.replace(options, settings=settings)
    return _with(_column(changed, title, backbone, method), "CW", control)


def _trials(
    options: RankingOptions, backbone: str, method: str, critic_from: str = ""
) -> tuple[RmtlTrial, ...]:
    return tuple(
        RmtlTrial(backbone, method, seed, critic_from, options.settings) for seed in options.seeds
    )


def _with(column: TableColumn, comparison: str, title: str) -> TableColumn:
    """The column with a further comparison, unless it is with itself or with nothing."""
    if not title or title == column.title:
        return column
    return TableColumn(
        column.title, column.trials, {**column.against, comparison: title}, column.paper
    )


def _with_paper(column: TableColumn, paper: dict[tuple[str, str], float]) -> TableColumn:
    return TableColumn(column.title, column.trials, column.against, paper)
