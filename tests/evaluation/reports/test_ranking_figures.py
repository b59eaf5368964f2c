"""Each figure says what it shows, and is left out where there is nothing to draw."""

import re

import pytest

from mtfx.evaluation.ranking.summaries import CalibrationBucket, TaskMetrics, TaskPlots
from mtfx.evaluation.reports import ranking_figures as figures

PLOTS = TaskPlots(
    roc=((0.0, 0.0), (0.2, 0.6), (1.0, 1.0)),
    calibration=(CalibrationBucket(100, 0.1, 0.12), CalibrationBucket(100, 0.6, 0.5)),
)
HISTORY = [
    {"loss": 0.9, "val_loss": 0.95, "val_click_auc": 0.6},
    {"loss": 0.8, "val_loss": float("nan"), "val_click_auc": 0.7},
]
RATES = [
    {"day": "2022-04-08", "split": "train", "impressions": 600, "click": 0.3},
    {"day": "2022-04-09", "split": "test", "impressions": 8000, "click": None},
]


@pytest.mark.parametrize(
    ("drawn", "words"),
    [
        (
            lambda: figures.roc_curve("click", TaskMetrics(auc=0.7), PLOTS),
            "area under the curve is 0.7000",
        ),
        (
            lambda: figures.calibration_curve("click", PLOTS),
            "Predictions from 0.1 to 0.6, observed rates from 0.12 to 0.5.",
        ),
        (
            lambda: figures.training_curves(HISTORY, ["click"]),
            "over 2 epochs. After the last: training loss 0.8000, validation AUC of click 0.7000.",
        ),
        (
            lambda: figures.label_rates(RATES, ["click", "pay"]),
            "Mean label of click and number of impressions by day and split (train, test), "
            "from 2022-04-08 to 2022-04-09.",
        ),
    ],
)
def test_the_description_has_the_figures(drawn, words):
    text = drawn()
    label = re.search('aria-label="([^"]*)"', text)
    assert label
    assert words in label[1]
    assert "var(--series-1)" in text or "var(--series-2)" in text


def test_nothing_to_draw_is_no_figure():
    assert figures.roc_curve("click", TaskMetrics(), PLOTS) == ""
    assert figures.roc_curve("click", TaskMetrics(auc=0.5), TaskPlots((), ())) == ""
    assert figures.calibration_curve("click", TaskPlots((), ())) == ""
    assert figures.training_curves([], ["click"]) == ""
    assert figures.label_rates([], ["click"]) == ""
