import gzip

import apache_beam as beam
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from apache_beam.testing.util import assert_that, equal_to
from hypothesis import given, settings
from hypothesis import strategies as st

from mtfx.datasets.logs import readers
from mtfx.errors import DataError, data_error_in
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


@pytest.mark.parametrize("block_bytes", [1, 7, 1 << 20])
@pytest.mark.parametrize("name", ["log.csv", "log.csv.gz"])
def test_quoted_line_breaks_stay_in_their_row(tmp_path, name, block_bytes):
    text = 'a,b\n1,"one\nghost,2"\n"3\r\n",y\n\n5,"six ""6""\n\n,"\n7,z'
    frame, rejects = parse(write(tmp_path / name, text), ("a", "b"), block_bytes)
    assert frame.rows() == [
        ("1", "one\nghost,2", 2),
        ("3\r\n", "y", 4),
        ("", "", 6),
        ("5", 'six "6"\n\n,', 7),
        ("7", "z", 10),
    ]
    assert rejects.is_empty()


@pytest.mark.parametrize("block_bytes", [1, 7, 1 << 20])
@pytest.mark.parametrize(
    ("text", "kept", "rejected"),
    [
        ('1,x\n2,"open\nghost,3\n4,y', [2], [3, 4, 5]),
        ('1,x\n2,"open\n3,y\n4,"z"\n5,w\n', [2, 6], [3, 4, 5]),
        ('1,x\n2,"ends"early\n3,y\n', [2, 4], [3]),
        ('1,"a\nb","c\n4,y\n', [], [2, 3, 4]),
    ],
)
def test_no_line_behind_an_open_quote_is_taken_for_a_row(
    tmp_path, text, kept, rejected, block_bytes
):
    path = write(tmp_path / "log.csv", "a,b\n" + text)
    frame, rejects = parse(path, ("a", "b"), block_bytes)
    assert frame[readers.ROW].to_list() == kept
    assert rejects["row"].to_list() == rejected
    assert "quote" in rejects["reason"][0]
    lines = ("a,b\n" + text).split("\n")
    assert rejects["text"].to_list() == [lines[row - 1] for row in rejected]


def test_two_stray_quotes_do_not_make_one_text_of_the_rows_between(tmp_path):
    rows = [f"{n},plain" for n in range(20)]
    rows[4], rows[15] = '4,"shoes', '15,screen 27"'
    frame, rejects = parse(write(tmp_path / "log.csv", "a,b\n" + "\n".join(rows)), ("a", "b"))
    assert frame["a"].to_list() == [str(n) for n in (*range(4), *range(16, 20))]
    assert rejects["row"].to_list() == list(range(6, 18))


def test_a_text_of_many_lines_is_kept(tmp_path):
    text = "\n".join(["one, two and three", "four", "five, six", "seven"])
    frame, _ = parse(write(tmp_path / "log.csv", f'a,b\n1,"{text}"\n2,x\n'), ("a", "b"))
    assert frame.rows() == [("1", text, 2), ("2", "x", 6)]


def test_a_record_without_end_is_named_and_does_not_fill_the_memory(tmp_path):
    path = write(tmp_path / "log.csv", 'a,b\n1,x\n2,"open\n' + "3,y\n" * 1000)
    with pytest.raises(DataError, match=r"log\.csv, row 3: the row does not end within 64 bytes"):
        list(readers.read_blocks(str(path), block_bytes=16, record_bytes=64))


BAD_ROWS = {
    b"2,a\0b": "NUL",
    b"2,\xff": "UTF-8",
    b"2,x\r3,y": "3 fields",
    b"2": "1 fields",
    b'2,"x"y': "quote",
    b'2,"\xff\n"': "UTF-8",
}


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("bad", BAD_ROWS)
def test_a_bad_row_costs_no_other(tmp_path, bad, end):
    lines = [b"a,b", *(b"%d,ok" % n for n in range(5)), bad, *(b"%d,ok" % n for n in range(5))]
    path = write(tmp_path / "log.csv", end.join(lines))
    frame, rejects = parse(path, ("a", "b"))
    assert frame["a"].to_list() == [*"01234", *"01234"]
    assert frame["b"].to_list() == ["ok"] * 10
    assert rejects["row"].to_list() == [7]
    assert BAD_ROWS[bad] in rejects["reason"][0]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize(
    "text", ["blue\rshirt", "x" * 300_000, 'screen 27"', "\N{LINE SEPARATOR}\x0b\x0c\x1e"]
)
def test_an_odd_text_is_kept_whole(tmp_path, text, end):
    path = write(tmp_path / "log.csv", end.join(["a,b", "1,x", f"2,{text}", "3,y", ""]))
    frame, rejects = parse(path, ("a", "b"))
    assert frame.rows() == [("1", "x", 2), ("2", text, 3), ("3", "y", 4)]
    assert rejects.is_empty()


