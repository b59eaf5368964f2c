"""What a served log is refused for, and where the simulator of its states is found."""

import json

import pytest

from mtfx.errors import UserError
from mtfx.pipelines.served_log import ServedLog, check_served, last_simulator


def test_a_log_that_is_not_there_is_named(tmp_path):
    with pytest.raises(UserError, match=r"--served-log .*none is not a directory"):
        check_served(ServedLog(str(tmp_path / "none")), "run", "simulator")
    check_served(ServedLog(str(tmp_path)), "run", "simulator")
    check_served(ServedLog("gs://bucket/log"), "run", "simulator")


def test_a_run_that_served_nothing_is_named(tmp_path):
    with pytest.raises(UserError, match="needs a ranker that served it, and run has exported none"):
        check_served(ServedLog(str(tmp_path)), "run", "")


def test_several_deliveries_need_a_place_for_their_numbers():
    with pytest.raises(UserError, match="SPAN"):
        ServedLog("log", earlier_spans=(1,))
    ServedLog("log", "day-{SPAN}/*", 2, (1,))


def test_the_simulator_is_the_last_reports(tmp_path):
    assert last_simulator(str(tmp_path), tmp_path) == ""
    (tmp_path / "world").mkdir()
    report = {"simulator": str(tmp_path / "world")}
    (tmp_path / "summary.json").write_text(json.dumps(report))
    assert last_simulator(str(tmp_path), tmp_path) == str(tmp_path / "world")


@pytest.mark.parametrize("text", ["{}", "{", "[]"])
def test_a_damaged_report_is_named(tmp_path, text):
    (tmp_path / "summary.json").write_text(text)
    with pytest.raises(UserError, match=r"summary\.json"):
        last_simulator(str(tmp_path), tmp_path)
