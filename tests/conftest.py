"""What every test needs: Keras 2, quiet libraries, and the real data where it is."""

import gc
import os
import sys
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
if "PYTEST_XDIST_WORKER" in os.environ:
    # Workers share the cores; threads of each that wait for the others' cost a tenth of the time.
    for name in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS"):
        os.environ.setdefault(name, "1")

import pytest
from hypothesis import HealthCheck, settings

import mtfx  # noqa: F401  (selects Keras 2, before anything imports TensorFlow)

# How long an example takes says how busy the machine is, not whether the code is right.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")

_ROOT = Path(__file__).resolve().parents[1]
#: Files that take longest: one that is begun last keeps the other worker waiting for it.
_LONGEST = (
    "tests/pipelines/test_ranking.py",
    "tests/datasets/synthetic/test_synthesis.py",
    "tests/components/interaction_gen/test_simulated.py",
    "tests/trainers/ranking/test_rmtl.py",
    "tests/evaluation/ranking/test_results.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts the longest files first; xdist alone would begin with those of most tests."""
    first = {str(_ROOT / name): place for place, name in enumerate(_LONGEST)}
    items.sort(key=lambda item: first.get(str(item.path), len(first)))


def pytest_collection_finish() -> None:
    """Takes what was imported, a million objects, out of garbage collection's way."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def _signatures_remembered() -> Iterator[None]:
    """Stages run outside of the local runner take no longer than in it."""
    if "apache_beam" not in sys.modules:
        yield
        return
    from mtfx.pipelines import beam_signatures

    with beam_signatures.remembered():
        yield


@pytest.fixture(scope="session")
def checkout() -> Path:
    """The root of the checkout."""
    return _ROOT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real rows of the public data sets; not part of the repository."""
    path = _ROOT.parent / "shared" / "data"
    if not path.is_dir():
        pytest.skip("no real data in ../shared/data beside the checkout")
    return path
