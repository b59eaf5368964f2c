"""A SavedModel that one lane of dependencies exported answers alike in the other."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.lane_ranker import answer, export

ROOT = Path(__file__).resolve().parents[2]
CACHE = os.environ.get("XDG_CACHE_HOME", os.path.expanduser("~/.cache"))
OTHER = Path(os.environ.get("MODERN_ROOT", f"{CACHE}/mtfx/debian13"))

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(
        sys.version_info >= (3, 13) or not (OTHER / "opt/mtfx/.venv").is_dir() or os.getuid() != 0,
        reason="needs the modern lane's root beside this one: make test-modern, as root",
    ),
]


@pytest.fixture
def shared(tmp_path):
    """A folder that both lanes see: its path here, and its path there."""
    here = OTHER / "tmp" / tmp_path.name
    here.mkdir(exist_ok=True)
    return here, f"/tmp/{tmp_path.name}"


def in_other_lane(*arguments):
    """Runs ``tests.lane_ranker`` there."""
    program = [ROOT / ".ci" / "test-modern", ".venv/bin/python", "-m", "tests.lane_ranker"]
    subprocess.run([*program, *arguments], check=True, cwd=ROOT, capture_output=True)


@pytest.mark.parametrize("exporter", ["here", "there"])
def test_answers_are_the_same_in_both_lanes(shared, exporter):
    here, there = shared
    if exporter == "here":
        export(str(here / exporter))
    else:
        in_other_lane("export", f"{there}/{exporter}")
    answer(str(here / exporter), str(here / "old.npz"))
    in_other_lane("answer", f"{there}/{exporter}", f"{there}/new.npz")
    with np.load(here / "old.npz") as old, np.load(here / "new.npz") as new:
        assert set(old.files) == set(new.files) >= {"scores", "ranked_indices"}
        for name in old.files:
            np.testing.assert_allclose(old[name], new[name], rtol=1e-5, atol=1e-6, err_msg=name)
