"""Buckets: the same for a key on every machine, and of every row exactly one."""

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from mtfx.components.session_example_gen.reading import bucket_of, by_bucket, concatenated


def test_buckets_do_not_change_from_release_to_release():
    """A retried bundle of another worker must write the same shard."""
    assert bucket_of(pl.Series([0, 1, 2, 2**40, -1]), 1000).tolist() == [0, 789, 730, 568, 67]
    assert bucket_of(pl.Series(["", "a", "ä"]), 1000).tolist() == [0, 907, 35]


@given(st.lists(st.integers(-(2**62), 2**62), min_size=1), st.integers(1, 7))
def test_every_row_is_in_the_bucket_of_its_key(keys, buckets):
    frame = pl.DataFrame({"key": keys, "row": np.arange(len(keys))})
    parts = dict(by_bucket(frame, "key", buckets))
    for bucket, payload in parts.items():
        rows = concatenated([payload])
        assert rows is not None
        assert set(bucket_of(rows["key"], buckets)) == {bucket}
    assert_frame_equal(concatenated(parts.values()), frame, check_row_order=False)


def test_of_no_blocks_there_is_no_frame():
    assert concatenated([]) is None
