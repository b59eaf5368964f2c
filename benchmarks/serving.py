"""Load test of a ranker: latency beside the bare SavedModel call and the matrix product's floor.

Run as ``python -m benchmarks.serving --ranker run/serving/ranker/VERSION``. A server in a process
of its own, TF Serving where ``tensorflow_model_server`` is on the PATH and the stand-in otherwise,
gets requests of some sizes as a Poisson process; a latency counts from when its request was due.
Client and server share the machine's cores. Each size is sent as a request (``request``), and as
features that were looked up ahead (``looked up``).

The bare call is the same signature of the same model in this process, one request after the other.
The floor is the time of the ranking model's matrix products alone at this machine's measured peak:
2 N operations per candidate, with N weights that are no embeddings.
"""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np
import tensorflow as tf

from benchmarks.offline_rl import PEAK_SIZE, matmul_peak
from mtfx.serving.client import GrpcRankerClient
from mtfx.serving.load import LoadConfig, run_load
from mtfx.serving.messages import (
    FEATURES,
    RANK_TRANSFORMED,
    REQUEST,
    SIGNATURE,
    RankingError,
)
from mtfx.serving.request_fields import HISTORY_PREFIX
from mtfx.serving.warmup import num_candidates, read_warmup

SIZES = (100, 500, 1000)
_TF_SERVING = "tensorflow_model_server"
_START_S = 180.0
_POSITIVE = click.FloatRange(min=0.0, min_open=True)


@click.command(context_settings={"show_default": True})
@click.option(
    "--ranker",
    type=click.Path(exists=True, file_okay=False),
    help="Exported version with warm-up requests; without one, says how.",
)
@click.option("--rate", default=50.0, type=_POSITIVE, help="Requests per second.")
@click.option("--seconds", default=30.0, type=_POSITIVE, help="Of each size.")
@click.option("--small", is_flag=True, help="Five seconds of each size, for a quick look.")
def main(ranker: str | None, rate: float, seconds: float, small: bool) -> None:
    """Prints p50 and p99 by size, the bare call, its share, and the floor."""
    if ranker is None:
        click.echo("needs --ranker: `make demo` pushes one to mtfx_demo/run/serving/ranker")
        return
    seconds = 5.0 if small else seconds
    path = Path(ranker)
    try:
        load = LoadConfig(rate, seconds)
        largest = max(read_warmup(path), key=num_candidates)
    except (FileNotFoundError, ValueError) as error:
        raise click.ClickException(str(error)) from error
    requests = {size: resized(largest, size) for size in SIZES}
    model = tf.saved_model.load(ranker)
    weights = dense_weights(model)
    peak = _peak_flops()
    with _server(path) as (name, port):
        click.echo(
            f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; "
            f"TensorFlow {tf.__version__}; {name}; {rate:g} requests/s for {seconds:g} s\n"
            f"{weights:,} weights beside embeddings, peak {peak / 1e9:.0f} GFLOP/s\n"
            f"{'candidates':>10} {'features':>10} {'p50 ms':>8} {'p99 ms':>8} "
            f"{'answered/s':>11} {'errors':>7} {'bare ms':>8} {'ratio':>6} {'floor ms':>9} "
            f"{'most/s':>7}"
        )
        client = GrpcRankerClient(f"localhost:{port}", timeout_s=5.0)
        for size, request in requests.items():
            for features, inputs in (
                ("request", {REQUEST: request}),
                ("looked up", _looked_up(client, request)),
            ):
                send = _sender(client, features, inputs)
                for _ in range(5):
                    send(60.0)
                result = run_load(lambda _, send=send: send(None), load)
                bare = _bare_ms(model, features, inputs)
                p50, p99 = result.percentile_ms(50.0), result.percentile_ms(99.0)
                click.echo(
                    f"{size:>10} {features:>10} {p50:>8.1f} {p99:>8.1f} {result.throughput:>11.1f} "
                    f"{sum(result.errors.values()):>7} {bare:>8.1f} {p50 / bare:>6.2f} "
                    f"{2e3 * weights * size / peak:>9.3f} {_most(send, seconds):>7.1f}"
                )
        client.close()


