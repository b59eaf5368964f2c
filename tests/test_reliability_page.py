"""docs/reliability.md names tests; each of them is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "reliability.md"
_ROW = re.compile(r"^\|(?! fault|---)(.*)\|$", re.MULTILINE)


def named(row: str) -> list[tuple[str, str]]:
    """File and function of the tests of a row; one without a file is in the one before."""
    found, file = [], ""
    for path, name in re.findall(r"`([\w/.]*)::(\w+)`", row):
        file = path or file
        found.append((file, name))
    return found


@pytest.mark.parametrize("row", _ROW.findall(PAGE.read_text()), ids=lambda row: row[:40].strip())
def test_each_row_names_tests_that_exist(row):
    tests = named(row)
    assert tests
    for file, name in tests:
        assert f"def {name}(" in (ROOT / file).read_text(), f"{file}::{name}"


def test_the_page_has_rows():
    assert len(_ROW.findall(PAGE.read_text())) > 25
