"""SessionExampleGen writes the same on every runner."""

import dataclasses
from pathlib import Path

import pytest

from mtfx.datasets.logs.sessions import SPLITS
from tests.beam_runners import RUNNERS, beam_args

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.mark.parametrize("runner", RUNNERS)
def test_sessions_are_the_same(generate, shop, runner):
    with open(shop / "events.csv", "a") as file:
        file.write("never,3,view,99,\n")
    expected = generate(shop, max_bad_rows=0.1)
    with beam_args(runner) as arguments:
        found = generate(shop, beam_args=arguments, max_bad_rows=0.1)
    for split in SPLITS:
        assert len(expected.sessions(split)) > 0
        assert found.sessions(split) == expected.sessions(split)
    one, other = (dataclasses.replace(run.summary, config={}) for run in (found, expected))
    assert one == other
    assert Path(found.quarantine).read_text() == Path(expected.quarantine).read_text()
