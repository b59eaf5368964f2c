"""The load is open: a slow server shows; percentiles and warm-up files are what they say."""

import gc
import subprocess
import sys
import time

import numpy as np
import pytest
from click.testing import CliRunner

from mtfx.serving.load import LoadConfig, run_load
from mtfx.serving.load_test import main
from mtfx.serving.messages import RankingError
from mtfx.serving.warmup import FILE, num_candidates, read_warmup, write_warmup
from tests.request_examples import example


def test_latencies_count_from_when_a_request_was_due():
    def slow(number):
        del number
        time.sleep(0.05)

    # Twenty at once would take 50 ms each; one at a time the last waits for all before it.
    result = run_load(slow, LoadConfig(rate=1000.0, seconds=0.02, in_flight=1))
    assert len(result.latencies_ms) == 20
    assert result.percentile_ms(100) > 900
    assert result.throughput < 25


def test_the_garbage_collector_leaves_what_is_there_alone_while_a_load_lasts():
    frozen = []
    run_load(lambda _: frozen.append(gc.get_freeze_count()), LoadConfig(rate=100.0, seconds=0.05))
    assert min(frozen) > 100_000
    assert gc.get_freeze_count() == 0


def test_arrivals_follow_the_seed_and_errors_are_counted():
    sent = []

    def send(number):
        sent.append(number)
        if number % 4 == 0:
            raise RankingError("timeout", "late")

    arrived = []
    result = run_load(send, LoadConfig(rate=2000.0, seconds=0.02, seed=1), arrived.append)
    assert sorted(sent) == list(range(40))
    assert arrived == list(range(1, 41))
    assert result.errors == {"timeout": 10}
    assert len(result.latencies_ms) == 30
    assert result.percentile_ms(50) == np.percentile(result.latencies_ms, 50)
    for name in ("rate", "seconds", "in_flight"):
        with pytest.raises(ValueError, match=name):
            LoadConfig(**{"rate": 1.0, "seconds": 1.0, name: 0})


def test_warmup_requests_survive(tmp_path, ranking_request):
    # A proto may end in zeros, which NumPy's own strings lose.
    requests = [ranking_request, example(item="a\0\0"), b""]
    write_warmup(tmp_path, requests)
    assert read_warmup(tmp_path) == requests
    with pytest.raises(ValueError, match="1 to 1,000"):
        write_warmup(tmp_path, [])
    (tmp_path / "assets.extra" / FILE).write_bytes(b"damaged" * 10)
    with pytest.raises(ValueError, match="damaged"):
        read_warmup(tmp_path)
    with pytest.raises(FileNotFoundError, match="export it again"):
        read_warmup(tmp_path / "nowhere")


def test_candidates_are_counted():
    assert num_candidates(b"") == 0
    assert num_candidates(example(user=7)) == 1
    assert num_candidates(example(item=[1, 2, 3], user=7)) == 3
    assert num_candidates(example(item=[1, 2], history_item=list(range(50)))) == 2
    assert num_candidates(b"any") == 1


def test_the_command_reports_percentiles(own_server, ranking_request):
    write_warmup(own_server.base / "2", [ranking_request])
    arguments = ["--target", own_server.target, "--ranker", str(own_server.base / "2")]
    arguments += ["--seconds", "1", "--rate", "20", "--timeout-ms", "20000"]
    shown = CliRunner().invoke(main, arguments)
    assert shown.exit_code == 0, shown.output
    assert "p99 ms" in shown.output
    wrong = CliRunner().invoke(main, [*arguments, "--candidates", "7"])
    assert wrong.exit_code == 1
    assert "the warm-up requests have 5" in wrong.output


@pytest.mark.slow
def test_serving_needs_none_of_our_other_packages(checkout):
    code = (
        "import sys, mtfx.serving.client, mtfx.serving.stand_in_server, mtfx.serving.load_test\n"
        "ours = {'agents','components','datasets','environments','evaluation','experiments',"
        "'models','pipelines','trainers'}\n"
        "ours &= {name.split('.')[1] for name in sys.modules if name.startswith('mtfx.')}\n"
        "assert not ours, ours"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=checkout)
