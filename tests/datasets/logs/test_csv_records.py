import csv
import io

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mtfx.datasets.logs import csv_records
from tests.datasets.csv_reference import records_of

FILES = st.lists(
    st.sampled_from([b'"', b'"', b'""', b",", b"\n", b"\r", b"\r\n", b"a", b"bc", b'"x",']),
    max_size=40,
).map(b"".join)


def cut(data, ends):
    starts = [0, *ends[:-1]]
    return [data[start:end] for start, end in zip(starts, ends, strict=bool(len(ends)))]


@settings(max_examples=500)
@given(FILES)
@example(b'1,"open\n2,b\n3,c\n')
@example(b'1,"a"b\n2,"c"\r')
@example(b'"",""\n""""\n"\n",\n')
def test_records_are_those_of_a_reader_by_characters(data):
    ends, whole = csv_records.find_records(data, final=True)
    found = list(zip(cut(data, ends.tolist()), whole.tolist(), strict=True))
    assert found == records_of(data)


@settings(max_examples=300)
@given(FILES, st.integers(0, 60))
@example(b'1,"a""b"\n', 5)
@example(b'1,"a"\r\n', 6)
def test_what_is_found_in_a_part_is_what_is_found_in_the_file(data, size):
    part = csv_records.find_records(data[:size], final=False)
    file = csv_records.find_records(data, final=True)
    number = len(part.ends)
    np.testing.assert_array_equal(part.ends, file.ends[:number])
    np.testing.assert_array_equal(part.whole, file.whole[:number])


@pytest.mark.parametrize(
    ("quoting", "end"),
    [(csv.QUOTE_MINIMAL, "\r\n"), (csv.QUOTE_ALL, "\r\n"), (csv.QUOTE_ALL, "\n")],
)
@settings(max_examples=100)
@given(
    rows=st.lists(
        st.lists(st.text(st.sampled_from('a,"\n\r é'), max_size=6), min_size=2, max_size=2),
        max_size=8,
    )
)
def test_fields_are_those_that_were_written(quoting, end, rows):
    text = io.StringIO(newline="")
    csv.writer(text, quoting=quoting, lineterminator=end).writerows(rows)
    data = text.getvalue().encode()
    ends, whole = csv_records.find_records(data, final=True)
    assert whole.all()
    fields = [csv_records.fields_of(record) for record in cut(data, ends.tolist())]
    assert fields == [[field.encode() for field in row] for row in rows]
