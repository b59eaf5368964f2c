"""The fusion run's page, its pictures and its JSON, from one made-up run."""

import dataclasses
import html.parser
import json

import numpy as np
import pytest

from mtfx.evaluation.policies.selection import Selection
from mtfx.evaluation.reports.fusion import (
    render_fusion_page,
    write_fusion_report,
)
from mtfx.evaluation.significance import Mean, PairedTest
from tests.fusion_summaries import figures, fusion_summary


@pytest.fixture
def summary():
    return fusion_summary()


class _Page(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.images, self.text = [], [], ""

    def handle_starttag(self, tag, attrs):
        if tag == "img":
            self.images.append(dict(attrs))
        if tag not in ("img", "meta"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def test_the_page_stands_alone_and_shows_every_figure(summary):
    page = _Page()
    text = render_fusion_page(summary)
    page.feed(text)
    assert not page.open
    assert "< 0.001" in page.text
    assert "<td>0.000</td>" not in text
    assert len(page.images) == 2
    assert all(image["src"].startswith("data:image/png;base64,") for image in page.images)
    assert "http" not in text
    watch = np.mean(figures(25.0, 0.1)["watch_s"])
    for shown in (
        f"{watch:.2f}\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}",
        "<bcq>",
        "3.500",
        "29,181",
        summary.reasons[0],
        "The bar: 3.000, what the log's own policy earned",
        "discounted by 0.9 per request",
        "3.400",
        f"{np.mean(figures(31.0)['watch_s']):.2f}",
        "Of users that no policy learnt from.",
        "12.00\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}",
    ):
        assert shown in page.text


def test_of_a_served_log_the_page_claims_no_more_than_it_knows(summary):
    served = dataclasses.replace(summary, config={"served": {"data_dir": "served"}})
    assert "users that no policy learnt from but as the served log holds them" in (
        render_fusion_page(served)
    )


def test_a_short_training_has_no_curve(summary):
    page = _Page()
    page.feed(render_fusion_page(dataclasses.replace(summary, history=summary.history[:1])))
    assert len(page.images) == 1


def test_undefined_figures_are_null(summary, tmp_path):
    page = write_fusion_report(tmp_path / "report", summary)
    assert sorted(file.name for file in page.parent.iterdir()) == ["index.html", "summary.json"]
    found = json.loads((page.parent / "summary.json").read_text())
    assert found["history"][1]["policy_q"] is None
    assert found["training_users"][0]["figures"]["watch_s"]["n"] == 30
    assert found["comparison"][1]["differences"]["watch_s"]["p"] < 1e-6


def test_a_baseline_that_is_better_is_said_before_anything_else(summary):
    test = PairedTest(Mean(30, 0.41, 0.1), 1e-5)
    better = dataclasses.replace(summary, ahead={"bo": test})
    said = "bo is better than bcq: return +0.410 ± 0.100 a session (p 1e-05"
    assert better.remarks[0].startswith(said)
    assert better.remarks[1:] == list(summary.reasons) == summary.remarks
    page = _Page()
    page.feed(render_fusion_page(better))
    assert page.text.index("bo is better than bcq") < page.text.index(summary.reasons[0])
    assert better.to_json()["ahead"]["bo"]["p"] == 1e-5


def test_what_was_chosen_and_why_comes_first(summary):
    test = PairedTest(Mean(50, 0.41, 0.1), 1e-5)
    selection = Selection("bcq", "bo", ("bo", "bcq"), 2000, {"bo": test})
    chosen = dataclasses.replace(summary, selection=selection, ahead={"bo": test}, caveat="odd")
    assert chosen.remarks[0] == selection.sentence
    assert chosen.judged == "bo"
    assert chosen.verdict.startswith("The policy bo was ")
    assert chosen.to_json()["selection"] == selection.to_json()
    page = _Page()
    page.feed(render_fusion_page(chosen))
    assert page.text.index("chose bo in place of bcq") < page.text.index("bo is better than bcq")
    kept = dataclasses.replace(selection, chosen="bcq", ahead={})
    kept = dataclasses.replace(summary, selection=kept)
    assert (kept.judged, kept.verdict) == ("bcq", summary.verdict)
    assert "kept bcq" in kept.remarks[0]
    assert summary.to_json()["selection"] is None


def test_a_bar_that_is_undefined_is_not_on_the_page(summary):
    undefined = {"value": None, "low": None, "high": None}
    refused = dataclasses.replace(
        summary, estimates={"fqe": undefined}, logged=undefined, bar=None, bar_source=""
    )
    page = render_fusion_page(refused)
    assert "The bar" not in page
    assert "None" not in page
