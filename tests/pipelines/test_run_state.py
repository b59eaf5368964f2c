"""ML Metadata that is locked or damaged, and a push that is killed half-way."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from ml_metadata.proto import metadata_store_pb2

from mtfx.errors import UserError
from mtfx.pipelines import local_runner, run_state
from mtfx.pipelines.local_runner import SilentObserver
from mtfx.serving.loaded_versions import LoadedVersions
from tests.pipelines.test_local_runner import make_pipeline

_LOCK = """
import sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN EXCLUSIVE")
print("locked", flush=True)
time.sleep(2)
connection.execute("ROLLBACK")
"""


def test_a_metadata_database_that_another_program_has_locked_is_waited_for(tmp_path):
    local_runner.run(make_pipeline(tmp_path), SilentObserver())
    # Another process: SQLite's locks do not hold between two libraries in one.
    process = subprocess.Popen(
        [sys.executable, "-c", _LOCK, str(tmp_path / "metadata.db")],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "locked\n"
        begin = time.monotonic()
        result = local_runner.run(make_pipeline(tmp_path, count=6), SilentObserver())
        assert time.monotonic() - begin > 1.0
    finally:
        process.kill()
        process.wait()
    assert [stage.status for stage in result.stages.values()] == ["finished", "finished"]


def test_a_damaged_metadata_database_is_named_and_left_alone(tmp_path):
    database = tmp_path / "metadata.db"
    database.write_bytes(b"no database" * 1000)
    with pytest.raises(UserError, match=r"metadata\.db cannot be read") as raised:
        local_runner.run(make_pipeline(tmp_path), SilentObserver())
    assert "move it away" in raised.value.hint
    assert database.read_bytes() == b"no database" * 1000
    database.rename(tmp_path / "old.db")
    assert local_runner.run(make_pipeline(tmp_path), SilentObserver()).stages


_PUSH = """
import sys, time
from tfx.components.pusher import executor
from tfx.types import standard_artifacts
from tfx.utils import io_utils

model, serving, pushed, hang = sys.argv[1:]

def wait(source, target, *rest, **named):
    print("half pushed", flush=True)
    time.sleep(60)

if hang == "hang":
    io_utils.copy_file = wait
source, target = standard_artifacts.Model(), standard_artifacts.PushedModel()
source.uri, target.uri = model, pushed
executor.Executor().Do(
    {"model": [source]},
    {"pushed_model": [target]},
    {"push_destination": '{"filesystem": {"baseDirectory": "' + serving + '"}}'},
)
"""


def push(root, hang):
    script = textwrap.dedent(_PUSH)
    arguments = [str(root / name) for name in ("model", "serving", "pushed")]
    return subprocess.Popen(
        [sys.executable, "-c", script, *arguments, hang],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )


def versions(root):
    """The loader's view; what it would load is only named."""
    return LoadedVersions(root / "serving", load=lambda path: Path(path).name).versions()


@pytest.mark.slow
def test_a_push_that_is_killed_leaves_the_earlier_version_serving(tmp_path):
    """TFX's own Pusher, killed when all but saved_model.pb is copied."""
    model = tmp_path / "model" / "Format-Serving"
    (model / "variables").mkdir(parents=True)
    for name in ("saved_model.pb", "variables/variables.index"):
        (model / name).write_text("x")
    earlier = tmp_path / "serving" / "1"
    earlier.mkdir(parents=True)
    (earlier / "saved_model.pb").write_text("x")
    process = push(tmp_path, "hang")
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "half pushed\n"
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    [partial] = [path for path in (tmp_path / "serving").iterdir() if path != earlier]
    assert (partial / "variables" / "variables.index").exists()
    assert versions(tmp_path) == [1]
    assert push(tmp_path, "go on").wait() == 0
    [whole] = versions(tmp_path)
    assert whole > int(partial.name)
    assert (tmp_path / "serving" / str(whole) / "saved_model.pb").exists()


def test_a_lock_goes_with_its_holder_and_names_it_while_it_lasts(tmp_path):
    connection = metadata_store_pb2.ConnectionConfig()
    connection.sqlite.filename_uri = str(tmp_path / "run" / "metadata.db")
    with (
        run_state.exclusive(connection),
        pytest.raises(UserError, match=f"another run .process {os.getpid()}. is using"),
        run_state.exclusive(connection),
    ):
        pass
    with run_state.exclusive(connection):
        pass
    with run_state.exclusive(metadata_store_pb2.ConnectionConfig()):
        # A database server keeps its own order.
        assert [path.name for path in tmp_path.rglob("*.lock")] == ["metadata.db.lock"]
