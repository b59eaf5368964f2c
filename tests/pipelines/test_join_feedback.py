"""``mtfx join-feedback`` on two small logs, and what it refuses."""

import numpy as np

from pipelines.__main__ import main
from serving.interaction_log import InteractionLogger, RequestContext
from serving.messages import Ranking


def test_logs_are_joined_and_counted(tmp_path, capsys):
    answer = Ranking(
        np.zeros(1, np.int32),
        np.zeros(1, np.float32),
        np.full([1, 2], 0.25, np.float32),
        np.zeros(2, np.float32),
        np.ones(3, np.float32),
        3,
    )
    times = iter((1_000_000, 1_001_000, 9_000_000))
    with InteractionLogger(tmp_path / "log", now_ms=lambda: next(times)) as log:
        log.log_request(RequestContext("a", "s", "u", 0, "policy"), answer, 0, 5.0)
        log.log_feedback("a", {"click": 1.0})
        log.log_request(RequestContext("b", "t", "u", 0, "policy"), answer, 0, 5.0)
    paths = ["--log-dir", str(tmp_path / "log"), "--output-dir", str(tmp_path / "joined")]
    assert main(["join-feedback", *paths, "--feedback", "click"]) == 0
    shown = capsys.readouterr().out
    assert "wait for the next run" in shown
    assert list((tmp_path / "joined").glob("*.parquet"))
    assert main(["join-feedback", *paths, "--feedback", "click", "--wait-minutes", "0"]) == 1
    assert "wait_minutes must be positive" in capsys.readouterr().err
    elsewhere = ["--log-dir", str(tmp_path / "none"), "--output-dir", str(tmp_path / "o")]
    assert main(["join-feedback", *elsewhere, "--feedback", "click"]) == 1
    assert "no Parquet file" in capsys.readouterr().err
