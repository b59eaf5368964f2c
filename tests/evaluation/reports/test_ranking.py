"""The report's two files and the console's tables, from one made-up run."""

import dataclasses
import html.parser
import io
import json
import math
import pathlib

import pytest
from rich.console import Console

from mtfx.datasets.spec import Task
from mtfx.evaluation.ranking.summaries import (
    CalibrationBucket,
    EvaluationSummary,
    SliceMetrics,
    TaskMetrics,
    TaskPlots,
)
from mtfx.evaluation.reports import ranking as report
from mtfx.evaluation.reports.ranking import Ingestion, RunSummary, render_summary

CLICK = TaskMetrics(
    auc=0.7312,
    logloss=0.61234,
    s_logloss=0.59876,
    normalized_entropy=0.9457,
    gauc=0.6543,
    gauc_users=1234,
    list_users=1400,
    ndcg=0.7654,
    calibration=1.02,
    label_mean=0.35,
    prediction_mean=0.357,
    example_count=8000,
)
PAY = TaskMetrics(
    logloss=0.01, s_logloss=0.02, example_count=8000, reason="pay: AUC undefined, no positives"
)
WATCH = TaskMetrics(rmse=1234.5, mae=678.9, r_squared=0.21, example_count=8000)


@pytest.fixture(scope="module")
def run() -> RunSummary:
    evaluation = EvaluationSummary(
        metrics={"click": CLICK, "pay": PAY, "watch_time_ms": WATCH},
        baseline=None,
        slices=tuple(
            SliceMetrics("hour", str(hour), {"click": dataclasses.replace(CLICK, auc=hour / 100)})
            for hour in (10, 9, 2)
        ),
        plots={
            "click": TaskPlots(
                roc=((0.0, 0.0), (0.2, 0.6), (1.0, 1.0)),
                calibration=(CalibrationBucket(100, 0.1, 0.12), CalibrationBucket(100, 0.6, 0.5)),
            ),
            "pay": TaskPlots((), (CalibrationBucket(100, 0.1, 0.0),)),
        },
        passed=False,
        reasons=("pay: AUC undefined, no positives; leave the task out with --tasks",),
    )
    return RunSummary(
        dataset="kuairand",
        backbone="mmoe",
        seed=3,
        tasks=(Task("click"), Task("pay"), Task("watch_time_ms", kind="regression")),
        sessions={"train": 60, "eval": 20, "test": 20},
        impressions={"train": 600, "eval": 200, "test": 8000},
        evaluation=evaluation,
        blessed=False,
        pushed_model=None,
        seconds={"SessionExampleGen": 1.5, "Trainer": 200.0},
        ingestion=Ingestion(8805, {"label is 2": 4, "<b>bold</b>": 1}, ("log.csv row 3: is 2",)),
        history=[
            {"loss": 0.9, "val_loss": 0.95, "val_click_auc": 0.6, "val_pay_auc": None},
            {"loss": 0.8, "val_loss": math.nan, "val_click_auc": 0.7, "val_pay_auc": None},
        ],
        label_rates=[
            {"day": "2022-04-08", "split": "train", "impressions": 600, "click": 0.3, "pay": 0.0},
            {"day": "2022-04-09", "split": "test", "impressions": 8000, "click": 0.4, "pay": 0.0},
        ],
        config={"data": {"path": pathlib.PurePosixPath("a/b")}},
        command="mtfx ranking --dataset kuairand",
        notes=("a column is missing",),
        calibration={"click": {"slope": 0.876, "shift": -0.1, "before": 1.3, "after": 1.0}},
    )


@pytest.fixture(scope="module")
def written(run, tmp_path_factory) -> pathlib.Path:
    return report.write_ranking_report(tmp_path_factory.mktemp("output"), run)


@pytest.fixture(scope="module")
def text(written) -> str:
    return written.read_text(encoding="utf-8")


