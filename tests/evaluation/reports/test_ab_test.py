"""A trial's report: what it says on the terminal, in JSON and on the page."""

import json

import pytest
from rich.console import Console

from mtfx.evaluation.ab_test.trial import METRICS, TrialSettings, judge_trial
from mtfx.evaluation.reports.ab_test import (
    TrialReport,
    day_rows,
    metric_rows,
    render_trial,
    write_trial_report,
)
from tests.evaluation.trial_users import random_arm

DAYS = tuple(f"day {number}" for number in range(1, 6))


def report(lift=1.5, users=(500, 500)):
    old = random_arm("old", users[0], len(DAYS), 1)
    new = random_arm("<new>", users[1], len(DAYS), 2, lift=lift)
    result = judge_trial(old, new, DAYS, TrialSettings(effect=0.2))
    return TrialReport(result, "Users of a test.", ("One note.",), {"seed": 1})


def shown(one):
    console = Console(width=160, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(render_trial(one))
    return console.export_text()


def test_a_decision_is_said_with_its_day(tmp_path):
    one = report()
    metric = one.result.metrics["watch_s"]
    day = DAYS[metric.decided_on]
    assert one.verdict == f"<new> raises watch time per user and day; decided on {day}."
    text = shown(one)
    for words in (one.verdict, "One note.", "95% sequence", "500 users"):
        assert words in text
    page = write_trial_report(tmp_path / "out", one).read_text()
    assert "&lt;new&gt;" in page
    assert "<new>" not in page
    assert page.count("<td>day ") == len(DAYS)
    content = json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert (content["decision"], content["users"]) == ("better", [500, 500])
    assert set(content["metrics"]) == set(METRICS)
    assert len(content["metrics"]["plays"]["looks"]) == len(DAYS)
    found = content["metrics"]["watch_s"]["looks"][-1]
    assert found["sequence"][0] < found["difference"] < found["sequence"][1]


def test_no_decision_and_why_are_said():
    few = report(users=(60, 55))
    assert few.verdict.startswith("Undecided")
    assert "55 users; with fewer than 100" in shown(few)
    lost = report(users=(700, 500))
    assert "users were not divided as planned" in lost.verdict
    assert "700 users in the control group and 500" in " ".join(shown(lost).split())


def test_an_effect_that_so_few_users_cannot_show_is_named():
    arms = [random_arm(name, 200, len(DAYS), seed) for name, seed in (("old", 1), ("new", 2))]
    for effect, said in ((0.01, True), (0.3, False)):
        result = judge_trial(*arms, DAYS, TrialSettings(effect=effect))
        reasons = TrialReport(result, "").reasons
        assert any("out of reach" in sentence for sentence in reasons) == said


def test_what_fell_is_named():
    old, new = (random_arm(name, 500, len(DAYS), seed) for name, seed in (("old", 1), ("new", 2)))
    new.values[:, 2] *= 0.2
    result = judge_trial(old, new, DAYS, TrialSettings(effect=0.2))
    assert any("interaction fell under new" in text for text in TrialReport(result, "").reasons)


def test_what_is_undefined_has_a_dash():
    old, new = (random_arm(name, 150, len(DAYS), seed) for name, seed in (("old", 1), ("new", 2)))
    new.values[:, 2] = 0.0
    one = TrialReport(judge_trial(old, new, DAYS, TrialSettings()), "")
    row = next(row for row in metric_rows(one.result) if row[0].endswith("positive interaction"))
    assert row[3:] == ["\N{EN DASH}"] * 4
    assert [row[0] for row in day_rows(one.result)] == list(DAYS)


@pytest.mark.parametrize("days", [1, 40])
def test_any_number_of_days_can_be_drawn(days, tmp_path):
    names = tuple(f"day {number}" for number in range(1, days + 1))
    arms = [random_arm(name, 120, days, seed) for name, seed in (("old", 1), ("new", 2))]
    one = TrialReport(judge_trial(*arms, names, TrialSettings()), "")
    assert "data:image/png" in write_trial_report(tmp_path, one).read_text()
