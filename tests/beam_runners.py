"""Beam runners besides the one in this process: a stage's output must not depend on it.

Flink's, Spark's and Dataflow's own are on no test machine. Two of Beam's treat a pipeline as theirs
do: everything in it is serialized, and runs in other processes that share no state. The worker pool
is what a Flink or Spark cluster has beside each of its workers (``--environment_type=EXTERNAL``).
"""

import contextlib
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from mtfx.pipelines.beam_args import local_beam_args

ROOT = Path(__file__).resolve().parents[1]
PORTABLE = ("--runner=PortableRunner", "--job_endpoint=embed")
#: Names of the runners that :func:`beam_args` knows.
RUNNERS = ("processes", "loopback", "worker_pool")


def local_pipeline():
    """A pipeline in this process, as the command line's stages have it: Beam's own tries Prism."""
    return beam.Pipeline(options=PipelineOptions(list(local_beam_args())))


@contextlib.contextmanager
def beam_args(runner):
    """Arguments for a runner, which is there while the context lasts."""
    if runner == "processes":
        yield local_beam_args(2)
    elif runner == "loopback":
        yield local_beam_args(extra=(*PORTABLE, "--environment_type=LOOPBACK"))
    else:
        with _worker_pool() as address:
            external = ("--environment_type=EXTERNAL", f"--environment_config={address}")
            yield local_beam_args(extra=(*PORTABLE, *external))


@contextlib.contextmanager
def _worker_pool():
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port = probe.getsockname()[1]
    module = "apache_beam.runners.worker.worker_pool_main"
    # The pool starts its workers as `python`, which must be ours, not the first one of the user's.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    pool = subprocess.Popen(
        [sys.executable, "-m", module, f"--service_port={port}"],
        env={**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_for(port, pool)
        yield f"localhost:{port}"
    finally:
        pool.terminate()
        pool.wait()


def _wait_for(port, pool):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert pool.poll() is None, "the worker pool ended"
        with contextlib.suppress(OSError), socket.create_connection(("localhost", port)):
            return
        time.sleep(0.2)
    raise AssertionError("the worker pool does not answer")
