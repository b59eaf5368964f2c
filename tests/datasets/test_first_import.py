"""What importing the lowest layer first does for everything above it."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize("module", ["mtfx.agents", "mtfx.environments.sessions.replay"])
def test_nothing_is_printed_by_gym(module, checkout):
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            f"import {module}, gym, os; print(os.environ['TF_USE_LEGACY_KERAS'])",
        ],
        cwd=checkout,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "Gym" not in done.stderr
    assert done.stdout.strip() == "1"
