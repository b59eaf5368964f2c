"""Tables and drawings of xMTF's experiments from made-up results."""

import numpy as np
import pytest

from mtfx.experiments.engine.design import FusionOptions
from mtfx.experiments.engine.table_text import markdown
from mtfx.experiments.engine.tables import fill_table
from mtfx.experiments.xmtf.plots import curve_plots, sweep_plots, table_plots
from mtfx.experiments.xmtf.tables import curves, sweep, table_3

OPTIONS = FusionOptions((0, 1))
NAMES = ("click", "long_view", "like")


def results(design):
    """Watch times that differ by column, and those of the second seed are 10 s longer."""
    found = {}
    for at, column in enumerate(design.tables[0].columns):
        for trial in column.trials:
            simulator = {"watch_s": 200.0 + at + 10.0 * trial.seed, "true_return": 1.0}
            found[trial.key] = {
                "metrics": {
                    "simulator": {**simulator, "views": 9.0, "positive_rate": 0.1},
                    "cells": {"inner_violations": 0.01 * at, "violations": 0.0},
                },
                "curves": {
                    "step": [5, 10],
                    "watch_s": [100.0, 200.0],
                    "cells": {
                        "grid": [0.001, 0.01, 0.1, 1.0],
                        "inner": np.zeros((8, 3, 4)).tolist(),
                        "both": np.ones((8, 3, 4)).tolist(),
                        "ranges": [[0.001, 0.2]] * 3,
                        "names": list(NAMES),
                    },
                },
            }
    return found


def test_table_3_has_the_papers_seconds_and_all_against_xmtf():
    design = table_3(OPTIONS)
    [table] = design.tables
    columns = {column.title: column for column in table.columns}
    assert columns["xMTF"].against == {"equal weights": "equal weights"}
    assert columns["CEM-1"].against == {"xMTF": "xMTF", "equal weights": "equal weights"}
    assert columns["xMTF w/o inner"].paper == {("simulator", "watch_s"): 1106.3}
    assert columns["TD3-3"].paper == columns["xMTF, basis cells"].paper == {}
    hinge = columns["xMTF, hinge transfer"]
    assert hinge.paper == {}
    assert [trial.config.transfer for trial in hinge.trials] == ["hinge"] * 2
    text = markdown(fill_table(table, OPTIONS.seeds, results(design)))
    lines = text.splitlines()
    [papers] = [line for line in lines if line.startswith("| paper, its KuaiRand simulator")]
    # Seconds, no changes in percent.
    cells = [cell.strip() for cell in papers.split("|")[2:-1]]
    assert cells[:3] == ["", "897.5", "931.2"]
    assert cells[8:] == ["1279.7", "1092.8", "1106.3", "", ""]
    deviations = [line for line in lines if line.startswith("| standard deviation")]
    assert deviations[0].split("|")[2].strip() == f"{np.std([200, 210], ddof=1):.2f}"
    [change] = [line for line in lines if line.startswith("| change from xMTF")][:1]
    # Equal weights have 200 and 210 s, xMTF 208 and 218.
    assert f"{50 * (200 / 208 + 210 / 218) - 100:+.2f}%" in change


def test_table_4_is_against_the_best_lambda():
    [table] = sweep(OPTIONS).tables
    papers = [column.paper[("simulator", "watch_s")] for column in table.columns]
    assert papers == [732.8, 1073.2, 1279.7, 1254.4, 1103.1]
    assert [column.against for column in table.columns][2] == {}


@pytest.mark.parametrize(
    ("make", "plots", "files"),
    [
        (table_3, table_plots, ["means-watch-s.png", "training.png"]),
        (sweep, sweep_plots, ["lambda.png"]),
        (
            curves,
            curve_plots,
            ["curves-by-user.png", "curves-by-prediction.png", "curves-by-lambda.png"],
        ),
    ],
)
def test_drawings(make, plots, files, tmp_path):
    design = make(OPTIONS)
    assert plots(design, results(design), str(tmp_path)) == [str(tmp_path / f) for f in files]
    assert all((tmp_path / f).stat().st_size > 5_000 for f in files)
    assert plots(design, {}, str(tmp_path)) == []
