"""Files appear whole or not at all, here and in a file system of TensorFlow's; JSON has no NaN."""

import json
import math
import os
import pathlib

import pytest

from mtfx.errors import why_unreadable
from mtfx.files import (
    UNREADABLE,
    atomic_path,
    jsonable,
    read_json,
    write_atomically,
    write_csv,
    write_json,
)


@pytest.mark.parametrize("content", ["naïve\n", b"\x89PNG"])
def test_a_file_takes_the_place_of_the_one_before(tmp_path, content):
    path = tmp_path / "new" / "file"
    for written in ("old", content):
        write_atomically(path, written)
    assert path.read_bytes() == (content.encode() if isinstance(content, str) else content)
    assert path.stat().st_mode & 0o777 == 0o644
    assert list(path.parent.iterdir()) == [path]


def test_a_name_without_a_directory_is_in_the_current_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_atomically("file", "text")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "index.html"
    path.write_text("old")

    def full(*_):
        raise OSError("No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space"):
        write_atomically(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_directory_appears_when_all_of_it_is_there(tmp_path):
    target = tmp_path / "below" / "day-1"
    left = target.with_name(".day-1.partial")
    left.mkdir(parents=True)
    (left / "half").write_text("of a writer that was killed")
    with atomic_path(target) as partial:
        assert not partial.exists()
        partial.mkdir()
        (partial / "log.csv").write_text("a")
        assert not target.exists()
    assert [path.name for path in target.parent.rglob("*")] == ["day-1", "log.csv"]


def test_a_block_that_raises_leaves_nothing(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")

    def write():
        with atomic_path(path) as partial:
            partial.write_text("half")
            raise ValueError("no more")

    with pytest.raises(ValueError, match="no more"):
        write()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_path_with_a_scheme_is_tensorflows():
    path = "ram://house/files/content.json"
    with pytest.raises(UNREADABLE) as missing:
        read_json(path)
    assert why_unreadable(missing.value) == "is not there"
    write_json(path, {"name": "naïve"})
    assert read_json(path) == {"name": "naïve"}
    write_atomically(path, "{")
    with pytest.raises(UNREADABLE) as damaged:
        read_json(path)
    assert "is damaged" in why_unreadable(damaged.value)


def test_json_is_written_for_people_and_has_no_nan(tmp_path):
    path = tmp_path / "new" / "content.json"
    write_json(path, {"a": [1, "é"]}, indent=2)
    assert path.read_text() == '{\n  "a": [\n    1,\n    "é"\n  ]\n}\n'
    assert read_json(path) == {"a": [1, "é"]}
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(path, math.nan)
    assert json.loads(path.read_text())


def test_a_table_has_a_header_and_quotes_what_must_be(tmp_path):
    path = tmp_path / "new" / "bad.csv"
    write_csv(path, ("file", "record"), [("a,b", 1), ("é", 2)])
    assert path.read_text() == 'file,record\n"a,b",1\né,2\n'


def test_jsonable_leaves_no_nan():
    found = jsonable({"a": [math.inf, 1, (2.5, True)], 3: pathlib.PurePosixPath("x")})
    assert found == {"a": [None, 1, [2.5, True]], "3": "x"}
