import glob
import os
import tempfile

import pytest
import tensorflow as tf
from apache_beam.io.filesystems import FileSystems
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mtfx.datasets.file_names import literal, name_of, pattern_free
from mtfx.datasets.logs import readers
from mtfx.errors import DataError

NAMES = st.text(st.sampled_from("[]*?!^-ab1,{} é#%"), min_size=1, max_size=8)


@settings(max_examples=60)
@given(NAMES)
@example("run [v2]")
@example("[!a]")
@example("a**b")
@example("[[]")
def test_a_name_made_literal_matches_itself_alone(name):
    with tempfile.TemporaryDirectory() as root:
        for other in (name, "run v", "a", "ab"):
            os.makedirs(os.path.join(root, other), exist_ok=True)
            open(os.path.join(root, other, "log_1.csv"), "w").close()
        directory = os.path.join(root, name)
        expected = [os.path.join(directory, "log_1.csv")]
        pattern = os.path.join(literal(directory), "log_*.csv")
        assert tf.io.gfile.glob(pattern) == expected
        assert glob.glob(pattern) == expected
        [matched] = FileSystems.match([pattern])
        assert [found.path for found in matched.metadata_list] == expected
        assert readers.match_files(directory, ("log_*.csv",)) == expected
        assert name_of(literal(directory)) == directory


def test_sizes_are_those_of_the_files_named(tmp_path):
    (tmp_path / "log [1].csv").write_text("12345")
    (tmp_path / "log 1.csv").write_text("123")
    assert readers.file_bytes([str(tmp_path / "log [1].csv")]) == 5


@pytest.mark.parametrize("name", ["run [v2]", "a*b", "what?", "back\\slash", "[x]/inner [y]"])
def test_a_directory_is_reached_by_a_name_that_is_no_pattern(tmp_path, name):
    directory = tmp_path / name / "pipeline"
    path = pattern_free(directory)
    assert not set(path) & set("*?[\\")
    os.makedirs(path)
    (directory / "here.txt").write_text("x")
    assert tf.io.gfile.glob(os.path.join(path, "*")) == [os.path.join(path, "here.txt")]
    assert pattern_free(directory) == path
    # One link serves what is below.
    assert pattern_free(directory / "deeper") == os.path.join(path, "deeper")
    assert len([entry for entry in tmp_path.rglob(".mtfx-*") if entry.is_symlink()]) == 1


@pytest.mark.parametrize("path", ["plain", "with space, é {x}", "gs://bucket/[x]"])
def test_other_names_stay_as_they_are(path):
    assert pattern_free(path) == path


def test_what_is_in_the_links_way_is_named(tmp_path):
    directory = tmp_path / "run [v2]"
    link = pattern_free(directory)
    os.unlink(link)
    open(link, "w").close()
    with pytest.raises(DataError, match=r"\.mtfx-.* is in the way of a link to .*run \[v2\]"):
        pattern_free(directory)


def test_a_link_that_cannot_be_made_is_said_to_be(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(DataError, match="take for a pattern"):
        pattern_free(tmp_path / "file" / "run [v2]")
