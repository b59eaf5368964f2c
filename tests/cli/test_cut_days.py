"""``mtfx cut-days`` makes the folders that ``mtfx daily`` takes, and refuses in a line."""

import pytest

from mtfx.cli.__main__ import main

LOG = "log_standard_a_to_b_pure.csv"


@pytest.fixture
def cut(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / LOG).write_text(
        "date,time_ms\n20220425,1650812741436\n20220426,1650950000000\n"
    )

    def run(*more):
        paths = ["--data-dir", str(tmp_path / "data"), "--output-dir", str(tmp_path / "days")]
        return main(["cut-days", "--dataset", "kuairand", *paths, *more])

    return run


def test_folders_are_named_by_dates_and_the_next_command_by_them(cut, tmp_path, capsys):
    assert cut("--day-column", "date") == 0
    assert sorted(p.name for p in (tmp_path / "days").iterdir()) == ["day-20220425", "day-20220426"]
    told = capsys.readouterr().out
    assert "2 days" in told
    assert "--from 20220425 --span 20220426" in told


def test_what_cannot_be_cut_is_refused(cut, tmp_path, capsys):
    assert cut("--day-column", "day") == 1
    assert f"{LOG} has no column 'day'" in capsys.readouterr().err
    assert cut() == 0
    assert cut() == 1
    assert "is not empty" in capsys.readouterr().err
