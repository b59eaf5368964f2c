"""Every day is shown with its outcome and its reason, on the terminal and on the page."""

import io
import re

from rich.console import Console

from mtfx.evaluation.reports.daily import Day, Model, draw_figures, render_days, write_daily_report

DAYS = [
    Day(
        1,
        "done",
        sessions=207,
        impressions=1304,
        checks=46,
        nearest="'click': factor of the odds 1.1, bar 1.4",
        window=(1,),
        ranking=Model("m1", True, "serving/ranking/1", {"click AUC": 0.61, "like AUC": 0.55}),
        policy=Model("p1", True, "serving/ranker/1", {"conservative": 4.2}),
        ranker="serving/ranker/1",
        seconds=90.0,
    ),
    Day(2, "refused", reason="there is no log of day 2: <days/day-2> does not exist"),
    Day(
        3,
        "done",
        window=(1, 3),
        served_window=(3,),
        ranking=Model("m3", False, "", {"click AUC": 0.52}, "click AUC fell by 0.09"),
        policy=Model("p3", False, "", {}, "the policy collapsed"),
    ),
]


def test_the_terminal_shows_outcomes_and_reasons():
    stream = io.StringIO()
    Console(file=stream, width=140).print(render_days(DAYS))
    text = stream.getvalue()
    assert re.search(r"1\s+done\s+207", text)
    line = (
        "day 1: 1,304 impressions, 46 comparisons, nearest to its bar 'click': factor of the odds"
    )
    assert line in text
    assert "pushed, click AUC 0.61" in text
    assert "day 2: there is no log of day 2" in text
    assert "day 3, ranking model not blessed: click AUC fell by 0.09" in text


def test_the_page_names_the_ranker_that_serves_and_escapes_what_it_is_told(tmp_path):
    text = write_daily_report(tmp_path, DAYS).read_text()
    assert "The ranker of day 1" in text
    assert "serving/ranker/1" in text
    assert "46: &#39;click&#39;: factor of the odds 1.1, bar 1.4" in text
    assert "&lt;days/day-2&gt;" in text
    assert "data:image/png;base64," in text
    assert not list((tmp_path / "daily").glob("*.partial"))


def test_before_the_first_model_there_is_no_figure(tmp_path):
    assert draw_figures(DAYS[1:2]) == b""
    assert "No ranker was pushed yet" in write_daily_report(tmp_path, DAYS[1:2]).read_text()