def resized(request: bytes, size: int) -> bytes:
    """A request with ``size`` candidates: its own, again and again."""
    parsed: Any = tf.train.Example.FromString(request)
    count = num_candidates(request)
    for name, feature in parsed.features.feature.items():
        values = getattr(feature, feature.WhichOneof("kind")).value
        if len(values) == count and not name.startswith(HISTORY_PREFIX):
            kept = [values[i % count] for i in range(size)]
            del values[:]
            values.extend(kept)
    return parsed.SerializeToString()


def dense_weights(model: Any) -> int:
    """Weights of the ranking model that every candidate is multiplied by."""
    return sum(
        int(np.prod(variable.shape))
        for variable in model.ranking.model_variables
        if variable.trainable and "embedding" not in variable.name
    )


def _peak_flops() -> float:
    product = matmul_peak()
    best = min(_timed(lambda: product().numpy()) for _ in range(10))
    return 2.0 * PEAK_SIZE**3 / best


def _timed(call: Any) -> float:
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


def _looked_up(client: GrpcRankerClient, request: bytes) -> dict[str, Any]:
    stored, _ = client.transform([request], timeout_s=60.0)
    return {name: stored[name][0] if FEATURES[name][1] == 1 else stored[name] for name in FEATURES}


def _sender(
    client: GrpcRankerClient, features: str, inputs: dict[str, Any]
) -> Callable[[float | None], object]:
    """What sends a request, given the seconds to wait for its answer."""
    if features == "request":
        return lambda timeout_s: client.rank(inputs[REQUEST], timeout_s)
    return lambda timeout_s: client.rank_transformed(inputs, timeout_s)


def _bare_ms(model: Any, features: str, inputs: dict[str, Any]) -> float:
    """Median of the signature's own time, ms."""
    serve = model.signatures[SIGNATURE if features == "request" else RANK_TRANSFORMED]
    given = {name: tf.constant(value) for name, value in inputs.items()}

    def call() -> None:
        serve(**given)["scores"].numpy()

    for _ in range(5):
        call()
    return 1e3 * statistics.median(_timed(call) for _ in range(100))


def _most(send: Callable[[float | None], object], seconds: float) -> float:
    """Answers per second where more is asked than can be answered."""
    end = time.monotonic() + seconds / 3

    def one(_: int) -> None:
        if time.monotonic() > end:
            raise RankingError("timeout", "the time is over")
        send(None)

    result = run_load(one, LoadConfig(rate=2000.0, seconds=seconds / 3, in_flight=8))
    return result.throughput


@contextlib.contextmanager
def _server(ranker: Path) -> Iterator[tuple[str, int]]:
    """A server of the version's directory: its name and its gRPC port."""
    port, rest = _free_port(), _free_port()
    base = str(ranker.resolve().parent)
    if (binary := shutil.which(_TF_SERVING)) is not None:
        name = "TF Serving"
        command = [binary, f"--port={port}", f"--rest_api_port={rest}", "--model_name=ranker"]
        command.append(f"--model_base_path={base}")
    else:
        name = "stand-in for TF Serving (Python)"
        command = [
            sys.executable,
            "-m",
            "mtfx.serving.stand_in_server",
            f"--model-base-path={base}",
        ]
        command += [f"--port={port}", f"--rest-api-port={rest}"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait(port, process)
        yield name, port
    finally:
        process.terminate()
        process.wait(10)


def _wait(port: int, process: subprocess.Popen) -> None:
    end = time.monotonic() + _START_S
    while process.poll() is None and time.monotonic() < end:
        with contextlib.suppress(OSError), socket.create_connection(("localhost", port), 1.0):
            return
        time.sleep(0.5)
    raise click.ClickException("the server did not start; try its command by hand")


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("localhost", 0))
        return one.getsockname()[1]


if __name__ == "__main__":
    main()
