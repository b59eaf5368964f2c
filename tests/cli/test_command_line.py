"""The command line: speed of help, readable failures, exit codes, progress, logs."""

import errno
import hashlib
import io
import logging
import os
import subprocess
import sys
import types

import pytest
from absl import logging as absl_logging
from rich.console import Console

from mtfx.cli.__main__ import main
from mtfx.cli.choices import check_files
from mtfx.cli.progress import LiveProgress, PlainProgress, describe_rows
from mtfx.datasets.spec import KnownFile
from mtfx.errors import DataError, StageError, UserError
from mtfx.models.config import ModelConfig
from mtfx.models.loss_weighting.registry import LOSS_WEIGHTINGS
from mtfx.models.mtl.registry import BACKBONES
from mtfx.pipelines.beam_args import local_beam_args
from mtfx.pipelines.config import RankingPipelineConfig
from mtfx.pipelines.options import DataOptions

HEAVY = ["tensorflow", "tfx", "tfx_bsl", "apache_beam", "tf_keras", "tensorflow_model_analysis"]


@pytest.fixture
def shop(tmp_path):
    directory = tmp_path / "shop"
    directory.mkdir()
    (directory / "events.csv").write_text("timestamp,visitorid,event,itemid,transactionid\n")
    return directory


@pytest.fixture
def ranking(monkeypatch, shop, tmp_path):
    """Runs ``mtfx ranking`` with a stand-in for the pipeline."""
    monkeypatch.setenv("PYTHONPATH", "")

    def run(pipeline, *arguments):
        module = types.ModuleType("mtfx.pipelines.ranking")
        module.run_ranking = pipeline
        monkeypatch.setitem(sys.modules, "mtfx.pipelines.ranking", module)
        console = types.ModuleType("mtfx.evaluation.reports.ranking")
        console.render_summary = lambda summary: f"the summary is {summary}"
        monkeypatch.setitem(sys.modules, "mtfx.evaluation.reports.ranking", console)
        base = ["ranking", "--dataset", "retailrocket", "--data-dir", str(shop)]
        return main([*base, "--output-dir", str(tmp_path / "run"), *arguments])

    return run


def fail_with(error):
    def pipeline(config, observer, command):
        raise error

    return pipeline


