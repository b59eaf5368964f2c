"""The comparison of log and simulation, against distances by hand and planted differences."""

import io
import json

import numpy as np
import pytest
from rich.console import Console

from mtfx.evaluation.reports.simulator_console import render_simulator_report
from mtfx.evaluation.reports.simulator_report import (
    SimulatorReport,
    compare_quantities,
    compare_rates,
    distances,
    share_of_views,
    write_simulator_report,
)
from mtfx.evaluation.simulator.session_sample import sample_of_impressions

NAMES = ("click", "like")


def sample(sessions=400, length=5.0, click=0.4, watch=10.0, like=0.02, seed=0, timed=True):
    rng = np.random.default_rng(seed)
    session = np.repeat(np.arange(sessions), rng.geometric(1 / length, sessions))
    feedback = rng.random((len(session), 2)) < [click, like]
    watched = rng.exponential(watch, len(session)) if timed else None
    return sample_of_impressions(NAMES, session, feedback, watched)


def report(log, simulation, **changes):
    values = {
        "dataset": "mine",
        "response_model": "fitted on <nothing>",
        "logging_policy": "the log's own items.",
        "terms": ["the same cap"],
        "log": log,
        "simulation": simulation,
        "calibration": [
            {"name": "click", "rows": 9, "rate": 0.4, "predicted": 0.5, "error": 0.1}
            | {"auc": None, "method": "level"}
        ],
        "watch_s": (9.0, 10.0),
        "retrieval": {"hit_rate": None, "chance": 0.1},
        "notes": ["a note"],
        "config": {"seed": 1},
    }
    return SimulatorReport(**{**values, **changes})


def test_distances_are_those_of_the_distribution_functions():
    rng = np.random.default_rng(1)
    one, other = rng.integers(0, 9, 50), rng.integers(2, 14, 70)
    grid = np.arange(-1, 15)
    apart = [abs((one <= x).mean() - (other <= x).mean()) for x in grid]
    # On whole numbers the area between the distribution functions is a sum.
    assert distances(one, other) == (pytest.approx(max(apart)), pytest.approx(sum(apart)))


def test_the_interval_of_a_rate_covers_it_where_views_of_a_session_are_alike():
    """A naive interval of independent views would cover far less."""
    rng = np.random.default_rng(2)
    covered, naive = 0, 0
    for _ in range(400):
        views = rng.integers(5, 40, 60)
        total = rng.binomial(views, rng.beta(2, 2, 60))
        found = share_of_views(total, views)
        covered += abs(found.mean - 0.5) < found.half_width
        naive += abs(found.mean - 0.5) < 1.96 * np.sqrt(0.25 / views.sum())
    assert 0.90 <= covered / 400 <= 0.98
    assert naive / 400 < 0.7


def test_two_samples_of_one_world_do_not_differ_notably():
    found = report(sample(3000, seed=0), sample(3000, seed=1))
    assert found.findings == ()
    lengths = found.quantities[0]
    assert lengths.ks < 3 * lengths.ks_of_log


def test_what_differs_is_found_and_nothing_else():
    found = report(sample(1500, seed=0), sample(1500, click=0.3, watch=15.0, seed=1))
    assert {row.name for row in found.rates if row.is_notable} == {"click"}
    quantities = {row.name: row for row in found.quantities}
    assert quantities["view_watch_s"].is_notable
    assert quantities["view_watch_s"].relative_difference == pytest.approx(0.5, abs=0.1)
    assert quantities["view_watch_s"].wasserstein == pytest.approx(5.0, abs=0.7)
    assert not quantities["length"].is_notable
    assert any("rate of click: 2" in line and "less" in line for line in found.findings)


def test_a_feedback_that_came_once_is_no_finding():
    log = sample(50, like=0.0, seed=0)
    log.feedback[0, 1] = 1
    likes = compare_rates(log, sample(2000, like=0.008, seed=1))[1]
    assert abs(likes.relative_difference) > 0.1
    assert not likes.is_notable


def test_without_watch_times_lengths_are_compared():
    found = compare_quantities(sample(timed=False), sample())
    assert [row.name for row in found] == ["length"]


def test_one_session_has_no_interval_and_no_yardstick():
    single = sample_of_impressions(NAMES, np.array([0, 0]), np.zeros((2, 2)), np.ones(2))
    length = compare_quantities(single, sample())[0]
    assert (length.log.half_width, length.ks_of_log) == (None, None)
    assert not length.is_notable


def test_other_feedbacks_are_refused():
    other = sample_of_impressions(("pay",), np.array([0]), np.zeros((1, 1)), None)
    with pytest.raises(ValueError, match="pay"):
        compare_quantities(sample(), other)


def test_the_page_says_what_was_compared_and_the_json_holds_the_figures(tmp_path):
    made = report(sample(), sample(click=0.2, seed=1))
    page = write_simulator_report(tmp_path / "report", made).read_text()
    for text in ("the log&#39;s own items.", "the same cap", "fitted on &lt;nothing&gt;", "a note"):
        assert text in page
    assert page.count("data:image/png;base64,") == 2
    stored = json.loads((tmp_path / "report" / "report.json").read_text())
    assert stored["sessions"] == {"log": 400, "simulation": 400}
    rate = stored["rates"][0]
    assert rate["log"]["mean"] == pytest.approx(made.log.rates()[0])
    assert rate["is_notable"]
    assert stored["findings"]


def test_a_report_without_watch_times_or_fit_is_written(tmp_path):
    bare = sample(timed=False)
    made = report(bare, bare, calibration=(), watch_s=None, notes=())
    page = write_simulator_report(tmp_path, made).read_text()
    assert "Fit of the response model" not in page


def test_the_terminal_marks_what_is_off():
    console = Console(width=140, record=True, file=io.StringIO())
    console.print(render_simulator_report(report(sample(), sample(click=0.2, seed=1)).to_json()))
    text = console.export_text()
    line = next(line for line in text.splitlines() if "rate of click" in line)
    assert "%*" in line
    assert "a note" in text
