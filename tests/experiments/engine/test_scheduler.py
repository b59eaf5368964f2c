import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from mtfx.experiments.engine.progress import TrialProgress
from mtfx.experiments.engine.scheduler import run_trials
from mtfx.experiments.engine.trial import with_requirements
from mtfx.experiments.rmtl.trial import RmtlTrial

TRIALS = with_requirements([RmtlTrial("ple", "rmtl", 0), RmtlTrial("esmm", "constant", 0)])
KEYS = [trial.key for trial in TRIALS]
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def run(data, tmp_path):
    def run(function, trials=TRIALS, data=data, workers=2):
        return run_trials(
            trials, function, data, str(tmp_path), workers, 1, TrialProgress(), "1.0+abc"
        )

    return run


def calls(tmp_path):
    return {path.parent.name: path.read_text().split() for path in tmp_path.rglob("calls")}


def test_every_trial_runs_once_in_a_worker_with_its_threads(run, stubs, tmp_path):
    outcomes = run(stubs.train)
    assert list(outcomes.records) == KEYS
    assert (outcomes.failures, outcomes.not_run, outcomes.reused) == ((), (), ())
    assert {key: len(pids) for key, pids in calls(tmp_path).items()} == dict.fromkeys(KEYS, 1)
    assert all(str(os.getpid()) not in pids for pids in calls(tmp_path).values())
    record = outcomes.records["ple-rmtl-seed0"]
    assert record.trial["method"] == "rmtl"
    assert record.code_version == "1.0+abc"
    assert record.result["notes"]["threads"]["TF_NUM_INTRAOP_THREADS"] == "1"
    assert not record.result["notes"]["tensorflow"], "the function, not the worker, imports it"
    assert record.result["metrics"]["click"] == {"auc": None, "logloss": 0.5, "s_logloss": None}
    assert record.result["curves"]["q"] == [[0.0, 1.0, 2.0]]
    assert "a line for the log" in next(tmp_path.rglob("ple-rmtl-seed0/trial.log")).read_text()


def test_a_process_is_replaced_after_some_trials(run, stubs, tmp_path, monkeypatch):
    assert len(KEYS) == 4
    run(stubs.train, workers=1)
    assert len({pid for pids in calls(tmp_path).values() for pid in pids}) == 1
    for path in tmp_path.rglob("result.json"):
        path.unlink()
    for path in tmp_path.rglob("calls"):
        path.write_text("")
    monkeypatch.setattr("mtfx.experiments.engine.scheduler.TRIALS_OF_A_PROCESS", 2)
    assert list(run(stubs.train, workers=1).records) == KEYS
    pids = [pid for pids in calls(tmp_path).values() for pid in pids]
    assert sorted(Counter(pids).values()) == [2, 2]


def test_finished_trials_are_not_run_again(run, stubs, tmp_path, data):
    run(stubs.train)
    (tmp_path / "trials" / "01234567" / KEYS[0] / "result.json").write_text('{"key": ')
    outcomes = run(stubs.train)
    assert list(outcomes.reused) == KEYS[1:]
    assert list(outcomes.records) == KEYS
    assert {key: len(pids) for key, pids in calls(tmp_path).items()} == {
        **dict.fromkeys(KEYS, 1),
        KEYS[0]: 2,
    }
    other = run(stubs.train, data=dataclasses.replace(data, fingerprint="fedcba9876543210"))
    assert other.reused == ()
    assert list(run(stubs.train).reused) == KEYS


@pytest.mark.parametrize(
    ("function", "error"),
    [
        ("fail_critics", "RuntimeError: the critics"),
        ("die_in_critics", "its process was killed; if memory ran out, use fewer --workers"),
    ],
)
def test_a_failure_stops_only_what_needs_it(run, stubs, function, error):
    outcomes = run(getattr(stubs, function), workers=1)
    assert set(outcomes.records) == {"ple-constant-seed0", "esmm-constant-seed0"}
    [failure] = outcomes.failures
    assert failure.key == "ple-critics-seed0"
    assert failure.error == error
    assert outcomes.not_run == ("ple-rmtl-seed0",)
    if function == "fail_critics":
        assert "Traceback" in Path(failure.log_file).read_text()
    mended = run(stubs.train)
    assert list(mended.records) == KEYS
    assert len(mended.reused) == 2


def test_a_result_of_another_shape_is_a_failure(run, stubs):
    outcomes = run(stubs.return_nonsense)
    assert [f.error.split(":")[0] for f in outcomes.failures] == ["ValueError"] * 2
    assert len(outcomes.not_run) == 2


def test_trials_must_come_after_those_they_require(run, stubs):
    with pytest.raises(ValueError, match="ple-critics-seed0 needs ple-constant-seed0 before it"):
        run(stubs.train, trials=[RmtlTrial("ple", "critics", 0)])
    with pytest.raises(ValueError, match="two trials have the key"):
        run(stubs.train, trials=[TRIALS[0], TRIALS[0]])


PROGRAM = """
import sys
sys.path[:0] = sys.argv[3:]
import stub_trials
from mtfx.experiments.engine.data import PreparedData
from mtfx.experiments.engine.progress import TrialProgress
from mtfx.experiments.engine.scheduler import run_trials
from mtfx.experiments.rmtl.trial import RmtlTrial

if __name__ == "__main__":
    data = PreparedData.from_json(open(sys.argv[1]).read())
    trials = [RmtlTrial("ple", "constant", 0)]
    run_trials(trials, stub_trials.wait_for_ever, data, sys.argv[2], 1, 1, TrialProgress())
"""


def ended(pid, seconds):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            # A process nobody waits for stays as a zombie.
            if Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z":
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_workers_end_with_their_parent_and_another_run_may_begin(how, data, stubs, run, tmp_path):
    (tmp_path / "data.json").write_text(data.to_json())
    (tmp_path / "program.py").write_text(PROGRAM)
    process = subprocess.Popen(
        [
            *(sys.executable, tmp_path / "program.py", tmp_path / "data.json", tmp_path),
            *(str(ROOT), str(Path(__file__).parents[1])),
        ],
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    pid_file = tmp_path / "trials" / "01234567" / "ple-constant-seed0" / "pid"
    deadline = time.monotonic() + 60
    while not (pid_file.exists() and pid_file.read_text()):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    with pytest.raises(ValueError, match="another process is running trials"):
        run(stubs.train)
    if how == signal.SIGINT:  # Ctrl-C reaches the whole group
        os.killpg(process.pid, how)
    else:
        os.kill(process.pid, how)
    process.wait(30)
    assert ended(int(pid_file.read_text()), 10)
    assert list(run(stubs.train).records) == KEYS


def test_results_are_json(run, stubs, tmp_path):
    run(stubs.train, trials=TRIALS[:1])
    [path] = tmp_path.rglob("result.json")
    values = json.loads(path.read_text(), parse_constant=pytest.fail)
    assert values["trial"] == {
        "backbone": "ple",
        "method": "constant",
        "seed": 0,
        "critic_from": "",
        "settings": [],
    }
    assert not list(tmp_path.rglob(".result.json*"))
