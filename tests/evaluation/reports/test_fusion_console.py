"""The fusion run's tables on the terminal, from one made-up run."""

import dataclasses
import io

import numpy as np
import pytest
from rich.console import Console

from mtfx.evaluation.reports.fusion_console import render_fusion_summary
from tests.fusion_summaries import figures, fusion_summary


def shown(summary):
    file = io.StringIO()
    Console(file=file, width=120).print(render_fusion_summary(summary))
    return file.getvalue()


@pytest.mark.parametrize("blessed", [True, False])
def test_the_console_says_how_it_ended(blessed):
    summary = fusion_summary()
    ended = dataclasses.replace(
        summary, blessed=blessed, pushed_model="run/serving/ranker/1" if blessed else None
    )
    text = shown(ended)
    assert ("not blessed" not in text) == blessed
    gain = np.subtract(figures(25.0, 0.1)["watch_s"], figures(20.0)["watch_s"]).mean()
    assert f"{gain:+.2f} s*" in text
    assert "of users that no policy learnt from: mean" in " ".join(text.split())
    assert f"{np.mean(figures(31.0)['watch_s']):.2f}" in text
    assert summary.reasons[0] in text
    assert "the bar: 3.000, what the log's own policy earned" in text
    assert "discount 0.9 per request" in text
    assert "3.400 [3.000, 3.900]" in text


def test_what_is_undefined_is_shown_as_such():
    undefined = {"value": None, "low": None, "high": None}
    refused = dataclasses.replace(
        fusion_summary(), estimates={"fqe": undefined}, logged=undefined, bar=None, bar_source=""
    )
    assert "\N{EN DASH} [\N{EN DASH}, \N{EN DASH}]" in shown(refused)