@settings(max_examples=60)
@given(
    rows=st.lists(
        st.one_of(
            st.tuples(st.integers(0, 99), st.text(st.sampled_from('a,"\n\ré'), max_size=5)),
            st.sampled_from([*BAD_ROWS, b"2,blue\rshirt", b'2,5" screen']),
        ),
        max_size=12,
    ),
    block_bytes=st.integers(1, 64),
)
def test_good_rows_are_kept_with_their_numbers_whatever_is_between(
    tmp_path_factory, rows, block_bytes
):
    data, row, kept, rejected = b"a,b\n", 2, [], []
    for one in rows:
        if isinstance(one, tuple):
            number, text = one
            kept.append((str(number), text, row))
            quoted = text.replace('"', '""')
            line = f'{number},"{quoted}"\n'.encode()
        elif one in BAD_ROWS:
            rejected.append(row)
            line = one + b"\n"
        else:
            kept.append((*one.decode().split(","), row))
            line = one + b"\n"
        data += line
        row += line.count(b"\n")
    path = write(tmp_path_factory.getbasetemp() / "mixed.csv", data)
    frame, rejects = parse(path, ("a", "b"), block_bytes) if rows else (pl.DataFrame(), None)
    assert frame.rows() == kept
    assert rejects is None or rejects["row"].to_list() == rejected


def test_what_a_quarantine_shows_of_a_row_can_be_read(tmp_path):
    path = write(tmp_path / "log.csv", b"a,b\n1,x\0" + b"y" * 200_000 + b"\n")
    _, rejects = parse(path, ("a", "b"))
    assert rejects["text"][0].startswith("1,x\\x00y")
    assert rejects["text"][0].endswith("(200,005 bytes)")
    assert len(rejects["text"][0]) < 2000


def test_a_header_may_be_quoted_and_have_line_breaks(tmp_path):
    path = write(tmp_path / "log.csv", '\ufeff"a\nof user","b, c"\n1,"x"\n')
    assert readers.read_header(str(path)) == ("a\nof user", "b, c")
    frame, _ = parse(path, ("b, c",))
    assert frame.rows() == [("x", 3)]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"a,b\r1,2\r3,4\r", "end each line"),
        (b"a\0,\0b\0\n\0", "NUL bytes: save the file as UTF-8"),
        ("a,b\n".encode("utf-16"), "not UTF-8"),
        (b"a," * 600_000 + b"b", "does not end within 1,048,576 bytes"),
        (b"a" * 300_000, "cannot be read"),
    ],
)
def test_a_header_that_is_none_is_named(tmp_path, data, reason):
    path = write(tmp_path / "log.csv", data)
    with pytest.raises(DataError, match=rf"log\.csv, row 1: .*{reason}"):
        list(readers.read_blocks(str(path)))


def test_a_directory_in_a_files_place_is_named(tmp_path):
    (tmp_path / "log.csv").mkdir()
    with pytest.raises(DataError, match=r"log\.csv cannot be read"):
        list(readers.read_blocks(str(tmp_path / "log.csv")))


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


def test_text_of_a_parquet_file_that_is_not_utf8_costs_its_row(tmp_path):
    path = tmp_path / "log.parquet"
    values = [b"ok", b"\xff\xfe", "é".encode()]
    bytes_ = pa.array(values)
    text = pa.Array.from_buffers(pa.string(), len(values), bytes_.buffers())
    pq.write_table(pa.table({"a": [1, 2, 3], "b": text}), path)
    frame, rejects = parse(path, ("a", "b"))
    assert frame.rows() == [(1, "ok", 2), (3, "é", 4)]
    assert rejects["row"].to_list() == [3]
    assert "b: not UTF-8" in rejects["reason"][0]


def test_a_column_that_is_there_twice_is_refused():
    with pytest.raises(DataError, match=r"log\.csv: 2 columns are named 'a'"):
        readers.check_columns("log.csv", ("a", "b", "a", "c", "c"), ("a", "b"))
    readers.check_columns("log.csv", ("a", "b", "c", "c"), ("a", "b"))


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
