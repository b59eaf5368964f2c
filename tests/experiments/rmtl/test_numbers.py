"""Figures of RMTL's tables, as printed."""

from mtfx.experiments.rmtl.numbers import FIGURES, PAPER_DATA, rmtl_table_1, rmtl_table_2


def test_a_column_is_one_of_the_paper_under_our_names():
    found = rmtl_table_1("synthetic-shop", "RMTL-PLE")
    assert found == rmtl_table_1("retailrocket", "RMTL-PLE")
    assert found["click", "auc"] == 0.7339
    assert found["pay", "s_logloss"] == 0.0146
    assert rmtl_table_2("retailrocket", "CW")["pay", "logloss"] == 0.0486


def test_what_the_paper_does_not_have_is_empty():
    assert rmtl_table_1("retailrocket", "no such column") == {}
    assert rmtl_table_1("my.module:SPEC", "ple") == {}
    assert rmtl_table_2("kuairand", "CW") == {}


def test_plain_ple_is_the_same_in_both_tables():
    """Its log loss on clicks too: the second table's CW is the first's PLE."""
    first, second = rmtl_table_1("retailrocket", "ple"), rmtl_table_2("retailrocket", "CW")
    assert {key: first[key] for key in second} == second


def test_every_data_set_has_every_figure():
    for dataset in PAPER_DATA:
        found = rmtl_table_1(dataset, "single_task")
        assert {figure for _, figure in found} == set(FIGURES)
        assert all(0 < number < 1 for number in found.values())
