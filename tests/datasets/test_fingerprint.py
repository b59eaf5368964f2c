"""Content identifies files, whatever their sizes and times say."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtfx.datasets.fingerprint import directory_fingerprint, fingerprint
from mtfx.errors import DataError

FILES = st.dictionaries(
    st.sampled_from(["a.csv", "b.csv", "sub/a.csv", "sub/deep/c.csv"]), st.binary(max_size=8)
)


def written(directory, files):
    paths = []
    for name, content in files.items():
        path = Path(directory, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        os.utime(path, (10, 10))
        paths.append(str(path))
    return paths


@given(FILES, FILES)
def test_files_are_the_same_exactly_if_names_and_contents_are(tmp_path_factory, one, other):
    first, second = tmp_path_factory.mktemp("one"), tmp_path_factory.mktemp("other")
    found = [
        fingerprint(written(folder, files), str(folder))
        for folder, files in ((first, one), (second, other))
    ]
    assert (found[0] == found[1]) == (one == other)


def test_an_edit_of_the_same_size_and_time_is_seen(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("paid\n")
    os.utime(path, (10, 10))
    before = fingerprint([str(path)], str(tmp_path))
    path.write_text("cart\n")
    os.utime(path, (10, 10))
    assert fingerprint([str(path)], str(tmp_path)) != before
    path.write_text("paid\n")
    assert fingerprint([str(path), str(path)], str(tmp_path)) == before


def test_a_directory_is_all_that_is_below_it(tmp_path):
    (tmp_path / "model" / "variables").mkdir(parents=True)
    weights = tmp_path / "model" / "variables" / "data"
    weights.write_bytes(b"1")
    before = directory_fingerprint(str(tmp_path / "model"))
    weights.write_bytes(b"2")
    assert directory_fingerprint(str(tmp_path / "model")) != before
    assert directory_fingerprint("gs://bucket/model") == ""


def test_a_file_that_is_gone_is_named(tmp_path):
    with pytest.raises(DataError, match=r"log\.csv cannot be read: No such file"):
        fingerprint([str(tmp_path / "log.csv")], str(tmp_path))
