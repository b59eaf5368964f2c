"""The comparison with trees in the report and on the terminal."""

import dataclasses
import io

import pytest
from rich.console import Console

from mtfx.datasets.spec import Task
from mtfx.evaluation.ranking.paired_comparison import (
    PairedComparison,
    RankerFigures,
    TreesBeside,
)
from mtfx.evaluation.ranking.summaries import EvaluationSummary, TaskMetrics
from mtfx.evaluation.reports.ranking import RunSummary, render_ranking_page, render_summary
from mtfx.evaluation.reports.ranking_trees import trees_lines, trees_rows, trees_sentence

CLICK = PairedComparison(
    "click",
    "binary",
    RankerFigures(auc=0.7382, logloss=0.59, normalised_entropy=0.86),
    RankerFigures(auc=0.7360, logloss=0.60, normalised_entropy=0.87),
    difference=0.0022,
    low=0.0004,
    high=0.0040,
)
WATCH = PairedComparison(
    "watch_time_ms",
    "regression",
    RankerFigures(rmse=12_345.6, r_squared=0.2),
    RankerFigures(rmse=12_300.0, r_squared=0.21),
    difference=45.6,
    low=10.0,
    high=80.0,
)
PAY = PairedComparison("pay", "binary", RankerFigures(logloss=0.1), RankerFigures(logloss=0.2))
BESIDE = TreesBeside("test", (CLICK, WATCH, PAY), seconds=150.0, columns=73)


@pytest.fixture(scope="module")
def run():
    metrics = {task.task: TaskMetrics(auc=0.7, logloss=0.6) for task in BESIDE.tasks}
    return RunSummary(
        dataset="kuairand",
        backbone="mmoe",
        seed=0,
        tasks=(Task("click"), Task("watch_time_ms", kind="regression"), Task("pay")),
        sessions={},
        impressions={},
        evaluation=EvaluationSummary(metrics, None, (), {}, True, ()),
        blessed=True,
        pushed_model=None,
        seconds={"Trainer": 3.0},
        trees=BESIDE,
    )


def test_a_sentence_says_which_is_better_and_by_how_much():
    assert trees_sentence(CLICK) == (
        "click: the model is better than the trees, AUC 0.7382 against 0.7360, "
        "a difference of +0.0022 (95% interval +0.0004 to +0.0040)."
    )
    assert "the trees are better than the model, RMSE 12,346 against 12,300" in trees_sentence(
        WATCH
    )
    close = dataclasses.replace(CLICK, low=-0.0004)
    assert "click: neither is better by more than chance" in trees_sentence(close)
    assert "interval \N{MINUS SIGN}0.0004 to" in trees_sentence(close)
    assert trees_sentence(PAY) == "pay: the AUC is undefined, so there is nothing to compare."


def test_rows_and_lines_are_of_all_tasks():
    rows = trees_rows(BESIDE)
    assert [row["figure"] for row in rows] == ["AUC", "log loss", "RMSE", "R²", "AUC", "log loss"]
    assert (rows[4]["model"], rows[5]["trees"]) == ("\N{EN DASH}", "0.20000")
    assert trees_lines(BESIDE)[-1].startswith("The trees read 73 columns and took 2 min 30 s")


def test_page_terminal_and_summary_show_it_and_a_run_without_trees_does_not(run):
    def shown(summary):
        console = Console(width=100, record=True, file=io.StringIO())
        console.print(render_summary(summary))
        return render_ranking_page(summary), console.export_text()

    for text in shown(run):
        assert "0.7360" in text
        assert "the model is better than the trees" in " ".join(text.split())
    assert run.to_json()["trees"]["tasks"][0]["difference"] == 0.0022
    without = dataclasses.replace(run, trees=None)
    assert not any("boosted trees" in text for text in shown(without))
    assert without.to_json()["trees"] is None
