"""Who is chief, and what is said of a cluster that is not described as it has to be."""

import contextlib
import json
import os
import socket
import subprocess
import sys

import pytest
from tfx.components.trainer.fn_args_utils import FnArgs

from mtfx.trainers.ranking.multi_worker import (
    ClusterError,
    Worker,
    from_json,
    job_path,
    this_worker,
    to_json,
    train_as_chief,
)

TWO = {"worker": ["a:1", "b:1"]}
LED = {"chief": ["a:1"], "worker": ["b:1", "c:1"]}


def set_cluster(monkeypatch, cluster, kind, index):
    config = {"cluster": cluster, "task": {"type": kind, "index": index}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(config))


@pytest.mark.parametrize(
    ("cluster", "kind", "index", "chief"),
    [
        (TWO, "worker", 0, True),
        (TWO, "worker", 1, False),
        (LED, "chief", 0, True),
        (LED, "worker", 0, False),
    ],
)
def test_one_member_is_chief(monkeypatch, cluster, kind, index, chief):
    set_cluster(monkeypatch, cluster, kind, index)
    assert this_worker() == Worker(f"{kind}-{index}", chief)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("", "the environment has no TF_CONFIG"),
        ("{", "TF_CONFIG is not readable"),
        ('{"cluster": {"worker": ["a:1"]}}', "TF_CONFIG is not readable"),
        (
            '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}}',
            "and this task among them",
        ),
        (
            '{"cluster": {"ps": ["a:1"]}, "task": {"type": "ps", "index": 0}}',
            "chief and worker only",
        ),
    ],
)
def test_a_cluster_that_is_none_is_explained_by_an_example(monkeypatch, config, message):
    monkeypatch.setenv("TF_CONFIG", config)
    with pytest.raises(ClusterError, match=message) as raised:
        this_worker()
    assert '"task": {"type": "worker", "index": 0}' in str(raised.value)


def test_only_the_chief_s_files_are_kept(tmp_path):
    chief, other = Worker(), Worker("worker-1", False)
    kept = tmp_path / "model"
    assert chief.own(str(kept)) == str(kept)
    own = other.own(f"{kept}/")
    assert own == f"{kept}.worker-1"
    for directory in (kept, tmp_path / "model.worker-1"):
        directory.mkdir()
    chief.clean_up(str(kept))
    other.clean_up(str(kept))
    other.clean_up(str(kept))
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def arguments():
    return FnArgs(
        train_files=["t/*"],
        eval_files=["e/*"],
        transform_output="graph",
        serving_model_dir="model",
        model_run_dir="run",
        base_model=None,
        custom_config={"tasks": ["click"]},
    )


def test_a_job_survives_json():
    again = from_json(to_json(arguments()))
    assert to_json(again) == to_json(arguments())
    assert again.custom_config == {"tasks": ["click"]}


@pytest.mark.slow
@pytest.mark.parametrize(("jobs", "code"), [(("a", "a"), 0), (("a", "b"), 1)])
def test_members_that_work_at_different_jobs_find_out(checkout, jobs, code):
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in jobs]
        for one in sockets:
            one.bind(("localhost", 0))
        addresses = [f"localhost:{one.getsockname()[1]}" for one in sockets]
    program = (
        "import sys, datasets\n"
        "from mtfx.trainers.ranking.multi_worker import wait_for_all\n"
        "wait_for_all(sys.argv[1])"
    )
    members = []
    for index, job in enumerate(jobs):
        config = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
        environment = {**os.environ, "PYTHONPATH": str(checkout), "TF_CONFIG": json.dumps(config)}
        command = [sys.executable, "-c", program, job]
        members.append(
            subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
        )
    for member in members:
        _, said = member.communicate(timeout=200)
        assert member.returncode == code, said[-2000:]
        assert ("work at different jobs; start all anew" in said) == bool(code)


def test_a_training_that_fails_leaves_no_job_behind(monkeypatch, tmp_path):
    set_cluster(monkeypatch, TWO, "worker", 0)
    seen = []

    def run(command, check):
        seen.append((command, from_json((tmp_path / "job.json").read_text()).train_files))
        return subprocess.CompletedProcess(command, 3)

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(ClusterError, match="ended with code 3"):
        train_as_chief(arguments(), str(tmp_path))
    path = job_path(str(tmp_path))
    assert seen == [
        ([sys.executable, "-m", "mtfx.trainers.ranking.worker", "--job", path], ["t/*"])
    ]
    assert list(tmp_path.iterdir()) == []
