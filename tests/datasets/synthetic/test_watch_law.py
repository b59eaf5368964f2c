"""The law of the watch time: its draws have the stated chance of a long view, and its mean."""

import numpy as np
import pytest

from mtfx.datasets.synthetic.watch_law import LATE, LONG_VIEW_MS, MAX_LOOPS, SKIP_MS, WatchLaw

DURATIONS_MS = (5_000, 12_000, 18_000, 30_000, 100_000, 300_000, 500_000)


def law_of(duration_ms, hold=0.0):
    return WatchLaw.of(np.array([duration_ms]), np.array([hold], np.float32))


@pytest.mark.parametrize("chance", [0.1, 0.7, 0.95])
@pytest.mark.parametrize("hold", [-1.5, 0.0, 1.5])
@pytest.mark.parametrize("duration_ms", DURATIONS_MS)
def test_clicked_videos_are_watched_for_the_mean_and_long_as_often_as_stated(
    duration_ms, hold, chance
):
    size = 200_000
    law = law_of(duration_ms, hold)
    uniform = np.random.default_rng(0).random(size, dtype=np.float32)
    watch, long_view = law.clicked_ms(np.full(size, chance, np.float32), uniform)
    assert long_view.mean() == pytest.approx(chance, abs=5 * (chance * (1 - chance) / size) ** 0.5)
    threshold = min(duration_ms, LONG_VIEW_MS)
    assert watch[long_view].min() >= threshold * (1 - 1e-5)
    assert watch[~long_view].max() <= threshold * (1 + 1e-5)
    assert watch.max() <= MAX_LOOPS * duration_ms * (1 + 1e-5)
    mean = float(law.mean_ms(np.ones(1), np.array([chance]), np.zeros(1))[0])
    assert watch.mean() == pytest.approx(mean, abs=5 * watch.std() / size**0.5)


@pytest.mark.parametrize("late", [LATE, 0.2])
@pytest.mark.parametrize("duration_ms", DURATIONS_MS)
def test_videos_that_are_not_clicked_are_left_soon(duration_ms, late):
    size = 200_000
    law = law_of(duration_ms)
    uniform = np.random.default_rng(1).random(size, dtype=np.float32)
    watch, long_view = law.skipped_ms(uniform, np.full(size, late, np.float32))
    assert long_view.mean() == pytest.approx(late, abs=5 * (late / size) ** 0.5)
    assert watch[~long_view].max() <= min(duration_ms, SKIP_MS) * (1 + 1e-5)
    assert watch[long_view].min() >= min(duration_ms, LONG_VIEW_MS) * (1 - 1e-5)
    mean = float(law.mean_ms(np.zeros(1), np.zeros(1), np.full(1, late))[0])
    assert watch.mean() == pytest.approx(mean, abs=5 * watch.std() / size**0.5)


def test_covers_play_only_after_a_click():
    watch, long_view = law_of(60_000).skipped_ms(np.linspace(0, 0.999, 50), np.zeros(50))
    assert not watch.any()
    assert not long_view.any()
    assert law_of(60_000).mean_ms(np.zeros(1), np.ones(1), np.zeros(1))[0] == 0
