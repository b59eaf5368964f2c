"""A worker process by itself: its trials, how its end is told, and what a report warns of."""

import dataclasses

import pytest

from mtfx.experiments.engine.report import ExperimentReport
from mtfx.experiments.engine.results import LOG_FILE, TrialRecord
from mtfx.experiments.engine.scheduler import TrialFailure, TrialOutcomes
from mtfx.experiments.engine.workers import TrialTask, TrialWorker
from mtfx.experiments.rmtl.trial import RmtlTrial


@pytest.fixture
def ended(data, tmp_path):
    """How trials of a function end, one after the other in one worker."""

    def run(*cases):
        worker, found = TrialWorker(1), []
        try:
            for place, (function, method) in enumerate(cases):
                trial = RmtlTrial("ple", method, place)
                places = {trial.key: str(tmp_path / str(place))}
                fields = dataclasses.asdict(trial)
                worker.start(TrialTask(function, data, trial, trial.key, places, fields, "code"))
                assert worker.connection.poll(60)
                task, outcome, alive = worker.outcome()
                assert (task.trial, worker.task) == (trial, None)
                found.append((outcome.error, alive))
        finally:
            worker.end()
        return found, worker.ended

    return run


def test_a_failed_trial_leaves_its_worker_for_the_next(ended, stubs, tmp_path):
    found, count = ended((stubs.fail_critics, "critics"), (stubs.train, "constant"))
    # The first line of the error; the rest is in the log.
    assert found == [("RuntimeError: the critics", True), ("", True)]
    assert count == 2
    assert "diverged" in (tmp_path / "0" / LOG_FILE).read_text()
    assert "a line for the log" in (tmp_path / "1" / LOG_FILE).read_text()


def test_a_worker_that_was_killed_says_what_may_have_done_it(ended, stubs):
    ((error, alive),), _ = ended((stubs.die_in_critics, "critics"))
    assert "if memory ran out" in error
    assert not alive


def test_a_report_warns_of_mixed_code_and_of_missing_figures():
    def warned(versions, failures=()):
        records = {str(i): TrialRecord(str(i), {}, "", v, {}) for i, v in enumerate(versions)}
        outcomes = TrialOutcomes(records, failures, (), ())
        fields = {field.name: None for field in dataclasses.fields(ExperimentReport)}
        return ExperimentReport(**{**fields, "outcomes": outcomes}).warnings  # type: ignore[arg-type]

    assert warned(["1", "1"]) == ()
    (mixed,) = warned(["2", "1"])
    assert "different code: 1, 2" in mixed
    names = [field.name for field in dataclasses.fields(TrialFailure)]
    (failed,) = warned(["1"], (TrialFailure(**dict.fromkeys(names, "x")),))
    assert "1 trial(s) failed" in failed
