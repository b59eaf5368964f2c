"""What a second run takes from the first, with TFX's own launcher, cache and metadata."""

import os

import pytest

from mtfx.components.session_example_gen.component import SessionExampleGen
from mtfx.components.session_example_gen.config import SessionExampleGenConfig
from mtfx.pipelines import local_runner
from mtfx.pipelines.beam_args import local_beam_args
from mtfx.pipelines.local_pipeline import local_pipeline

ROWS = 40


@pytest.fixture
def log(tmp_path):
    folder = tmp_path / "log"
    folder.mkdir()
    rows = [f"{1_430_600_000_000 + n * 3_600_000},{n % 5},view,1{n % 3}," for n in range(ROWS)]
    (folder / "events.csv").write_text(
        "\n".join(["timestamp,visitorid,event,itemid,transactionid", *rows]) + "\n"
    )
    return folder


def run(output, log, **config):
    """Reads the log into a run's folder; returns the stage."""
    # The quarantine is elsewhere: a run's own moves with it, and is part of the key.
    made = SessionExampleGenConfig("retailrocket", str(log.parent / "quarantine"), **config)
    pipeline = local_pipeline(
        "again",
        [SessionExampleGen(str(log), made)],
        output=output,
        beam_pipeline_args=local_beam_args(),
    )
    result = local_runner.run(pipeline, local_runner.SilentObserver())
    return result.stages["SessionExampleGen"]


def test_only_what_has_changed_is_read_again(tmp_path, log):
    output, file = tmp_path / "run", log / "events.csv"
    assert run(output, log).status == "finished"
    assert run(output, log).status == "cached"
    times = (file.stat().st_atime, file.stat().st_mtime)
    file.write_text(file.read_text().replace(",10,", ",17,", 1))
    os.utime(file, times)
    assert run(output, log).status == "finished"
    assert run(output, log, description_version="1a").status == "finished"
    assert run(output, log).status == "cached"


def test_a_renamed_run_goes_on_in_its_new_place(tmp_path, log):
    first, second = tmp_path / "run", tmp_path / "renamed"
    made = run(first, log).outputs["examples"][0].uri
    first.rename(second)
    stage = run(second, log)
    assert stage.status == "cached"
    assert stage.outputs["examples"][0].uri == made.replace(str(first), str(second))
    assert os.path.isdir(stage.outputs["examples"][0].uri)
