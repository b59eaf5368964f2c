"""Samples of sessions from impressions, against loops over lists."""

import numpy as np
import pytest

from mtfx.evaluation.simulator.session_sample import SessionSample, sample_of_impressions

NAMES = ("click", "like")
SESSION = np.array([0, 0, 0, 1, 2, 2])
FEEDBACK = np.array([[1, 0], [0, 0], [1, 1], [0, 0], [1, 0], [0, 1]])
WATCH_S = np.array([3.0, 1.0, 2.0, 5.0, 0.5, 4.0])


def test_impressions_are_summed_by_session():
    sample = sample_of_impressions(NAMES, SESSION, FEEDBACK, WATCH_S)
    assert sample.lengths.tolist() == [3, 1, 2]
    assert sample.watch_s.tolist() == [6.0, 5.0, 4.5]
    assert sample.feedback.tolist() == [[2, 1], [0, 0], [1, 1]]
    assert sample.view_watch_s.tolist() == WATCH_S.tolist()
    np.testing.assert_allclose(sample.rates(), [3 / 6, 2 / 6])


def test_views_beyond_the_cap_are_left_out():
    sample = sample_of_impressions(NAMES, SESSION, FEEDBACK, WATCH_S, max_views=2)
    assert sample.lengths.tolist() == [2, 1, 2]
    assert sample.watch_s.tolist() == [4.0, 5.0, 4.5]
    assert sample.feedback.tolist() == [[1, 0], [0, 0], [1, 1]]
    assert sample.view_watch_s.tolist() == [3.0, 1.0, 5.0, 0.5, 4.0]


def test_without_watch_times_there_are_none():
    sample = sample_of_impressions(NAMES, SESSION, FEEDBACK, None)
    assert not sample.has_watch_time
    assert np.isnan(sample.watch_s).all()
    assert not sample.take(np.array([1])).has_watch_time


def test_sessions_are_taken_with_their_views():
    sample = sample_of_impressions(NAMES, SESSION, FEEDBACK, WATCH_S).take(np.array([2, 0]))
    assert sample.lengths.tolist() == [2, 3]
    assert sample.feedback.tolist() == [[1, 1], [2, 1]]
    assert sample.view_watch_s.tolist() == [0.5, 4.0, 3.0, 1.0, 2.0]


def test_a_saved_sample_comes_back(tmp_path):
    sample = sample_of_impressions(NAMES, SESSION, FEEDBACK, WATCH_S)
    sample.save(tmp_path / "sample.npz")
    loaded = SessionSample.load(tmp_path / "sample.npz")
    assert loaded.feedback_names == NAMES
    for name in ("lengths", "watch_s", "feedback", "view_watch_s"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(sample, name))


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"lengths": np.zeros(0, int)}, "at least one"),
        ({"watch_s": np.zeros(2)}, "watch_s"),
        ({"feedback": np.zeros((3, 1))}, "feedback"),
        ({"view_watch_s": np.zeros(5)}, "6 impressions, but 5 watch times"),
    ],
)
def test_parts_that_do_not_fit_are_named(changes, match):
    parts = {
        "lengths": np.array([3, 1, 2]),
        "watch_s": np.zeros(3),
        "feedback": np.zeros((3, 2)),
        "view_watch_s": np.zeros(6),
    }
    with pytest.raises(ValueError, match=match):
        SessionSample(NAMES, **{**parts, **changes})