def test_summary_json_has_the_promised_keys_and_no_nan(written):
    text = (written.parent / "summary.json").read_text()

    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    found = json.loads(text, parse_constant=refuse)
    promised = (
        "dataset backbone seed sessions impressions quarantined metrics blessed pushed_model "
        "seconds"
    )
    assert set(promised.split()) <= set(found)
    assert found["sessions"] == {"train": 60, "eval": 20, "test": 20}
    assert found["quarantined"] == 5
    assert found["metrics"]["click"]["auc"] == 0.7312
    assert found["metrics"]["pay"]["auc"] is None
    assert found["metrics"]["watch_time_ms"]["rmse"] == 1234.5
    assert found["blessed"] is False
    assert found["pushed_model"] is None
    assert found["history"][1]["val_loss"] is None
    assert found["slices"][0]["column"] == "hour"


class _Page(html.parser.HTMLParser):
    """Collects tags, and checks that they close in order."""

    def __init__(self, text: str):
        super().__init__()
        self.tags, self.open, self.text = [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)

    @property
    def words(self) -> str:
        return " ".join(" ".join(self.text).split())


def test_page_is_self_contained_well_formed_and_says_why(text):
    page = _Page(text)
    assert "The model was not blessed, so it was not pushed." in page.words
    assert "leave the task out with --tasks" in page.words
    assert "0.7312" in page.words
    assert "label is 2" in page.words
    assert "a column is missing" in page.words
    assert "click 1.300 1.000 1.020 0.876" in page.words
    assert "GAUC is of 1,234 users with and without the feedback, of 1,400." in page.words
    for tag, attributes in page.tags:
        assert tag not in ("script", "link", "img", "iframe")
        for name in ("src", "href", "xlink:href"):
            assert attributes.get(name, "#").startswith("#")


def test_every_figure_has_a_description_and_follows_the_page_colours(text):
    figures = [attributes for tag, attributes in _Page(text).tags if tag == "svg"]
    # Click: ROC and calibration; pay: calibration; then training and label rates.
    assert len(figures) == 5
    assert all(figure["role"] == "img" and figure["aria-label"] for figure in figures)
    assert "The area under the curve is 0.7312" in figures[0]["aria-label"]
    assert "var(--series-1)" in text
    assert "#040401" not in text


def test_ids_are_unique(text):
    ids = [attributes["id"] for _, attributes in _Page(text).tags if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_text_from_the_data_is_escaped(text):
    assert "<b>bold</b>" not in text
    assert "&lt;b&gt;bold&lt;/b&gt;" in text


def test_a_run_from_the_cache_has_no_curves_and_still_a_page(run):
    bare = dataclasses.replace(run, history=(), label_rates=(), seconds={})
    text = report.render_ranking_page(bare)
    assert "No training history" in text


def test_undefined_validation_figures_are_left_out(text):
    (curves,) = (
        attributes["aria-label"]
        for tag, attributes in _Page(text).tags
        if tag == "svg" and "Training curves" in attributes["aria-label"]
    )
    assert curves.endswith("training loss 0.8000, validation AUC of click 0.7000.")


def test_rendering_is_reproducible(run, text):
    assert report.render_ranking_page(run) == text


def test_slices_are_limited_and_numbers_in_order(run):
    (table,) = report.slice_tables(run.evaluation.slices)
    assert [part.value for part in table[1]] == ["2", "9", "10"]
    many = [
        SliceMetrics("tab", f"t{i}", {"click": dataclasses.replace(CLICK, example_count=i)})
        for i in range(40)
    ]
    (table,) = report.slice_tables(many)
    assert len(table[1]) == report.MAX_SLICE_ROWS
    assert table[2] == 10
    assert table[1][0].value == "t39"


def _printed(run: RunSummary, width: int = 100) -> str:
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(render_summary(run, slices_per_column=2))
    return console.export_text()


def test_console_shows_metrics_verdict_and_time(run):
    text = _printed(run)
    assert "0.7312" in text
    assert "hour=10" in text
    assert "hour=2" not in text
    assert "not blessed" in text
    assert "leave the task out" in text
    assert "3 min 20 s" in text
    assert "nan" not in text.lower()


def test_console_shows_the_pushed_path_with_brackets(run):
    pushed = dataclasses.replace(run, blessed=True, pushed_model="out/[x]/1")
    assert "out/[x]/1" in _printed(pushed)


def test_figures_stay_whole_on_a_narrow_terminal(run):
    text = _printed(run, width=80)
    assert "0.7312" in text
    assert "0.6123" in text
    assert "1,234.5" in text
