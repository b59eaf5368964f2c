import dataclasses
import io
import json

import pytest
from rich.console import Console
from scipy import stats

from mtfx.experiments.engine.design import RANKING_FIGURES, TableColumn, TableDesign
from mtfx.experiments.engine.table_text import console_legend, console_tables, markdown
from mtfx.experiments.engine.tables import fill_table
from mtfx.experiments.rmtl.trial import RmtlTrial

SEEDS = (0, 1, 2)
PLAIN = [RmtlTrial("ple", "constant", seed) for seed in SEEDS]
RMTL = [RmtlTrial("ple", "rmtl", seed) for seed in SEEDS]
ROWS = tuple(("click", figure) for figure in RANKING_FIGURES)
DESIGN = TableDesign(
    "A table",
    (
        TableColumn("ple", tuple(PLAIN), paper={("click", "auc"): 0.7308}),
        TableColumn("RMTL-PLE", tuple(RMTL), {"backbone": "ple"}, {("click", "auc"): 0.7339}),
    ),
    ROWS,
    paper_data="RetailRocket",
    notes=("Read with care.",),
)
PLAIN_AUC, RMTL_AUC = (0.71, 0.72, 0.74), (0.72, 0.735, 0.75)


def result(auc):
    return {"metrics": {"click": {"auc": auc, "logloss": 0.5, "s_logloss": 0.4}}}


def results():
    found = {trial.key: result(auc) for trial, auc in zip(PLAIN, PLAIN_AUC, strict=True)}
    return found | {trial.key: result(auc) for trial, auc in zip(RMTL, RMTL_AUC, strict=True)}


def fill(found, tasks=("click",)):
    rows = tuple((task, figure) for task in tasks for figure in RANKING_FIGURES)
    return fill_table(dataclasses.replace(DESIGN, rows=rows), SEEDS, found)


def test_cells_are_means_and_differences_paired_by_seed():
    table = fill(results())
    assert [(row.task, row.figure) for row in table.rows] == [
        ("click", "auc"),
        ("click", "logloss"),
        ("click", "s_logloss"),
    ]
    cell = table.rows[0].cells["RMTL-PLE"]
    assert cell.values == RMTL_AUC
    assert cell.mean.mean == pytest.approx(0.735)
    assert cell.differences["backbone"].difference.mean == pytest.approx((0.01 + 0.015 + 0.01) / 3)
    assert cell.differences["backbone"].p == pytest.approx(stats.ttest_rel(RMTL_AUC, PLAIN_AUC)[1])
    assert table.rows[1].cells["RMTL-PLE"].differences["backbone"].p is None


def test_a_failed_trial_or_an_undefined_figure_is_left_out_with_its_pair():
    found = results()
    del found[PLAIN[0].key]
    found[RMTL[1].key] = result(None)
    cell = fill(found).rows[0].cells["RMTL-PLE"]
    assert cell.values == (0.72, None, 0.75)
    assert cell.differences["backbone"].difference.n == 1
    assert cell.differences["backbone"].p is None


def test_markdown_shows_differences_and_the_papers_figures():
    lines = markdown(fill(results())).splitlines()
    assert lines[0] == "## A table"
    assert lines[2] == "|  | ple | RMTL-PLE |"
    assert lines[4] == "| **click, AUC** ↑ | 0.7233 ± 0.0379 | **0.7350 ± 0.0373** |"
    assert lines[5] == "| less backbone |  | +0.0117 ± 0.0072, p = 0.020* |"
    assert lines[6] == "| paper, RetailRocket | 0.7308 | 0.7339 |"
    assert lines[7].startswith("| **click, log loss** ↓ | **0.5000 ± 0.0000** |")
    assert lines[8] == "| less backbone |  | +0.0000 ± 0.0000 |"
    assert "*less backbone*: RMTL-PLE less ple." in lines[-3]
    assert lines[-1] == "Read with care."
    widths = {line.count("|") for line in lines if line.startswith("|")}
    assert widths == {4}


def test_nothing_at_all_is_shown_as_nothing():
    text = markdown(fill({}))
    assert "| **click, AUC** ↑ | - | - |" in text
    assert "nan" not in text.lower()


def test_one_seed_says_that_it_proves_nothing():
    design = TableDesign(
        "A table",
        (TableColumn("ple", (PLAIN[0],)), TableColumn("mmoe", (RMTL[0],), {"backbone": "ple"})),
        ROWS,
    )
    table = fill_table(design, (0,), results())
    text = markdown(table)
    assert "one seed, so there is no interval and no test" in text
    assert "| less backbone |  | +0.0100 |" in text
    assert "±" not in text.split("Mean over")[0]


def test_the_terminal_has_a_table_per_task():
    out = io.StringIO()
    console = Console(file=out, width=100)
    table = fill(results(), ("click", "pay"))
    for shown in console_tables(table):
        console.print(shown)
    console.print(console_legend(table))
    text = out.getvalue()
    assert "A table: click" in text
    assert "A table: pay" in text
    words = " ".join(text.split())
    assert "RMTL-PLE 0.7350 ± 0.0373 +0.0117* 0.5000 ± 0.0000 +0.0000" in words
    assert "the difference to its backbone; * p < 0.05" in words


def test_a_table_that_compares_nothing_explains_no_differences():
    alone = dataclasses.replace(DESIGN, columns=(DESIGN.columns[0],))
    table = fill_table(alone, SEEDS, results())
    for text in (markdown(table), console_legend(table)):
        assert "95%" in text
        assert "difference" not in text.lower()
        assert "p <" not in text
    assert "Bold" not in markdown(table)


def test_json_has_every_seeds_value():
    values = json.loads(json.dumps(fill(results()).to_dict(), allow_nan=False))
    cell = values["rows"][0]["cells"]["RMTL-PLE"]
    assert cell["values"] == list(RMTL_AUC)
    assert cell["paper"] == 0.7339
    assert cell["differences"]["backbone"]["p"] == pytest.approx(0.0198, abs=1e-4)
    assert values["columns"]["RMTL-PLE"]["trials"][0] == "ple-rmtl-seed0"
