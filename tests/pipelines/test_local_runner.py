"""The local runner: statuses, outputs, failures, and reruns after a killed run."""

import logging
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
import tensorflow as tf
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.dsl.components.common.resolver import Resolver
from tfx.dsl.input_resolution.strategies.latest_artifact_strategy import LatestArtifactStrategy
from tfx.orchestration.metadata import sqlite_metadata_connection_config
from tfx.orchestration.pipeline import Pipeline
from tfx.types.channel import Channel
from tfx.types.standard_artifacts import Examples

from mtfx.errors import DataError, StageError, UserError
from mtfx.pipelines import local_runner
from mtfx.pipelines.local_pipeline import local_pipeline
from mtfx.pipelines.local_runner import PROGRESS_LOGGER, SilentObserver


@component
def Producer(numbers: OutputArtifact[Examples], count: Parameter[int]):
    Path(numbers.uri, "numbers.txt").write_text("\n".join(map(str, range(count))))
    numbers.set_int_custom_property("rows", count)
    logging.getLogger(PROGRESS_LOGGER).info("rows", extra={"rows": count})


@component
def Consumer(numbers: InputArtifact[Examples], total: OutputArtifact[Examples]):
    values = Path(numbers.uri, "numbers.txt").read_text().split()
    if len(values) == 13:
        raise DataError("numbers.txt: row 13: unlucky; drop the row")
    Path(total.uri, "total.txt").write_text(str(sum(map(int, values))))


def test_a_root_that_looks_like_a_pattern_is_none(tmp_path):
    output = tmp_path / "run [v2]"
    producer = Producer(count=5)
    pipeline = local_pipeline(
        "odd", [producer], output=output, metadata=tmp_path / "metadata.db", beam_pipeline_args=()
    )
    uri = local_runner.run(pipeline, SilentObserver()).output("Producer", "numbers").uri
    [file] = tf.io.gfile.glob(os.path.join(uri, "*.txt"))
    assert Path(file).read_text().split() == list("01234")
    assert [path.name for path in (output / "pipeline").rglob("numbers.txt")] == ["numbers.txt"]


class Recorder(SilentObserver):
    def __init__(self):
        self.events = []

    def run_started(self, stages):
        self.events.append(("run", stages))

    def started(self, stage):
        self.events.append(("started", stage))

    def progressed(self, stage, rows):
        self.events.append(("rows", stage, rows))

    def finished(self, result):
        self.events.append((result.status, result.name))

    def failed(self, stage, seconds, error):
        self.events.append(("failed", stage, type(error).__name__))


def make_pipeline(root: Path, count: int = 5, resolver: bool = False) -> Pipeline:
    producer = Producer(count=count)
    consumer = Consumer(numbers=producer.outputs["numbers"])
    components = [producer, consumer]
    if resolver:
        components.append(
            Resolver(
                strategy_class=LatestArtifactStrategy,
                earlier=Channel(type=Examples),
            ).with_id("earlier")
        )
    return Pipeline(
        pipeline_name="numbers",
        pipeline_root=str(root / "artifacts"),
        components=components,
        enable_cache=True,
        metadata_connection_config=sqlite_metadata_connection_config(str(root / "metadata.db")),
    )


def test_reports_each_stage_and_where_its_outputs_are(tmp_path):
    recorder = Recorder()
    result = local_runner.run(
        make_pipeline(tmp_path),
        recorder,
        {"Producer": lambda stage: int(stage.outputs["numbers"][0].properties["rows"])},
    )
    assert recorder.events == [
        ("run", ("Producer", "Consumer")),
        ("started", "Producer"),
        ("rows", "Producer", 5),
        ("finished", "Producer"),
        ("started", "Consumer"),
        ("finished", "Consumer"),
    ]
    assert result.stages["Producer"].rows == 5
    assert Path(result.output("Consumer", "total").uri, "total.txt").read_text() == "10"
    assert set(result.seconds) == {"Producer", "Consumer"}
    assert all(seconds > 0 for seconds in result.seconds.values())
    with pytest.raises(KeyError, match="Consumer has no output 'nothing'"):
        result.output("Consumer", "nothing")


def test_an_unchanged_rerun_is_cached_and_names_the_first_runs_outputs(tmp_path):
    first = local_runner.run(make_pipeline(tmp_path), SilentObserver())
    second = local_runner.run(make_pipeline(tmp_path), SilentObserver())
    assert [stage.status for stage in second.stages.values()] == ["cached", "cached"]
    assert second.output("Consumer", "total").uri == first.output("Consumer", "total").uri
    changed = local_runner.run(make_pipeline(tmp_path, count=6), SilentObserver())
    assert [stage.status for stage in changed.stages.values()] == ["finished", "finished"]


def test_a_resolver_always_runs_and_has_outputs(tmp_path):
    for _ in range(2):
        result = local_runner.run(make_pipeline(tmp_path, resolver=True), SilentObserver())
        assert result.stages["earlier"].status == "finished"
        assert Path(result.output("earlier", "earlier").uri).exists()


def test_a_failure_names_stage_and_reason_and_a_rerun_goes_on_from_there(tmp_path):
    recorder = Recorder()
    with pytest.raises(StageError, match=r"numbers\.txt: row 13: unlucky") as caught:
        local_runner.run(make_pipeline(tmp_path, count=13), recorder)
    assert caught.value.stage == "Consumer"
    assert isinstance(caught.value.__cause__, DataError)
    assert recorder.events[-1] == ("failed", "Consumer", "DataError")
    with pytest.raises(StageError):
        local_runner.run(make_pipeline(tmp_path, count=13), recorder)
    assert ("cached", "Producer") in recorder.events


def test_a_living_run_keeps_others_out(tmp_path):
    class Intruder(SilentObserver):
        def started(self, stage):
            with pytest.raises(UserError, match=f"process {os.getpid()}.*is using"):
                local_runner.run(make_pipeline(tmp_path), SilentObserver())

    local_runner.run(make_pipeline(tmp_path), Intruder())


@pytest.mark.slow
def test_a_killed_run_blocks_nobody_and_its_leftovers_are_removed(tmp_path):
    script = textwrap.dedent(
        """
        import sys, time
        from pathlib import Path
        sys.path.insert(0, ".")
        import tests.pipelines.test_local_runner as module
        from mtfx.pipelines.local_runner import SilentObserver, run

        class Sleeper(SilentObserver):
            def progressed(self, stage, rows):
                print("half written", flush=True)
                time.sleep(60)

        run(module.make_pipeline(Path(sys.argv[1])), Sleeper())
        """
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "half written\n"
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    [leftover] = tmp_path.glob("artifacts/Producer/numbers/*")
    begin = time.monotonic()
    result = local_runner.run(make_pipeline(tmp_path), SilentObserver())
    assert time.monotonic() - begin < 20
    assert result.stages["Producer"].status == "finished"
    assert result.output("Producer", "numbers").uri != str(leftover)
    assert not leftover.exists()
