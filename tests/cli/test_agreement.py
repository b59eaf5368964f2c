"""``mtfx datasets --agreement``: a table anybody can read, and no NaN where nothing is known."""

import pytest

from mtfx.cli.__main__ import main
from mtfx.cli.agreement import LEAST_USER_ROWS


@pytest.fixture(scope="module")
def logs(tmp_path_factory):
    directory = tmp_path_factory.mktemp("logs")
    for profile in ("video", "shop"):
        command = ["synthesize", "--profile", profile, "--impressions", "20000"]
        assert main([*command, "--output-dir", str(directory / profile)]) == 0
    return directory


def show(logs, capsys, *arguments):
    capsys.readouterr()
    code = main(["datasets", "--agreement", str(logs), *arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_items_users_times_and_durations_are_shown(logs, capsys):
    code, text, _ = show(
        logs / "video", capsys, "--dataset", "synthetic", "--least-item-rows", "15"
    )
    assert code == 0
    assert "20,000 impressions" in text
    assert "with at least 15 rows in each half" in text
    assert f"with at least {LEAST_USER_ROWS} rows in each half" in text
    for said in ("corr. like", "by click", "rank correlation of watch time", "99%", "up to, s"):
        assert said in text
    assert "nan" not in text.lower()


def test_a_log_without_watch_time_has_no_such_tables(logs, capsys):
    code, text, _ = show(logs / "shop", capsys, "--dataset", "synthetic-shop")
    assert code == 0
    assert "corr. pay" in text
    assert "seconds" not in text
    assert "up to, s" not in text


def test_too_few_rows_are_said(logs, capsys):
    arguments = ("--dataset", "synthetic", "--least-item-rows", "5000")
    code, text, _ = show(logs / "video", capsys, *arguments)
    assert code == 0
    assert "items: only 0 with at least 5000 rows in each half, too few" in text
    assert "lower --least-item-rows" in text
    assert "nan" not in text.lower()


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--agreement", "absent", "--dataset", "kuairand"], 1, "--agreement absent is not a dir"),
        (["--agreement", "."], 2, "--agreement needs --dataset"),
        (["--agreement", ".", "--check", ".", "--dataset", "kuairand"], 2, "give either --check"),
        (["--agreement", ".", "--dataset", "kuairand"], 1, "has no log of data set kuairand"),
        (["--agreement", ".", "--dataset", "synthetic"], 1, "is no finished synthetic data set"),
        (["--agreement", ".", "--dataset", "nothing"], 1, "unknown data set 'nothing'"),
    ],
)
def test_bad_input_is_answered_by_one_line(arguments, code, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["datasets", *arguments]) == code
    text = capsys.readouterr().err
    assert said in text
    assert "Traceback" not in text
