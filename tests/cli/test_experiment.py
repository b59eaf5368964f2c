"""``mtfx experiment`` with stand-ins for the pipeline and for the trials."""

import importlib
import json
import subprocess
import sys
import types
from pathlib import Path

import pytest

from mtfx.cli.__main__ import main
from mtfx.config import settings_of
from mtfx.experiments.engine.data import PreparedData
from mtfx.experiments.registry import EXPERIMENTS
from mtfx.experiments.rmtl.trial import RmtlTrialSettings

STUBS = Path(__file__).resolve().parents[1] / "experiments"


@pytest.fixture
def shop(tmp_path):
    directory = tmp_path / "shop"
    directory.mkdir()
    (directory / "events.csv").write_text("timestamp,visitorid,event,itemid,transactionid\n")
    return directory


@pytest.fixture
def experiment(monkeypatch, shop, tmp_path):
    """Runs an experiment whose trials are ``stub_trials.learn``."""
    monkeypatch.setenv("PYTHONPATH", "")
    monkeypatch.syspath_prepend(str(STUBS))

    def prepare_data(data, output_dir, observer, beam_pipeline_args):
        names = tuple(task.name for task in data.selected_tasks())
        splits = {"train": "a", "eval": "b", "test": "c"}
        return PreparedData(data.dataset, names, "graph", splits, fingerprint="0123456789abcdef")

    module = types.ModuleType("mtfx.cli.experiment_data")
    module.prepare_data = prepare_data
    monkeypatch.setitem(sys.modules, "mtfx.cli.experiment_data", module)

    def run(*arguments, function="learn"):
        stub = importlib.import_module("stub_trials")
        monkeypatch.setattr(
            "mtfx.experiments.engine.run.load_trial_function", lambda _: getattr(stub, function)
        )
        base = ["experiment", *arguments, "--dataset", "retailrocket", "--data-dir", str(shop)]
        return main([*base, "--output-dir", str(tmp_path / "run")])

    return run


def report(tmp_path, name):
    return json.loads((tmp_path / "run" / name / "report.json").read_text())


def test_tables_are_shown_and_trials_are_shared(experiment, capfd, tmp_path):
    flags = ["--seeds", "2", "--scale", "small", "--epochs", "1", "--set", "lambda=0.5"]
    assert experiment("rmtl-table2", *flags) == 0
    out = capfd.readouterr().out
    assert "12 trials, 0 of them finished before" in out
    assert "RMTL, Table 2: loss weights on ple: click" in out
    assert "RMTL-PLE" in out
    values = report(tmp_path, "rmtl-table2")
    assert dict(values["options"]["settings"]) == {"epochs": 1, "lambda": 0.5, "scale": "small"}
    assert values["command"].split()[0] == "mtfx"
    assert experiment("rmtl-transfer", "--backbones", "ple", *flags) == 0
    assert "6 trials, 6 of them finished before" in capfd.readouterr().out
    assert experiment("rmtl-table2", "--seeds", "3", *flags[2:]) == 0
    assert "18 trials, 12 of them finished before" in capfd.readouterr().out
    assert experiment("rmtl-table2", "--first-seed", "2", "--seeds", "1", *flags[2:]) == 0
    assert "6 trials, 6 of them finished before" in capfd.readouterr().out
    assert report(tmp_path, "rmtl-table2")["options"]["seeds"] == [2]


def test_a_failing_trial_is_reported_with_its_log_and_exit_code_1(experiment, capfd):
    assert experiment("rmtl-transfer", "--seeds", "1", function="fail_critics") == 1
    out = capfd.readouterr().out
    assert "failed: ple-critics-seed0: RuntimeError: the critics" in out
    assert "trial.log" in out
    assert "not run: ple-rmtl-seed0, which needs a trial that failed" in out


@pytest.mark.parametrize(
    ("arguments", "message", "code"),
    [
        (["table1"], "'table1' is not one of 'rmtl-table1'", 2),
        (["rmtl-table1", "--backbones", "esmm,pple"], "--backbones: no pple; there are: single", 1),
        (["rmtl-table1", "--backbones", "ple,ple"], "names one twice", 1),
        (["rmtl-table1", "--set", "lamda=1"], "no setting 'lamda'", 2),
        (["rmtl-table1", "--set", "lambda"], "'lambda' is not of the form lambda=0.5", 2),
        (["rmtl-table1", "--set", "gamma=2"], "gamma must not be negative and at most 0.999", 2),
        (["rmtl-table1", "--set", "epochs=2"], "epochs has a flag of its own: --epochs", 2),
        (["rmtl-table1", "--set", "lambda=1", "--set", "lambda=2"], "gives a setting twice", 1),
        (["rmtl-table1", "--epochs", "0"], "--epochs: epochs must be positive, got 0", 1),
        (["rmtl-table1", "--seeds", "0"], "0 is not in the range", 2),
        (["rmtl-table1", "--first-seed", "-1"], "-1 is not in the range", 2),
        (["rmtl-table1", "--first-seed", "2147483000"], "2147483000 is not in the range", 2),
        (["rmtl-table1", "--tasks", "pay"], "backbone esmm needs task 'click'", 1),
        (["rmtl-table1", "--tasks", "play"], "--tasks: ", 1),
    ],
)
def test_wrong_usage_is_named_at_once(experiment, capfd, arguments, message, code):
    assert experiment(*arguments) == code
    error = " ".join(capfd.readouterr().err.split())
    assert message in error
    assert "Traceback" not in error


def test_a_regression_task_is_refused(tmp_path, capfd):
    arguments = ["--dataset", "kuairand", "--data-dir", "x", "--output-dir", str(tmp_path)]
    assert main(["experiment", "rmtl-table1", *arguments, "--tasks", "watch_time_ms"]) == 1
    assert "watch_time_ms is a regression task" in capfd.readouterr().err


def test_help_lists_experiments_and_settings_without_tensorflow():
    code = (
        "import sys; from mtfx.cli.__main__ import main; main(['experiment', '--help']); "
        "print('HEAVY', [m for m in ('tensorflow', 'tfx', 'scipy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "HEAVY []" in done.stdout
    for name in (*EXPERIMENTS, *settings_of(RmtlTrialSettings())):
        assert name.replace("_", "-") in done.stdout or name in done.stdout
