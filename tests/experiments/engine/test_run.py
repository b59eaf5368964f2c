import json
from pathlib import Path

import pytest
from matplotlib.image import imread

from mtfx.experiments.engine.design import Experiment, RankingOptions
from mtfx.experiments.engine.progress import TrialProgress
from mtfx.experiments.engine.run import run_experiment
from mtfx.experiments.rmtl.plots import mean_plots
from mtfx.experiments.rmtl.tables import transfer

OPTIONS = RankingOptions("synthetic-video", ("click", "long_view"), (0, 1), ("mmoe", "ple"))


@pytest.fixture
def run(data, stubs, tmp_path):
    def run(function):
        experiment = Experiment(
            "ranking", "Transfer", f"stub_trials:{function}", transfer, mean_plots
        )
        return run_experiment(
            "rmtl-transfer",
            experiment,
            OPTIONS,
            data,
            str(tmp_path),
            2,
            1,
            TrialProgress(),
            "mtfx experiment rmtl-transfer",
            "1.0+abc",
        )

    return run


def test_report_and_drawings(run, tmp_path, data):
    report = run("learn")
    assert report.outcomes.failures == ()
    directory = tmp_path / "rmtl-transfer"
    values = json.loads((directory / "report.json").read_text(), parse_constant=pytest.fail)
    assert values["options"]["seeds"] == [0, 1]
    assert values["data"]["fingerprint"] == data.fingerprint
    assert values["code_version"] == "1.0+abc"
    assert len(values["trials"]) == 2 * (2 + 2 + 4)
    assert len(values["tables"]) == 2
    page = (directory / "report.md").read_text()
    names = ("weights", "td-error", "q-against-return", "means-auc", "means-logloss")
    for name in names:
        assert f"]({name}.png)" in page
        assert imread(directory / f"{name}.png").std() > 0.01
    assert [Path(path).stem for path in report.plots] == list(names)
    assert "mtfx experiment rmtl-transfer" in page


def test_failures_are_reported_and_leave_the_rest(run, tmp_path):
    report = run("fail_critics")
    assert len(report.outcomes.failures) == 4
    assert len(report.outcomes.not_run) == 8
    page = (tmp_path / "rmtl-transfer" / "report.md").read_text()
    assert "4 trial(s) failed" in page
    assert "ple-critics-seed0: RuntimeError: the critics (log: " in page
    assert "mmoe-rmtl-seed0: not run" in page


@pytest.mark.slow
def test_trials_of_other_code_are_named(run, tmp_path):
    run("learn")
    for path in list(tmp_path.rglob("result.json"))[:1]:
        path.write_text(path.read_text().replace("1.0+abc", "0.9+def"))
    report = run("learn")
    assert len(report.outcomes.reused) == 16
    assert "different code: 0.9+def, 1.0+abc" in report.warnings[0]
