"""What a simulator's report finds, writes and prints, with planted differences."""

import io
import json

import pytest
from rich.console import Console

from mtfx.evaluation.reports.simulator import (
    SimulatorReport,
    render_simulator_report,
    write_simulator_report,
)
from tests.evaluation.sampled_sessions import random_sample


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


def test_two_samples_of_one_world_do_not_differ_notably():
    found = report(random_sample(3000, seed=0), random_sample(3000, seed=1))
    assert found.findings == ()
    lengths = found.quantities[0]
    assert lengths.ks < 3 * lengths.ks_of_log


def test_what_differs_is_found_and_nothing_else():
    found = report(random_sample(1500, seed=0), random_sample(1500, click=0.3, watch=15.0, seed=1))
    assert {row.name for row in found.rates if row.is_notable} == {"click"}
    quantities = {row.name: row for row in found.quantities}
    assert quantities["view_watch_s"].is_notable
    assert quantities["view_watch_s"].relative_difference == pytest.approx(0.5, abs=0.1)
    assert quantities["view_watch_s"].wasserstein == pytest.approx(5.0, abs=0.7)
    assert not quantities["length"].is_notable
    assert any("rate of click: 2" in line and "less" in line for line in found.findings)


def test_the_page_says_what_was_compared_and_the_json_holds_the_figures(tmp_path):
    made = report(random_sample(), random_sample(click=0.2, seed=1))
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
    bare = random_sample(timed=False)
    made = report(bare, bare, calibration=(), watch_s=None, notes=())
    page = write_simulator_report(tmp_path, made).read_text()
    assert "Fit of the response model" not in page


def test_the_terminal_marks_what_is_off():
    console = Console(width=140, record=True, file=io.StringIO())
    console.print(
        render_simulator_report(report(random_sample(), random_sample(click=0.2, seed=1)).to_json())
    )
    text = console.export_text()
    line = next(line for line in text.splitlines() if "rate of click" in line)
    assert "%*" in line
    assert "a note" in text
