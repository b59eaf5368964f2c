"""When a world's response is the known truth."""

import dataclasses

import pytest

from mtfx.environments.simulator.fitting.config import WorldConfig
from mtfx.environments.simulator.fitting.truth import in_main_tab, uses_truth


def test_the_truth_is_known_of_synthetic_videos_alone(tmp_path):
    assert not uses_truth(WorldConfig("kuairand_pure", str(tmp_path)))
    assert not uses_truth(WorldConfig("synthetic-video", str(tmp_path)))
    (tmp_path / "synthetic.json").write_text("{}")
    known = WorldConfig("synthetic-video", str(tmp_path))
    assert uses_truth(known)
    assert not uses_truth(dataclasses.replace(known, response="fitted"))
    with pytest.raises(ValueError, match=r"the truth is known only of .*synthetic-video"):
        uses_truth(WorldConfig("kuairand_pure", str(tmp_path), response="truth"))


@pytest.mark.parametrize(
    ("fit", "expected"),
    [
        ({"response_model": "truth"}, True),
        ({"response_model": "fitted"}, False),
        ({"response_model": "published", "independent": {"response_model": "truth"}}, True),
        ({"response_model": "published", "independent": {"response_model": "fitted"}}, False),
    ],
)
def test_the_truths_sessions_are_in_one_tab_whoever_answers(fit, expected):
    assert in_main_tab(fit) is expected
