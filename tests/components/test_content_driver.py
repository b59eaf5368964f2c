"""Components that read files have a driver that looks at their content."""

import ast
import os
from pathlib import Path

import pytest
from tfx.utils import proto_utils

from mtfx.components.content_driver import ContentDriver, ContentImportExampleGen
from mtfx.components.interaction_gen.component import ServedInteractionGen
from mtfx.components.interaction_gen.config import ServedInteractionConfig
from mtfx.components.session_example_gen.component import SessionExampleGen
from mtfx.datasets.transitions.spec import TransitionSpec
from mtfx.errors import DataError

ROOT = Path(__file__).resolve().parents[2]
SPEC = TransitionSpec(2, ("click",), ("click",), 1)


def properties(component):
    return {
        key: proto_utils.proto_to_json(value) if hasattr(value, "DESCRIPTOR") else value
        for key, value in component.spec.exec_properties.items()
    }


def served(data_dir, pattern, earlier=()):
    config = ServedInteractionConfig(SPEC, "quarantine", earlier=earlier)
    return properties(ServedInteractionGen(str(data_dir), config, pattern))


@pytest.fixture
def days(tmp_path):
    for day in (1, 2, 3):
        folder = tmp_path / f"day-{day}"
        folder.mkdir()
        (folder / "part.parquet").write_text(f"{day}")
        (folder / "join.json").write_text("{}")
    return tmp_path


def fingerprint_of(days, earlier=("day-1",)):
    driver = ServedInteractionGen.DRIVER_CLASS
    return driver.fingerprint(served(days, "day-2/*.parquet", earlier))


@pytest.mark.parametrize(
    ("file", "counts"),
    [
        ("day-1/part.parquet", True),
        ("day-2/part.parquet", True),
        ("day-3/part.parquet", False),
        ("day-2/join.json", False),
    ],
)
def test_served_requests_of_the_window_count_by_content(days, file, counts):
    before, path = fingerprint_of(days), days / file
    times = (path.stat().st_atime, path.stat().st_mtime)
    path.write_text("9" * len(path.read_text()))
    os.utime(path, times)
    assert (fingerprint_of(days) != before) == counts


def test_a_window_with_a_hole_is_refused(days):
    with pytest.raises(DataError, match=r"no log of served requests in .* matches day-0/\*"):
        fingerprint_of(days, ("day-0", "day-1"))


def test_what_is_imported_counts_by_content(days):
    made = properties(ContentImportExampleGen(str(days / "day-1")))
    before = ContentDriver.fingerprint(made)
    (days / "day-1" / "part.parquet").write_text("9")
    assert ContentDriver.fingerprint(made) != before


@pytest.mark.parametrize(
    "component", [SessionExampleGen, ServedInteractionGen, ContentImportExampleGen]
)
def test_the_driver_is_the_components(component):
    assert issubclass(component.DRIVER_CLASS, ContentDriver)


def test_no_other_component_has_tfxs_driver_of_files():
    """TFX's looks at sums of sizes and seconds."""
    found = set()
    for layer in ("components", "pipelines"):
        for path in (ROOT / layer).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, (ast.Import, ast.ImportFrom)):
                    names = {alias.name.rpartition(".")[2] for alias in node.names}
                    if any(name.endswith("ExampleGen") for name in names) and str(
                        getattr(node, "module", "")
                    ).startswith("tfx"):
                        found.add(path.relative_to(ROOT).as_posix())
    assert found == {"components/content_driver.py"}
