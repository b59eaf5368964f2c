"""A stream's files: which are taken, and what happens to those that change."""

import numpy as np
import pytest
import tensorflow as tf

from mtfx.datasets.transitions.spec import TransitionSpec
from mtfx.errors import DataError
from mtfx.trainers.fusion.stream_files import StreamFiles, session_rows


@pytest.fixture
def files(tmp_path):
    (tmp_path / "in").mkdir()
    spec = TransitionSpec(2, ("click",), ("click",), 1)
    return StreamFiles(str(tmp_path / "in"), str(tmp_path / "own"), spec, None)


def test_files_come_in_the_order_of_their_names(files, tmp_path):
    for name in ("b.gz", "a.parquet", "c.tfrecord", "d.gz.tmp", "notes.txt"):
        (tmp_path / "in" / name).write_bytes(b"")
    assert files.names(()) == ["a.parquet", "b.gz", "c.tfrecord"]
    assert files.names({"a.parquet", "c.tfrecord"}) == ["b.gz"]


def test_a_file_that_was_changed_is_named(files, tmp_path):
    (tmp_path / "in" / "a.gz").write_bytes(b"one")
    digest = files.digest("a.gz")
    files.check_unchanged("a.gz", digest)
    (tmp_path / "in" / "a.gz").write_bytes(b"another")
    with pytest.raises(DataError, match=r"a\.gz was changed since"):
        files.check_unchanged("a.gz", digest)
    files.check_unchanged("a.gz", "")


def test_what_is_no_record_is_refused(files, tmp_path):
    (tmp_path / "in" / "a.gz").write_bytes(b"no gzip at all")
    with pytest.raises(DataError, match=r"a\.gz"):
        files.load("a.gz")


def test_rows_of_sessions_can_be_skipped():
    class Table:
        session_index = tf.constant(np.array([0, 0, 1, 2, 2, 2]))

    assert list(session_rows(Table, 0)) == [(0, 2), (2, 3), (3, 6)]
    assert list(session_rows(Table, 2)) == [(3, 6)]