def stage_error(cause):
    try:
        raise StageError("Trainer", str(cause)) from cause
    except StageError as error:
        return error


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--version"],
        ["ranking", "--help"],
        ["synthesize", "--help"],
        ["compile", "--help"],
        ["ranking", "--dataset", "nothing", "--data-dir", ".", "--output-dir", "out"],
        ["ranking", "--dataset", "kuairand", "--data-dir", "absent", "--output-dir", "out"],
        ["ranking", "--dataset", "kuairand", "--data-dir", ".", "--output-dir", "o", "--epochs=0"],
        ["datasets"],
    ],
)
def test_help_and_wrong_flags_are_answered_before_anything_heavy_is_imported(arguments, tmp_path):
    code = (
        "import sys\n"
        "from mtfx.cli.__main__ import main\n"
        f"exit_code = main({arguments!r})\n"
        f"print('HEAVY', [name for name in {HEAVY!r} if name in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert "HEAVY []" in done.stdout
    assert "Traceback" not in done.stderr


def test_both_ways_to_start_say_the_same():
    one, other = (
        subprocess.run([*command, "--help"], capture_output=True, text=True, check=True).stdout
        for command in (
            [os.path.join(os.path.dirname(sys.executable), "mtfx")],
            [sys.executable, "-m", "mtfx.cli"],
        )
    )
    assert one == other
    for command in ("synthesize", "ranking", "datasets", "backbones"):
        assert command in one


def test_names_are_listed_in_help(capsys):
    assert main(["ranking", "--help"]) == 0
    text = capsys.readouterr().out
    for name in ("kuairand", "retailrocket", "synthetic-video", "single_task", "mmoe", "ple"):
        assert name in text


def test_flags_reach_the_configuration(ranking, capfd):
    seen: list[RankingPipelineConfig] = []

    def pipeline(config, observer, command):
        seen.append(config)
        return "good"

    arguments = "--tasks pay,click --backbone ple --model-size small --epochs 2 --batch-size 64 "
    arguments += "--seed 7 --span 3 --max-bad-rows 0.5 --split 0.8,0.1,0.1 --task-weight pay=2 "
    arguments += "--loss-weighting dwa "
    arguments += "--no-cache --beam-workers 2 --min-auc 0.6 --no-jit-compile --gap-minutes 5"
    assert ranking(pipeline, *arguments.split()) == 0
    assert "the summary is good" in capfd.readouterr().out
    [config] = seen
    assert config.data.tasks == ("pay", "click")
    assert config.data.split_fractions == (0.8, 0.1, 0.1)
    assert (config.data.span, config.data.max_bad_rows, config.data.gap_minutes) == (3, 0.5, 5.0)
    assert config.model.backbone == "ple"
    assert config.model == ModelConfig.of_size(
        "small", "ple", task_weights=(("pay", 2.0),), loss_weighting="dwa"
    ).with_seed(7)
    assert (config.training.epochs, config.training.batch_size) == (2, 64)
    assert config.training.jit_compile is False
    assert config.training.mixed_precision is False
    assert config.thresholds.min_auc == 0.6
    assert (config.seed, config.enable_cache) == (7, False)
    assert "--direct_num_workers=2" in config.beam_pipeline_args


@pytest.mark.parametrize(
    ("arguments", "exit_code", "message"),
    [
        (["--epochs", "0"], 1, "--epochs must be at least 1, got 0"),
        (["--epochs", "many"], 2, "'many' is not a valid integer"),
        (["--backbone", "moe"], 2, "'moe' is not one of 'single_task'"),
        (["--loss-weighting", "equal"], 2, "'equal' is not one of 'constant', 'uncertainty'"),
        (["--tasks", "like"], 1, "has no task 'like'; it has: click, pay"),
        (["--tasks", "click,,pay"], 2, "has an empty name"),
        (["--split", "0.5,0.5"], 2, "is not three numbers"),
        (["--task-weight", "pay"], 2, "is not of the form click=0.5"),
        (["--beam-workers", "0"], 1, "--beam-workers must be at least 1"),
        (["--backbone", "esmm", "--tasks", "pay"], 1, "add click to --tasks"),
        (["--no-such-flag"], 2, "No such option"),
    ],
)
def test_wrong_flags(ranking, capfd, arguments, exit_code, message):
    assert ranking(fail_with(AssertionError("must not run")), *arguments) == exit_code
    captured = capfd.readouterr()
    assert message in captured.err
    assert "Traceback" not in captured.err + captured.out


@pytest.mark.parametrize(
    ("error", "exit_code", "expected"),
    [
        (UserError("the flag is wrong", "mend it"), 1, ["error: the flag is wrong", "mend it"]),
        (
            stage_error(DataError("events.csv: row 7: label 2")),
            1,
            ["error: stage Trainer: events.csv: row 7: label 2", "logs/mtfx.log"],
        ),
        (
            OSError(errno.ENOSPC, "No space left on device", "/data/full"),
            1,
            ["disk full while writing to /data/full", "re-run of the same command continues"],
        ),
        (
            stage_error(RuntimeError("worker: [Errno 28] No space left on device [while running]")),
            1,
            ["stage Trainer: disk full while writing to", "re-run of the same command continues"],
        ),
        (KeyboardInterrupt(), 130, ["interrupted", "re-run of the same command continues"]),
        (ValueError("task pay has no positives"), 1, ["error: task pay has no positives"]),
        (FileNotFoundError(errno.ENOENT, "No such file", "x.csv"), 1, ["x.csv: No such file"]),
        (KeyError("oops"), 1, ["unexpected KeyError: 'oops'", "full log"]),
        (
            stage_error(RuntimeError("Traceback (most recent call last):\n  deep\nValueError: x")),
            1,
            ["error: stage Trainer: ValueError: x"],
        ),
    ],
)
def test_failures_are_one_readable_message(ranking, capfd, tmp_path, error, exit_code, expected):
    assert ranking(fail_with(error)) == exit_code
    captured = capfd.readouterr()
    for text in expected:
        assert text in captured.err.replace(str(tmp_path / "run") + "/", "")
    assert "Traceback" not in captured.err
    log = (tmp_path / "run" / "logs" / "mtfx.log").read_text()
    assert "Traceback" in log
    assert type(error).__name__ in log


def test_debug_shows_the_traceback(ranking, capfd):
    assert ranking(fail_with(KeyError("oops")), "--debug") == 1
    captured = capfd.readouterr()
    assert "Traceback" in captured.err
    assert "fail_with" in captured.err or "pipeline" in captured.err


def test_an_output_directory_that_cannot_be_made(shop, tmp_path, capfd):
    (tmp_path / "file").touch()
    output = str(tmp_path / "file" / "run")
    base = ["ranking", "--dataset", "retailrocket", "--data-dir", str(shop)]
    assert main([*base, "--output-dir", output]) == 1
    assert f"--output-dir {output} cannot be written: Not a directory" in capfd.readouterr().err


def test_everything_that_libraries_print_goes_to_the_log(ranking, capfd, tmp_path):
    def noisy(config, observer, command):
        print("a print")
        os.write(2, b"C++ speaking\n")
        absl_logging.info("an info")
        logging.getLogger("beam").warning("a warning")
        subprocess.run(["echo", "a child"], check=True)
        return "quiet"

    assert ranking(noisy) == 0
    captured = capfd.readouterr()
    assert captured.out.strip().endswith("the summary is quiet")
    assert captured.err == ""
    log = (tmp_path / "run" / "logs" / "mtfx.log").read_text()
    for text in ("a print", "C++ speaking", "an info", "a warning", "a child"):
        assert text in log
        assert text not in captured.out
    assert ranking(noisy) == 0
    again = (tmp_path / "run" / "logs" / "mtfx.log").read_text()
    assert again.count("a print") == 2


def test_modules_of_the_current_directory_can_be_named(tmp_path):
    (tmp_path / "my_shop.py").write_text(
        "import dataclasses\nfrom mtfx.datasets.retailrocket import SPEC\n"
        "SPEC = dataclasses.replace(SPEC, name='my-shop', title='Mine')\n"
    )
    # A name of ours must not be taken over by somebody's own file.
    for name in ("models.py", "mtfx.py"):
        (tmp_path / name).write_text("raise ImportError('not this one')\n")
    mtfx = os.path.join(os.path.dirname(sys.executable), "mtfx")
    done = subprocess.run(
        [mtfx, "datasets", "--dataset", "my_shop:SPEC"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "Mine" in done.stdout


def test_child_processes_find_the_same_modules(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", "given")
    monkeypatch.setattr(sys, "path", list(sys.path))
    assert main(["--version"]) == 0
    ours, given, here = os.environ["PYTHONPATH"].split(os.pathsep)
    assert os.path.isdir(os.path.join(ours, "mtfx", "pipelines"))
    assert (given, here) == ("given", str(tmp_path))


def test_datasets_lists_each_with_its_tasks(capsys):
    assert main(["datasets", "--dataset", "retailrocket"]) == 0
    text = capsys.readouterr().out
    assert "click*" in text
    assert "pay*" in text
    assert main(["datasets", "--dataset", "nothing"]) == 1
    assert "unknown data set 'nothing'" in capsys.readouterr().err
    assert main(["datasets", "--check", "."]) == 2
    assert "--check needs --dataset" in capsys.readouterr().err


def test_synthesize_writes_what_ranking_reads(tmp_path, capsys):
    output = tmp_path / "shop"
    command = ["synthesize", "--profile", "shop", "--output-dir", str(output)]
    assert main([*command, "--impressions", "2,000", "--seed", "3"]) == 0
    text = capsys.readouterr().out
    assert "2,000 rows" in text
    assert "mtfx ranking --dataset synthetic-shop" in text
    DataOptions("synthetic-shop", str(output)).check_files()
    assert main([*command, "--impressions", "2000", "--seed", "3"]) == 0
    assert "already holds this data set" in capsys.readouterr().out
    assert main([*command, "--impressions", "2000", "--seed", "4"]) == 1
    assert "holds other synthetic data" in capsys.readouterr().err
    assert main([*command, "--impressions", "many"]) == 2
    assert "'many' is not a positive whole number" in capsys.readouterr().err
    assert main([*command, "--impressions", "5"]) == 1
    assert "impressions 5 is not between 1,000" in capsys.readouterr().err


def test_backbones_lists_each_with_its_sizes_and_the_loss_weightings(capfd):
    assert main(["backbones"]) == 0
    captured = capfd.readouterr()
    for name in (*BACKBONES, *LOSS_WEIGHTINGS):
        assert name in captured.out
    assert captured.err == ""


def test_check_compares_sizes_and_digests(tmp_path):
    content = b"timestamp\n"
    digest = hashlib.sha256(content).hexdigest()
    spec = types.SimpleNamespace(
        name="logs",
        source="somewhere",
        known_files=(
            KnownFile("a.csv", "sha256", digest, len(content)),
            KnownFile("b.csv", "md5", "0" * 32),
        ),
    )

    def check():
        text = io.StringIO()
        good = check_files(spec, tmp_path, Console(file=text, width=100))
        return good, text.getvalue()

    with pytest.raises(UserError, match="none of the files of data set logs"):
        check()
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "a.csv").write_bytes(content)
    good, text = check()
    assert good
    assert "as published" in text
    assert "missing" in text
    (tmp_path / "deep" / "a.csv").write_bytes(b"TIMESTAMP\n")
    assert "sha256 differs" in check()[1]
    (tmp_path / "deep" / "a.csv").write_bytes(b"short")
    good, text = check()
    assert not good
    assert "size differs: 10 expected" in text


def test_beam_arguments():
    assert local_beam_args()[0] == "--runner=DirectRunner"
    assert "--direct_num_workers=4" in local_beam_args(4)
    flink = (
        "--runner=FlinkRunner",
        "--flink_master=flink:8081",
        "--environment_type=EXTERNAL",
        "--environment_config=localhost:50000",
    )
    assert local_beam_args(1, flink)[:4] == flink
    with pytest.raises(UserError, match="the runner in --beam-arg has its own setting"):
        local_beam_args(2, flink)


@pytest.mark.parametrize("kind", [LiveProgress, PlainProgress])
def test_progress_shows_each_stage_with_rows_cache_and_failure(kind):
    from mtfx.pipelines.local_runner import StageResult

    text = io.StringIO()
    live = kind is LiveProgress
    console = Console(file=text, width=100, force_terminal=live, color_system=None)
    with kind(console) as progress:
        progress.run_started(("ExampleGen", "Trainer", "Pusher"))
        progress.started("ExampleGen")
        progress.finished(StageResult("ExampleGen", "finished", 2.0, {}, rows=84_579))
        progress.started("Trainer")
        progress.progressed("Trainer", 500)
        progress.progressed("Trainer", 500)
        progress.finished(StageResult("Trainer", "cached", 0.1, {}))
        progress.started("Pusher")
        progress.failed("Pusher", 1.0, ValueError("no"))
    output = text.getvalue()
    assert "84,579 rows, 42,290 rows/s" in output
    assert "cached" in output
    assert "failed" in output
    if not live:
        assert len(output.splitlines()) == 3


def test_rows_and_rate():
    assert describe_rows(1000, 0.0) == "1,000 rows"
    assert describe_rows(1000, 0.5) == "1,000 rows, 2,000 rows/s"
