"""The experiments by name; one entry for each table or figure of a paper."""

from __future__ import annotations

from experiments.design import Experiment
from experiments.rmtl_plots import learning_plots, transfer_plots
from experiments.rmtl_tables import table_1, table_2, transfer

_RMTL_TRIAL = "experiments.rmtl_trial:run_trial"

EXPERIMENTS: dict[str, Experiment] = {
    "rmtl-table1": Experiment(
        "RMTL Table 1: five backbones, D-PLE, and RMTL on ESMM, MMoE and PLE",
        _RMTL_TRIAL,
        table_1,
        learning_plots,
    ),
    "rmtl-table2": Experiment(
        "RMTL Table 2: loss weights CW, WL, NLC and RMTL on one backbone",
        _RMTL_TRIAL,
        table_2,
        learning_plots,
    ),
    "rmtl-transfer": Experiment(
        "RMTL Figure 4: each backbone with critics trained with each",
        _RMTL_TRIAL,
        transfer,
        transfer_plots,
    ),
}
