"""Policies under both responses, side by side."""

import dataclasses
import io

import numpy as np
import pytest
from rich.console import Console

from mtfx.environments.simulator.config import CIRCULAR
from mtfx.evaluation.policies.comparison import FIGURES, compare_policies
from mtfx.evaluation.reports.fusion import render_fusion_page
from mtfx.evaluation.reports.fusion_console import render_fusion_summary
from mtfx.evaluation.reports.independent import both_responses, independent_table
from tests.evaluation.reports.test_fusion import summary  # noqa: F401 (a fixture)


def rows(**watch_s):
    rng = np.random.default_rng(0)
    luck = rng.normal(size=50)
    return compare_policies(
        {
            name: dict.fromkeys(FIGURES, (mean + luck + rng.normal(0, 0.1, 50)).tolist())
            for name, mean in watch_s.items()
        }
    )


def text_of(part):
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(part)
    return console.export_text()


def test_each_world_is_held_against_its_own_first_policy():
    circular, independent = rows(constant=100.0, xmtf=108.0), rows(constant=50.0, xmtf=50.0)
    first, second = both_responses(circular, independent)
    assert first.times == ("", "")
    assert second.policy == "xmtf"
    assert second.times[0] == "1.080*"
    assert second.times[1].startswith("1.00")
    assert second.watch_s[0].startswith("108.")
    text = text_of(independent_table((first, second)))
    assert "1.080*" in text
    assert "independent response: watch time, s" in " ".join(text.split())


def test_other_policies_are_refused():
    with pytest.raises(ValueError, match="the policies a are not b"):
        both_responses(rows(a=1.0), rows(b=1.0))


def test_the_report_of_a_circular_world_says_so_first_and_shows_both(summary):  # noqa: F811
    names = [row.policy for row in summary.comparison]
    found = dataclasses.replace(
        summary, caveat=CIRCULAR, independent=rows(**dict(zip(names, (3.0, 2.0), strict=True)))
    )
    assert found.remarks[0] == f"the simulator is {CIRCULAR}"
    text = " ".join(text_of(render_fusion_summary(found)).split())
    assert text.count("circular: users answer") == 2
    assert "under both responses" in text
    page = render_fusion_page(found)
    assert page.count("circular: users answer") == 2
    assert "under the independent response" in page
    assert found.to_json()["independent"][0]["policy"] == names[0]
    plain = render_fusion_page(summary)
    assert "circular" not in plain
    assert "independent response" not in plain
