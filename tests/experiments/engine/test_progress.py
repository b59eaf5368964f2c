import io

import pytest
from rich.console import Console

from mtfx.experiments.engine.progress import (
    LiveTrialProgress,
    PlainTrialProgress,
    TimeLeft,
    clock,
    trial_progress,
)
from mtfx.experiments.engine.results import TrialRecord
from mtfx.experiments.engine.trial import with_requirements
from mtfx.experiments.rmtl.trial import RmtlTrial


def test_time_left_is_the_mean_per_method():
    left = TimeLeft({"a": "slow", "b": "slow", "c": "quick", "d": "new"}, workers=2)
    assert left.seconds(0.0) is None
    left.learn("slow", 90.0)
    left.learn("quick", 10.0)
    left.started("a", 0.0)
    assert left.seconds(30.0) == pytest.approx((60 + 90 + 10 + 50) / 2)
    left.finished("a", 110.0)
    assert left.seconds(110.0) == pytest.approx(100.0)  # b alone takes its mean of 100 s
    left.dropped("b")
    assert left.seconds(110.0) == 55.0  # d, the longest, takes the mean of the methods' means


@pytest.mark.parametrize(
    ("seconds", "text"), [(50, "50 s"), (600, "10 min"), (11_100, "3 h 05 min")]
)
def test_clock(seconds, text):
    assert clock(seconds) == text


def play(progress):
    trials = with_requirements([RmtlTrial("ple", "rmtl", 0), RmtlTrial("ple", "ddpg", 0)])
    first, *others = trials
    done = TrialRecord(first.key, {"method": first.method}, "", "", {"seconds": 60.0})
    with progress:
        progress.begin({first.key: done}, {trial.key: trial for trial in others}, 2)
        progress.started(others[0].key)
        progress.tick()
        progress.failed(others[0].key, "ValueError: [bold]no")
        progress.dropped(others[1].key)
        progress.started(others[2].key)
        progress.finished(others[2].key, 30.0)
        progress.tick()


def test_plain_lines():
    out = io.StringIO()
    console = Console(file=out, width=100)
    assert isinstance(trial_progress(console), PlainTrialProgress)
    play(trial_progress(console))
    assert out.getvalue().splitlines() == [
        "4 trials, 1 of them finished before",
        "2/4 ple-critics-seed0 failed: ValueError: [bold]no",
        "3/4 ple-rmtl-seed0 not run: it needs a trial that failed",
        "4/4 ple-ddpg-seed0 30.0 s",
    ]


def test_a_bar_on_a_terminal():
    out = io.StringIO()
    console = Console(file=out, width=120, force_terminal=True, color_system=None)
    progress = trial_progress(console)
    assert isinstance(progress, LiveTrialProgress)
    play(progress)
    assert "4/4 trials" in out.getvalue()
    assert "failed ple-critics-seed0: ValueError: [bold]no" in out.getvalue()
