"""The report of a run of the fusion pipeline: ``summary.json``, ``index.html`` and its figures."""

from __future__ import annotations

import json
from pathlib import Path

from mtfx.evaluation.policies.comparison import FIGURES
from mtfx.evaluation.reports.fusion_summary import FusionSummary
from mtfx.evaluation.reports.pages import render_policy_page
from mtfx.evaluation.reports.policy_figures import policy_bars, q_values
from mtfx.evaluation.reports.ranking_page import write_atomically

SUMMARY_FILE, PAGE_FILE = "summary.json", "index.html"


def write_fusion_report(directory: Path, summary: FusionSummary) -> Path:
    """Writes both files; a reader never sees half a file.

    Args:
      directory: Where to; made if missing.
      summary: The run.

    Returns:
      The page's path.
    """
    directory.mkdir(parents=True, exist_ok=True)
    text = json.dumps(summary.to_json(), indent=2, ensure_ascii=False, allow_nan=False)
    write_atomically(directory / SUMMARY_FILE, text + "\n")
    write_atomically(directory / PAGE_FILE, render_fusion_page(summary))
    return directory / PAGE_FILE


def render_fusion_page(summary: FusionSummary) -> str:
    """The report as one HTML page, its PNG images inside it."""
    images = {
        "policies": policy_bars(summary.comparison),
        "training": q_values(summary.history),
    }
    return render_policy_page(
        "fusion.html.j2",
        images,
        summary.config,
        {
            "run": summary,
            "titles": FIGURES,
            "total_seconds": sum(summary.seconds.values()),
        },
    )
