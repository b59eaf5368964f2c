"""The experiments by name; one entry for each table or figure of a paper."""

from __future__ import annotations

from experiments.design import Experiment
from experiments.rmtl_plots import bar_plots, learning_plots
from experiments.rmtl_tables import backbones, sensitivity, table_1, table_2, transfer

_RMTL_TRIAL = "experiments.rmtl_trial:run_trial"

EXPERIMENTS: dict[str, Experiment] = {
    "rmtl-table1": Experiment(
        "ranking",
        "RMTL Table 1: five backbones, D-PLE, and RMTL on ESMM, MMoE and PLE",
        _RMTL_TRIAL,
        table_1,
        learning_plots,
    ),
    "rmtl-table2": Experiment(
        "ranking",
        "RMTL Table 2: loss weights CW, WL, NLC and RMTL on one backbone",
        _RMTL_TRIAL,
        table_2,
        learning_plots,
    ),
    "rmtl-transfer": Experiment(
        "ranking",
        "RMTL Figure 4: each backbone with critics trained with each",
        _RMTL_TRIAL,
        transfer,
        bar_plots,
    ),
    "rmtl-sensitivity": Experiment(
        "ranking",
        "RMTL with one setting changed at a time, against constant weights (CW)",
        _RMTL_TRIAL,
        sensitivity,
        bar_plots,
    ),
    "backbones": Experiment(
        "ranking",
        "the five backbones with constant weights, on any binary tasks",
        _RMTL_TRIAL,
        backbones,
        bar_plots,
    ),
}
