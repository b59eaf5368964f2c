"""Load test of a served ranker, with the requests that were exported with it.

python -m mtfx.serving.load_test --target localhost:8500 --ranker run/serving/ranker/1700000000
"""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from mtfx.serving.client import GrpcRankerClient, ServedModel
from mtfx.serving.load import LoadConfig, LoadResult, run_load
from mtfx.serving.warmup import num_candidates, read_warmup


@click.command("load_test")
@click.option("--target", default="localhost:8500", show_default=True, help="TF Serving's gRPC.")
@click.option(
    "--ranker", required=True, help="Exported ranker, whose warm-up requests are sent in turn."
)
@click.option("--model-name", default="ranker", show_default=True)
@click.option("--label", help="Version label, such as canary.")
@click.option(
    "--rate", default=50.0, show_default=True, help="Requests per second, a Poisson process."
)
@click.option("--seconds", default=30.0, show_default=True, help="How long requests arrive.")
@click.option("--candidates", type=int, help="Only warm-up requests of this number of candidates.")
@click.option(
    "--timeout-ms", default=1000.0, show_default=True, help="An answer later than this is an error."
)
@click.option("--in-flight", default=64, show_default=True, help="Requests waiting at once.")
@click.option("--seed", default=0, show_default=True, help="Of the arrivals.")
def main(
    target: str,
    ranker: str,
    model_name: str,
    label: str | None,
    rate: float,
    seconds: float,
    candidates: int | None,
    timeout_ms: float,
    in_flight: int,
    seed: int,
) -> None:
    """Send a ranker's warm-up requests at a fixed rate and report the latencies.

    The rate does not depend on the answers, and a latency counts from when its request was due: a
    server that cannot keep up shows it.
    """
    try:
        requests = read_warmup(Path(ranker))
        config = LoadConfig(rate, seconds, in_flight, seed)
    except (OSError, ValueError) as error:
        raise click.ClickException(str(error)) from error
    sizes = sorted({num_candidates(request) for request in requests})
    if candidates is not None:
        requests = [one for one in requests if num_candidates(one) == candidates]
    if not requests:
        raise click.ClickException(
            f"--candidates {candidates}: the warm-up requests have {', '.join(map(str, sizes))}"
        )
    client = GrpcRankerClient(
        target, ServedModel(model_name, label=label), timeout_s=timeout_ms / 1000
    )
    console = Console()
    with Progress(console=console) as progress:
        task = progress.add_task("requests", total=round(rate * seconds))
        result = run_load(
            lambda number: client.rank(requests[number % len(requests)]),
            config,
            lambda arrived: progress.update(task, completed=arrived),
        )
    client.close()
    console.print(render(result, rate))
    if not len(result.latencies_ms):
        raise click.ClickException(f"{target} answered no request")


def render(result: LoadResult, rate: float) -> Table:
    """The result as a table."""
    table = Table(title="Load test")
    for name in ("asked/s", "answered/s", "p50 ms", "p90 ms", "p99 ms", "max ms", "errors"):
        table.add_column(name, justify="right")
    errors = ", ".join(f"{kind} {count:,}" for kind, count in sorted(result.errors.items())) or "0"
    shares = (50.0, 90.0, 99.0, 100.0)
    latencies = [f"{result.percentile_ms(share):.1f}" for share in shares]
    table.add_row(f"{rate:g}", f"{result.throughput:.1f}", *latencies, errors)
    return table


if __name__ == "__main__":
    main()
