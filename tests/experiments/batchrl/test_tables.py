import pytest

from mtfx.experiments.batchrl.tables import (
    action_distribution,
    ope_accuracy,
    q_curves,
    sensitivity,
    table_1,
)
from mtfx.experiments.engine.design import FusionOptions
from mtfx.experiments.engine.table_text import markdown
from mtfx.experiments.engine.tables import fill_table

OPTIONS = FusionOptions((0, 1))


def columns(table):
    return {column.title: column for column in table.columns}


def test_table_1_has_the_papers_columns_against_bo_with_its_figures():
    [table] = table_1(OPTIONS).tables
    found = columns(table)
    assert list(found) == [
        *("constant", "BO", "ES", "TD3", "UWAC+TD3", "CQL+SAC", "BatchRL-MTF"),
        *("BatchRL-MTF-RE", "BatchRL-MTF-Rtime", "BatchRL-MTF-Rintegrity"),
        "BatchRL-MTF-Rinteraction",
    ]
    assert set(found["TD3"].against) == {"BO", "BatchRL-MTF"}
    assert set(found["BO"].against) == {"BatchRL-MTF"}
    assert set(found["BatchRL-MTF"].against) == {"BO"}
    assert found["TD3"].paper == {("offline", "estimated_return"): -648.162}
    assert found["BatchRL-MTF"].paper[("simulator", "watch_s")] == 2.216
    assert found["BatchRL-MTF-RE"].paper[("simulator", "positive_rate")] == -1.282
    assert found["BO"].paper == found["constant"].paper == {}
    assert [trial.seed for trial in found["ES"].trials] == [0, 1]


def result(**simulator):
    return {"metrics": {"simulator": simulator, "offline": {"estimated_return": 1.0}}}


def test_figures_of_the_simulator_are_compared_in_percent():
    [table] = table_1(OPTIONS).tables
    results = {}
    for title, values in (("BO", (100.0, 50.0)), ("BatchRL-MTF", (110.0, 60.0))):
        for trial, watch in zip(columns(table)[title].trials, values, strict=True):
            results[trial.key] = result(watch_s=watch, positive_rate=0.0, true_return=3.0)
    filled = fill_table(table, (0, 1), results)
    rows = {row.figure: row.cells["BatchRL-MTF"] for row in filled.rows}
    assert rows["watch_s"].differences["BO"].difference.mean == pytest.approx(15.0)
    # A change from nothing is not defined.
    assert rows["positive_rate"].differences["BO"].difference.mean is None
    assert rows["true_return"].differences["BO"].difference.mean == 0.0
    text = markdown(filled)
    assert "| change from BO |" in text
    assert "+15.00% ±" in text
    assert "| paper, its platform |  |  | +0.376% |" in text
    assert "| paper, its platform |  |  |  | -648.162 | -297.053 | 5.194 |" in text
    assert "Mean over 2 seeds in the simulator" in text


def test_experiments_share_their_trials_and_finish_seed_by_seed():
    keys = {
        make.__name__: {trial.key for trial in make(OPTIONS).trials}
        for make in (table_1, q_curves, action_distribution, sensitivity, ope_accuracy)
    }
    assert keys["q_curves"] <= keys["table_1"]
    assert keys["action_distribution"] <= keys["table_1"]
    assert {"evaluation-bcq-seed0", "policy-bcq-seed1"} <= set.intersection(
        *(keys[name] for name in ("table_1", "sensitivity", "ope_accuracy"))
    )
    seeds = [trial.seed for trial in ope_accuracy(OPTIONS).trials]
    assert seeds == sorted(seeds)


def test_sensitivity_varies_the_policy_and_not_its_data():
    tables = sensitivity(FusionOptions((0,))).tables
    assert list(columns(tables[0])) == [f"rho {value}" for value in (0.05, 0.1, 0.15, 0.3, 0.5)]
    trials = [column.trials[0] for table in tables for column in table.columns]
    assert len({trial.log for trial in trials}) == 1
    assert len({trial.key for trial in trials}) == 9
    assert columns(tables[0])["rho 0.3"].against == {"rho 0.15": "rho 0.15"}
    assert columns(tables[0])["rho 0.15"].against == {}


def test_settings_reach_the_trials():
    options = FusionOptions((0,), (("requests", 500), ("steps", 7)))
    for design in (table_1(options), ope_accuracy(options)):
        assert {trial.config.requests for trial in design.trials} == {500}
        assert {t.config.steps for t in design.trials if t.stage == "policy"} == {7}
