"""Commands by themselves: what they refuse before anything slow starts, and errors in words."""

import errno

import click
import pytest
from click.testing import CliRunner

from mtfx.cli.closed_loop import closed_loop_command
from mtfx.cli.compare import compare_command
from mtfx.cli.compile import compile_command
from mtfx.cli.cut_days import cut_days_command
from mtfx.cli.experiment import experiment_command
from mtfx.cli.explain import explain_command
from mtfx.cli.failures import INTERRUPTED, append_traceback, explain
from mtfx.cli.headroom import headroom_command
from mtfx.cli.join_feedback import join_feedback_command
from mtfx.cli.logs import require_log
from mtfx.cli.parameters import HyperParameter, Names, Numbers, TrialSetting
from mtfx.cli.ranking import ranking_command
from mtfx.cli.shared_flags import Invocation
from mtfx.cli.stream import stream_command
from mtfx.cli.synthesize import synthesize_command
from mtfx.errors import StageError, UserError

OUT = ("--output-dir", "out")
ARMS = ("--control", "a", "--treatment", "b", *OUT)
NO_DATA = ("--dataset", "kuairand", "--data-dir", "no")


@pytest.mark.parametrize(
    ("command", "arguments", "said"),
    [
        (closed_loop_command, (*OUT, "--days", "0"), "--days must be at least 1"),
        (compare_command, ARMS, "give either --run-dir or --interactions"),
        (compare_command, (*ARMS, "--run-dir", "x", "--days", "0"), "--days must be at least 1"),
        (compile_command, ("--runner", "airflow"), "'airflow' is not"),
        (cut_days_command, (*NO_DATA, *OUT), "--data-dir no is not a directory"),
        (experiment_command, ("no-such", *OUT), "'no-such' is not one of"),
        (explain_command, OUT, "--run-dir"),
        (explain_command, (*OUT, "--run-dir", "no", "--user", "a,,b"), "has an empty name"),
        (headroom_command, OUT, "give either --run-dir or --simulator"),
        (join_feedback_command, ("--feedback", "a,,b"), "has an empty name"),
        (ranking_command, (*NO_DATA, *OUT), "--data-dir no is not a directory"),
        (stream_command, ("--method", "no-such"), "'no-such' is not one of"),
        (synthesize_command, (*OUT, "--impressions", "0"), "0"),
    ],
)
def test_what_cannot_be_run_is_refused_and_leaves_nothing(
    command, arguments, said, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(command, arguments, obj=Invocation())
    assert result.exit_code != 0
    assert isinstance(result.exception, (SystemExit, UserError))
    assert said in result.output + str(result.exception)
    assert list(tmp_path.iterdir()) == []


def test_a_log_of_many_days_is_not_cut_into_a_directory_in_use(tmp_path, shared_data):
    (tmp_path / "kept").write_text("")
    arguments = ["--dataset", "retailrocket", "--data-dir", str(shared_data / "retailrocket")]
    result = CliRunner().invoke(cut_days_command, [*arguments, "--output-dir", str(tmp_path)])
    assert "is not empty" in str(result.exception)
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_the_cause_of_a_failed_stage_is_said_before_the_stages_own_words():
    error = StageError("Trainer", "long story")
    error.__cause__ = UserError("no such model", "train one")
    found = explain(error, None, None)
    assert found == ("stage Trainer: no such model", "train one", 1)


def test_a_full_disk_is_known_by_its_number_and_by_the_systems_words(tmp_path):
    numbered = explain(OSError(errno.ENOSPC, "full", "here/file"), None, None)
    assert numbered.message == "disk full while writing to here/file"
    text = explain(RuntimeError("write: No space left on device"), tmp_path, None)
    assert text.message == f"disk full while writing to {tmp_path}"
    assert "re-run" in text.hint


def test_an_interruption_and_a_beam_traceback_are_short(tmp_path):
    assert explain(KeyboardInterrupt(), None, None).exit_code == INTERRUPTED
    beam = RuntimeError("boom\nTraceback (most recent call last):\n  File\nValueError: the row")
    assert explain(beam, None, None).message == "unexpected RuntimeError: ValueError: the row"
    append_traceback(beam, tmp_path / "missing" / "log")
    append_traceback(beam, tmp_path / "log")
    assert "boom" in (tmp_path / "log").read_text()


def test_a_log_below_a_file_is_refused_with_its_flag(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="--run-dir here cannot be written"):
        require_log(tmp_path / "file" / "log", "--run-dir", "here")


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (Names(), "a, b", ("a", "b")),
        (Numbers(), "128,512", (128, 512)),
        (TrialSetting(), "lambda=0.5=x", ("lambda", "0.5=x")),
        (HyperParameter(), "hidden_units=(64,64)", ("hidden_units", (64, 64))),
        (HyperParameter(), "outer=ddpg", ("outer", "ddpg")),
        (HyperParameter(), "double=True", ("double", True)),
    ],
)
def test_values_are_read_once(kind, text, value):
    assert kind.convert(text, None, None) == value
    if kind.name != "NAME=VALUE":
        assert kind.convert(value, None, None) == value


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (Names(), "a,,b"),
        (Numbers(), "1,x"),
        (TrialSetting(), "lambda"),
        (HyperParameter(), "rho=1+"),
    ],
)
def test_values_that_say_nothing_are_refused_as_they_stand(kind, text):
    with pytest.raises(click.BadParameter, match=text.replace("+", r"\+")):
        kind.convert(text, None, None)
