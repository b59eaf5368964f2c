"""``mtfx join-feedback`` on two small logs, and what it refuses."""

import numpy as np

from mtfx.cli.__main__ import main
from mtfx.serving.interaction_log import InteractionLogger, RequestContext
from mtfx.serving.messages import Ranking


def test_logs_are_joined_and_counted(tmp_path, capfd):
    answer = Ranking(
        np.zeros(1, np.int32),
        np.zeros(1, np.float32),
        np.full([1, 2], 0.25, np.float32),
        np.zeros(2, np.float32),
        np.ones(3, np.float32),
        3,
    )
    times = iter(1_700_000_000_000 + at for at in (0, 1_000, 9_000_000))
    with InteractionLogger(tmp_path / "log", now_ms=lambda: next(times)) as log:
        log.log_request(RequestContext("a", "s", "u", 0, "policy"), b"", answer, 0, 5.0)
        log.log_feedback("a", {"click": 1.0})
        log.log_request(RequestContext("b", "t", "u", 0, "policy"), b"", answer, 0, 5.0)
    paths = ["--log-dir", str(tmp_path / "log"), "--output-dir", str(tmp_path / "joined")]
    assert main(["join-feedback", *paths, "--feedback", "click"]) == 0
    shown = capfd.readouterr().out
    assert "wait for the next run" in shown
    assert (tmp_path / "joined.log").exists()
    assert list((tmp_path / "joined").glob("*.parquet"))
    assert main(["join-feedback", *paths, "--feedback", "click", "--wait-minutes", "0"]) == 1
    assert "--wait-minutes must be positive" in capfd.readouterr().err
    for flag in ("--max-bad-rows", "--max-orphan-feedback", "--min-feedback"):
        assert main(["join-feedback", *paths, "--feedback", "click", flag, "1.5"]) == 1
        assert f"{flag} is a share" in capfd.readouterr().err
    elsewhere = ["--log-dir", str(tmp_path / "none"), "--output-dir", str(tmp_path / "o")]
    assert main(["join-feedback", *elsewhere, "--feedback", "click"]) == 1
    assert "no Parquet file" in capfd.readouterr().err


def test_a_damaged_file_is_one_sentence_and_the_rest_is_in_the_log(tmp_path, capfd):
    for name in ("requests", "feedback"):
        (tmp_path / "log" / name).mkdir(parents=True)
    (tmp_path / "log" / "requests" / "requests-0.parquet").write_bytes(b"PAR1 but no more")
    joined = tmp_path / "joined"
    paths = ["--log-dir", str(tmp_path / "log"), "--output-dir", f"{joined}/"]
    assert main(["join-feedback", *paths, "--feedback", "click"]) == 1
    shown = "".join(capfd.readouterr())
    assert "requests-0.parquet is damaged" in shown
    assert "Traceback" not in shown
    assert f"full log: {joined}.log" in shown
    # Beam's own words and the traceback are kept for whoever mends the log.
    assert "Traceback" in (tmp_path / "joined.log").read_text()
    assert not joined.exists()


def test_an_output_directory_that_cannot_be_made_is_named_at_once(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    paths = ["--log-dir", str(tmp_path), "--output-dir", str(tmp_path / "file" / "joined")]
    assert main(["join-feedback", *paths, "--feedback", "click"]) == 1
    assert "--output-dir" in capsys.readouterr().err


def test_what_another_day_has_to_do_with_a_join_is_said(tmp_path, capfd):
    answer = Ranking(
        np.zeros(1, np.int32),
        np.zeros(1, np.float32),
        np.full([1, 2], 0.25, np.float32),
        np.zeros(2, np.float32),
        np.ones(3, np.float32),
        3,
    )
    clock = [0]
    for day in (1, 2, 3):
        with InteractionLogger(tmp_path / f"log-{day}", now_ms=lambda: clock[0]) as log:
            for hour in range(24):
                clock[0] = 1_699_920_000_000 + (24 * day + hour) * 3_600_000
                name = f"{day}-{hour}"
                log.log_request(RequestContext(name, name, "u", 0, "policy"), b"", answer, 0, 5.0)
                log.log_feedback(name, {"click": 1.0})
    served = tmp_path / "served [eu]"

    def run(day, *arguments):
        paths = ("--log-dir", tmp_path / f"log-{day}", "--output-dir", served / f"day-{day}")
        flags = (*paths, "--feedback", "click", *arguments)
        assert main(["join-feedback", *map(str, flags)]) == 0
        return " ".join(capfd.readouterr().out.split())

    assert "note:" not in run(1)
    said = run(3)
    assert "note: between day-1" in said
    assert f"--earlier-output {served}/day-1" in said
    assert "waited in day-1" in run(2)
    assert "waited in day-2" in run(3)
    assert "note:" not in run(3, "--earlier-output", "none")
