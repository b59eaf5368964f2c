"""The experiments by name; one entry for each table or figure of a paper."""

from __future__ import annotations

from mtfx.experiments.batchrl.plots import (
    accuracy_plots,
    action_plots,
    q_curve_plots,
    sensitivity_plots,
)
from mtfx.experiments.batchrl.plots import mean_plots as fusion_mean_plots
from mtfx.experiments.batchrl.tables import action_distribution, ope_accuracy, q_curves
from mtfx.experiments.batchrl.tables import sensitivity as batchrl_sensitivity
from mtfx.experiments.batchrl.tables import table_1 as batchrl_table_1
from mtfx.experiments.engine.design import Experiment
from mtfx.experiments.rmtl.plots import learning_plots, mean_plots
from mtfx.experiments.rmtl.tables import backbones, sensitivity, table_1, table_2, transfer
from mtfx.experiments.xmtf.plots import curve_plots, sweep_plots, table_plots
from mtfx.experiments.xmtf.published import published as xmtf_published
from mtfx.experiments.xmtf.tables import curves as xmtf_curves
from mtfx.experiments.xmtf.tables import sweep as xmtf_sweep
from mtfx.experiments.xmtf.tables import table_3 as xmtf_table_3

_RMTL_TRIAL = "mtfx.experiments.rmtl.run:run_trial"
_FUSION_TRIAL = "mtfx.experiments.batchrl.run:run_trial"
_XMTF_TRIAL = "mtfx.experiments.xmtf.run:run_trial"
_PUBLISHED_TRIAL = "mtfx.experiments.xmtf.published:run_trial"

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
        mean_plots,
    ),
    "rmtl-sensitivity": Experiment(
        "ranking",
        "RMTL with one setting changed at a time, against constant weights (CW)",
        _RMTL_TRIAL,
        sensitivity,
        mean_plots,
    ),
    "backbones": Experiment(
        "ranking",
        "the five backbones with constant weights, on any binary tasks",
        _RMTL_TRIAL,
        backbones,
        mean_plots,
    ),
    "batchrl-table1": Experiment(
        "fusion",
        "BatchRL-MTF Table 1: BO, ES, TD3, UWAC+TD3, CQL+SAC, BatchRL-MTF and its variants",
        _FUSION_TRIAL,
        batchrl_table_1,
        fusion_mean_plots,
    ),
    "batchrl-q-curves": Experiment(
        "fusion",
        "BatchRL-MTF Figure 5: estimated Q over training, beside the true return",
        _FUSION_TRIAL,
        q_curves,
        q_curve_plots,
    ),
    "batchrl-action-distribution": Experiment(
        "fusion",
        "BatchRL-MTF Figures 6 and 7: actions of the agents beside those of their data",
        _FUSION_TRIAL,
        action_distribution,
        action_plots,
    ),
    "batchrl-sensitivity": Experiment(
        "fusion",
        "BatchRL-MTF Figure 8: perturbation bound and critics' learning rate",
        _FUSION_TRIAL,
        batchrl_sensitivity,
        sensitivity_plots,
    ),
    "ope-accuracy": Experiment(
        "fusion",
        "off-policy estimators against the simulator's truth, over 17 policies",
        _FUSION_TRIAL,
        ope_accuracy,
        accuracy_plots,
    ),
    "xmtf-table3": Experiment(
        "online",
        "xMTF Table 3: CEM, TD3 and BatchRL-MTF with formulas, xMTF and its ablations",
        _XMTF_TRIAL,
        xmtf_table_3,
        table_plots,
        seeds=20,
    ),
    "xmtf-published": Experiment(
        "online",
        "xMTF Table 3 in its published simulator, which is circular, and under independent users",
        _PUBLISHED_TRIAL,
        xmtf_published,
        table_plots,
    ),
    "xmtf-lambda": Experiment(
        "online",
        "xMTF Table 4: weight λ of the monotonicity loss",
        _XMTF_TRIAL,
        xmtf_sweep,
        sweep_plots,
        seeds=20,
    ),
    "xmtf-curves": Experiment(
        "online",
        "xMTF Figures 5 to 7: the cells' curves by user, prediction and λ, of both families",
        _XMTF_TRIAL,
        xmtf_curves,
        curve_plots,
        seeds=1,
    ),
}
