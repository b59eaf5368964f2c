import pytest

from mtfx.experiments.engine.design import RankingOptions, TableColumn, TableDesign
from mtfx.experiments.engine.run import load_trial_function
from mtfx.experiments.registry import EXPERIMENTS
from mtfx.experiments.rmtl.tables import backbones, sensitivity, table_1, table_2, transfer

TASKS = ("click", "pay")


def options(dataset="retailrocket", tasks=TASKS, seeds=(0, 1), backbones=(), settings=()):
    return RankingOptions(dataset, tasks, seeds, backbones, settings)


def columns(table):
    return {column.title: column for column in table.columns}


def test_table_1_has_the_papers_columns_and_figures():
    [table] = table_1(options()).tables
    assert [column.title for column in table.columns] == [
        *("single_task", "shared_bottom", "esmm", "mmoe", "ple"),
        *("D-PLE", "RMTL-ESMM", "RMTL-MMoE", "RMTL-PLE"),
    ]
    found = columns(table)
    assert found["RMTL-MMoE"].against == {"backbone": "mmoe", "single_task": "single_task"}
    assert found["D-PLE"].against == {"backbone": "ple", "single_task": "single_task"}
    assert found["ple"].against == {"single_task": "single_task"}
    assert found["single_task"].against == {}
    assert [trial.key for trial in found["D-PLE"].trials] == ["ple-ddpg-seed0", "ple-ddpg-seed1"]
    assert table.paper_data == "RetailRocket"
    assert found["RMTL-PLE"].paper[("click", "auc")] == 0.7339
    assert found["RMTL-PLE"].paper[("pay", "auc")] == 0.7419
    assert found["RMTL-MMoE"].paper[("click", "logloss")] == 0.1995
    assert found["esmm"].paper[("pay", "s_logloss")] == 0.0150


def test_the_papers_kuairand_stands_beside_its_imitation():
    [table] = table_1(options("synthetic-video", ("click", "long_view"))).tables
    assert table.paper_data == "KuaiRand"
    assert columns(table)["RMTL-ESMM"].paper[("long_view", "auc")] == 0.7377
    assert table_1(options("mine:SPEC")).tables[0].columns[0].paper == {}


def test_table_1_of_some_backbones():
    [table] = table_1(options(backbones=("shared_bottom", "mmoe"))).tables
    assert list(columns(table)) == ["shared_bottom", "mmoe", "RMTL-MMoE"]
    assert columns(table)["RMTL-MMoE"].against == {"backbone": "mmoe"}


def test_table_2_compares_with_cw_too():
    [table] = table_2(options()).tables
    found = columns(table)
    assert list(found) == ["ple", "CW", "WL", "NLC", "RMTL-PLE"]
    assert found["CW"].against == {"backbone": "ple"}
    assert found["WL"].against == {"backbone": "ple", "CW": "CW"}
    assert found["WL"].paper[("click", "logloss")] == 0.2218
    assert table.paper_data == "RetailRocket"
    [table] = table_2(options("kuairand")).tables
    assert table.paper_data == ""
    two = table_2(options(backbones=("ple", "mmoe"))).tables
    assert [table.columns[0].title for table in two] == ["ple", "mmoe"]
    assert all(column.paper == {} for column in two[1].columns)


def test_transfer_applies_every_critic_to_every_backbone():
    tables = transfer(options(seeds=(0,))).tables
    assert [table.columns[0].title for table in tables] == ["esmm", "mmoe", "ple"]
    for table in tables:
        assert len(table.columns) == 4
        own = columns(table)[f"critics of {table.columns[0].title}"].trials[0]
        assert own.critic_from == ""
    assert tables[0].columns[3].trials[0].requires == ("esmm-constant-seed0", "ple-critics-seed0")


def test_experiments_share_trials_and_finish_seed_by_seed():
    keys = [{t.key for t in make(options()).trials} for make in (table_1, table_2, transfer)]
    assert {"ple-constant-seed0", "ple-critics-seed0", "ple-rmtl-seed0"} <= set.intersection(*keys)
    seeds = [trial.seed for trial in table_1(options()).trials]
    assert seeds == sorted(seeds)


def test_settings_reach_every_trial_that_they_concern():
    design = table_2(options(settings=(("lambda", 0.3), ("scale", "small"))))
    assert {trial.config.scale for trial in design.trials} == {"small"}
    assert {t.method for t in design.trials if t.config.lambda_ == 0.3} == {"rmtl", "wl"}


def test_an_unknown_backbone_is_refused():
    with pytest.raises(ValueError, match="no backbone 'pple'"):
        transfer(options(backbones=("pple",)))


def test_a_table_is_consistent():
    with pytest.raises(ValueError, match="one title"):
        TableDesign("t", (TableColumn("a", ()), TableColumn("a", ())), ())
    with pytest.raises(ValueError, match="compared with no column"):
        TableDesign("t", (TableColumn("a", (), {"backbone": "b"}),), ())


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_entry_can_be_designed_and_its_function_exists(name):
    experiment = EXPERIMENTS[name]
    assert experiment.design(options()).trials
    assert callable(load_trial_function(experiment.trial_function))


def test_sensitivity_changes_one_setting_and_shares_the_rest():
    [table] = sensitivity(options(settings=(("lambda", 0.5),))).tables
    found = columns(table)
    assert dict(found["RMTL"].trials[0].settings) == {"lambda": 0.5}
    assert dict(found["lambda 3"].trials[0].settings) == {"lambda": 3.0}
    assert dict(found["gamma 0"].trials[0].settings) == {"lambda": 0.5, "gamma": 0.0}
    assert found["gamma 0"].against == {"backbone": "ple", "CW": "CW"}
    assert found["RMTL from scratch"].against == {"backbone": "ple", "CW": "CW from scratch"}
    assert found["CW slow"].against == {"backbone": "ple"}
    # Another lambda, or another retraining, trains no critics of its own.
    assert found["lambda 3"].trials[0].critics == found["RMTL slow"].trials[0].critics
    assert found["gamma 0"].trials[0].critics != found["RMTL"].trials[0].critics


def test_backbones_are_compared_with_the_single_task_model():
    [table] = backbones(options(tasks=("click", "like", "follow"))).tables
    assert len(table.columns) == 5
    assert columns(table)["ple"].against == {"single_task": "single_task"}
    assert {trial.method for trial in backbones(options()).trials} == {"constant"}
