import gzip

import apache_beam as beam
import polars as pl
import pytest
from apache_beam.testing.util import assert_that, equal_to
from hypothesis import given, settings
from hypothesis import strategies as st

from datasets import readers
from datasets.errors import DataError, data_error_in
from tests.beam_runners import local_pipeline


def parse(path, wanted, block_bytes=readers.BLOCK_BYTES):
    parts = [
        readers.parse_block(block, wanted)
        for block in readers.read_blocks(str(path), block_bytes=block_bytes)
    ]
    return pl.concat([p[0] for p in parts]), pl.concat([p[1] for p in parts])


def write(path, text):
    data = text if isinstance(text, bytes) else text.encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


@pytest.mark.parametrize("name", ["log.csv", "log.csv.gz"])
@pytest.mark.parametrize("block_bytes", [1, 7, 1 << 20])
@pytest.mark.parametrize("end", ["", "\n"])
def test_rows_keep_their_numbers_whatever_the_block_size(tmp_path, name, block_bytes, end):
    path = write(tmp_path / name, "a,b,c\n1,x,2\n3,y,4\n5,z,6" + end)
    frame, rejects = parse(path, ("c", "a"), block_bytes)
    assert frame["a"].to_list() == ["1", "3", "5"]
    assert frame["c"].to_list() == ["2", "4", "6"]
    assert frame[readers.ROW].to_list() == [2, 3, 4]
    assert rejects.is_empty()


@settings(max_examples=10)
@given(
    rows=st.lists(st.tuples(st.integers(), st.sampled_from(["x", "", "é", "a b"])), max_size=30),
    block_bytes=st.integers(1, 64),
)
def test_any_blocks_give_the_same_rows(tmp_path_factory, rows, block_bytes):
    path = tmp_path_factory.getbasetemp() / "log.csv"
    write(path, "n,s\n" + "".join(f"{n},{s}\n" for n, s in rows))
    blocks = list(readers.read_blocks(str(path), block_bytes=block_bytes))
    seen = [
        (int(n), s, row)
        for block in blocks
        for n, s, row in readers.parse_block(block, ("n", "s"))[0].iter_rows()
    ]
    assert seen == [(n, s, i + 2) for i, (n, s) in enumerate(rows)]


def test_quoted_commas_carriage_returns_and_a_byte_order_mark(tmp_path):
    path = write(tmp_path / "log.csv", '\ufeffa,b\r\n1,"[10,100)"\r\n2,y\r\n')
    frame, rejects = parse(path, ("a", "b"))
    assert frame["b"].to_list() == ["[10,100)", "y"]
    assert rejects.is_empty()


def test_rows_of_another_width_are_rejected_with_their_row(tmp_path):
    path = write(tmp_path / "log.csv", "a,b\n1,2\n1,2,3\n\n4,5\n")
    frame, rejects = parse(path, ("a", "b"))
    # A blank line is a row of missing values, which validation rejects.
    assert frame["a"].to_list() == ["1", "", "4"]
    assert frame[readers.ROW].to_list() == [2, 4, 5]
    assert rejects["row"].to_list() == [3]
    assert "3 fields where the header has 2" in rejects["reason"][0]


def test_rows_that_are_not_utf8_are_rejected_and_the_others_kept(tmp_path):
    path = write(tmp_path / "log.csv", b"a,b\n1,ok\n2,\xff\xfe\n3,ok\n")
    frame, rejects = parse(path, ("a", "b"))
    assert frame["a"].to_list() == ["1", "3"]
    assert frame[readers.ROW].to_list() == [2, 4]
    assert rejects["row"].to_list() == [3]
    assert "UTF-8" in rejects["reason"][0]
    assert "\\xff" in rejects["text"][0]


def test_empty_file_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"log\.csv is empty"):
        list(readers.read_blocks(str(write(tmp_path / "log.csv", ""))))


def test_header_only_has_no_rows(tmp_path):
    assert list(readers.read_blocks(str(write(tmp_path / "log.csv", "a,b\n")))) == []


def test_truncated_gzip_is_refused(tmp_path):
    whole = gzip.compress(b"a,b\n" + b"1,2\n" * 10_000)
    path = tmp_path / "log.csv.gz"
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="truncated gzip"):
        list(readers.read_blocks(str(path)))


def test_text_named_gz_is_refused(tmp_path):
    path = tmp_path / "log.csv.gz"
    path.write_bytes(b"a,b\n1,2\n")
    with pytest.raises(DataError, match="gzip"):
        readers.read_header(str(path))


def test_damaged_parquet_is_refused(tmp_path):
    path = tmp_path / "log.parquet"
    path.write_bytes(b"PAR1 no")
    with pytest.raises(DataError, match="not a readable Parquet"):
        readers.read_header(str(path))


def test_parquet_keeps_types_and_rows(tmp_path):
    path = tmp_path / "log.parquet"
    pl.DataFrame({"a": [1, 2, 3], "b": ["x", None, "z"]}).write_parquet(path, row_group_size=2)
    frame, _ = parse(path, ("a", "b"))
    assert frame.schema["a"] == pl.Int64
    assert frame.rows() == [(1, "x", 2), (2, None, 3), (3, "z", 4)]


def test_wrong_delimiter_is_guessed():
    with pytest.raises(DataError, match="semicolons"):
        readers.check_columns("log.csv", ("user;item;time",), ("user", "item"))
    with pytest.raises(DataError, match="missing column 'item'"):
        readers.check_columns("log.csv", ("user", "time"), ("user", "item"))


def test_beam_source_reads_every_row_of_every_file(tmp_path):
    paths = []
    for index, name in enumerate(["one.csv", "two.csv.gz"]):
        rows = "".join(f"{index * 1000 + i}\n" for i in range(1000))
        paths.append(str(write(tmp_path / name, "a\n" + rows)))
    with local_pipeline() as pipeline:
        values = (
            pipeline
            | readers.ReadBlocks(paths, block_bytes=256)
            | beam.FlatMap(lambda block: readers.parse_block(block, ("a",))[0]["a"].to_list())
            | beam.Map(int)
        )
        assert_that(values, equal_to(list(range(2000))))


def test_a_workers_data_error_keeps_its_message(tmp_path):
    path = str(write(tmp_path / "log.csv", ""))
    with pytest.raises(Exception, match="is empty") as caught:  # noqa: SIM117
        with local_pipeline() as pipeline:
            _ = pipeline | readers.ReadBlocks([path])
    error = data_error_in(caught.value)
    assert str(error).startswith(f"{path} is empty")
