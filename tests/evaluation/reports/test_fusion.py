"""The fusion run's page and console tables, from one made-up run."""

import dataclasses
import html.parser
import io
import json

import numpy as np
import pytest
from rich.console import Console

from mtfx.evaluation.policies.comparison import FIGURES, compare_policies
from mtfx.evaluation.policies.selection import Selection
from mtfx.evaluation.reports.fusion import (
    FusionSummary,
    render_fusion_page,
    render_fusion_summary,
    write_fusion_report,
)
from mtfx.evaluation.significance import Mean, PairedTest


def _figures(watch_s, noise=0.0):
    sessions, rng = np.random.default_rng(0).normal(size=30), np.random.default_rng(1)
    rows = watch_s + sessions + rng.normal(0.0, noise, (len(FIGURES), 30))
    return dict(zip(FIGURES, rows.tolist(), strict=True))


@pytest.fixture
def summary():
    return FusionSummary(
        dataset="synthetic-video",
        method="bcq",
        seed=3,
        ranking_model="run/pipeline/Trainer/model/8",
        comparison=compare_policies({"constant": _figures(20.0), "<bcq>": _figures(25.0, 0.1)}),
        training_users=compare_policies({"constant": _figures(19.0), "<bcq>": _figures(31.0)}),
        sessions=30,
        evaluation="run/fusion/pipeline/PolicyEvaluator/evaluation/1",
        estimates={"conservative": {"value": 3.5, "low": 3.1, "high": 4.0}},
        current={},
        logged={"value": 3.4, "low": 3.0, "high": 3.9},
        gamma=0.9,
        bar=3.0,
        bar_source="what the log's own policy earned",
        reasons=["there is no current policy to compare with"],
        blessed=True,
        pushed_model="run/serving/ranker/1",
        interactions={"train": 29181},
        history=[
            {"step": 10, "data_q": 1.0, "policy_q": 1.1},
            {"step": 20, "data_q": 2.0, "policy_q": float("nan")},
        ],
        seconds={"Trainer-bcq": 12.0, "Pusher": 0.5},
    )


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
    assert len(page.images) == 2
    assert all(image["src"].startswith("data:image/png;base64,") for image in page.images)
    assert "http" not in text
    watch = np.mean(_figures(25.0, 0.1)["watch_s"])
    for shown in (
        f"{watch:.2f}\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}",
        "<bcq>",
        "3.500",
        "29,181",
        summary.reasons[0],
        "The bar: 3.000, what the log's own policy earned",
        "discounted by 0.9 per request",
        "3.400",
        f"{np.mean(_figures(31.0)['watch_s']):.2f}",
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


@pytest.mark.parametrize("blessed", [True, False])
def test_the_console_says_how_it_ended(summary, blessed):
    ended = dataclasses.replace(
        summary, blessed=blessed, pushed_model="run/serving/ranker/1" if blessed else None
    )
    file = io.StringIO()
    Console(file=file, width=120).print(render_fusion_summary(ended))
    text = file.getvalue()
    assert ("not blessed" not in text) == blessed
    gain = np.subtract(_figures(25.0, 0.1)["watch_s"], _figures(20.0)["watch_s"]).mean()
    assert f"{gain:+.2f} s*" in text
    assert "of users that no policy learnt from: mean" in " ".join(text.split())
    assert f"{np.mean(_figures(31.0)['watch_s']):.2f}" in text
    assert summary.reasons[0] in text
    assert "the bar: 3.000, what the log's own policy earned" in text
    assert "discount 0.9 per request" in text
    assert "3.400 [3.000, 3.900]" in text


def test_what_is_undefined_is_shown_as_such(summary):
    undefined = {"value": None, "low": None, "high": None}
    refused = dataclasses.replace(
        summary, estimates={"fqe": undefined}, logged=undefined, bar=None, bar_source=""
    )
    file = io.StringIO()
    Console(file=file, width=120).print(render_fusion_summary(refused))
    assert "\N{EN DASH} [\N{EN DASH}, \N{EN DASH}]" in file.getvalue()
    page = render_fusion_page(refused)
    assert "The bar" not in page
    assert "None" not in page


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
