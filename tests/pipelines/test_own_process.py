"""A job in a process of its own: what it tells arrives here, and so does how it ended."""

import importlib
import os
import sys

import pytest

from mtfx.errors import StageError, UserError
from mtfx.pipelines.local_runner import SilentObserver
from mtfx.pipelines.own_process import run_in_own_process


class Heard(SilentObserver):
    """An observer that writes down its calls."""

    def __init__(self):
        self.calls = []

    def __getattribute__(self, name):
        if name == "calls":
            return super().__getattribute__(name)
        return lambda *arguments: self.calls.append((name, *arguments))


JOBS = """
import os, signal, threading

from mtfx.errors import StageError, UserError

def tell(observer, told):
    from mtfx.pipelines.local_runner import StageResult

    told(3, "training")
    observer.run_started(("Trainer",))
    observer.started("Trainer")
    count = [threading.Thread(target=observer.progressed, args=("Trainer", 10)) for _ in range(8)]
    for thread in count:
        thread.start()
    for thread in count:
        thread.join()
    # Artifacts may hold what cannot be sent.
    observer.finished(StageResult("Trainer", "run", 1.5, {"model": [threading.Lock()]}, rows=80))
    observer.failed("Pusher", 0.5, ValueError("no disk"))
    return os.getpid()

def user_error(observer, told):
    raise UserError("--span 7 is wrong", "name another")

def cannot_be_sent(observer, told):
    raise StageError("Trainer", "takes two arguments, so that pickle cannot build it")

def killed(observer, told):
    os.kill(os.getpid(), signal.SIGKILL)

def left(observer, told):
    os._exit(7)
"""


@pytest.fixture
def jobs(tmp_path, monkeypatch):
    """The jobs as a module that a new process can import, which test modules are not."""
    (tmp_path / "jobs_of_a_day.py").write_text(JOBS)
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module("jobs_of_a_day")
    del sys.modules["jobs_of_a_day"]


def test_what_a_job_tells_arrives_in_order_and_its_result_comes_back(jobs):
    heard, days = Heard(), []
    process = run_in_own_process(jobs.tell, heard, lambda *day: days.append(day))
    assert process != os.getpid()
    assert days == [(3, "training")]
    names = [name for name, *_ in heard.calls]
    assert names == ["run_started", "started", *["progressed"] * 8, "finished", "failed"]
    result = heard.calls[-2][1]
    assert (result.name, result.status, result.seconds, result.rows) == ("Trainer", "run", 1.5, 80)
    *place, error = heard.calls[-1][1:]
    assert (*place, str(error)) == ("Pusher", 0.5, "no disk")


def test_an_error_comes_back_with_its_type_hint_and_place(jobs):
    with pytest.raises(UserError, match="--span 7") as caught:
        run_in_own_process(jobs.user_error, Heard(), print)
    assert caught.value.hint == "name another"
    assert "in user_error" in str(caught.value.__cause__)


def test_an_error_that_cannot_be_sent_comes_back_as_its_text(jobs):
    with pytest.raises(RuntimeError, match="StageError: takes two arguments"):
        run_in_own_process(jobs.cannot_be_sent, Heard(), print)


@pytest.mark.parametrize(
    ("job", "words"), [("killed", "SIGKILL, as the kernel does"), ("left", "code 7")]
)
def test_a_process_that_is_ended_is_said_and_not_waited_for(jobs, job, words):
    with pytest.raises(StageError, match=words):
        run_in_own_process(getattr(jobs, job), Heard(), print)


def test_an_observer_that_raises_ends_the_job(jobs):
    def told(number, what):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_in_own_process(jobs.tell, Heard(), told)
