"""SimulatedInteractionGen writes the same on every runner."""

import numpy as np
import pytest

from tests.beam_runners import RUNNERS, beam_args

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.mark.parametrize("runner", RUNNERS)
def test_transitions_are_the_same(explore, runner):
    expected = explore()
    with beam_args(runner) as arguments:
        found = explore(beam_args=arguments)
    for split in ("train", "eval"):
        one, other = expected.batch(split), found.batch(split)
        assert len(one.reward) > 0
        for name, values in vars(one).items():
            np.testing.assert_array_equal(values, getattr(other, name), err_msg=name)
    assert found.summary == expected.summary
    assert found.manifest == expected.manifest
