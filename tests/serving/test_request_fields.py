"""What a request holds is written as plain data, and readers agree on it."""

import subprocess
import sys

import pytest

from mtfx.datasets.history import PREFIX
from mtfx.serving.request_fields import HISTORY_PREFIX, RequestField, merged

USER = RequestField("age", "int64", "user", default=5)
TAB = RequestField("tab", "string", "candidate", per_candidate=True, required=True)
PAST = RequestField("history_click", "int64", "history")


def test_a_list_of_fields_is_read_as_it_was_written():
    for field in (USER, TAB, PAST, RequestField("town", "string", "user", default="")):
        assert RequestField.from_dict(field.to_dict()) == field


def test_what_two_read_is_required_if_one_needs_it_and_repeated_if_one_does():
    own = (RequestField("tab", "string", "context", default=""), PAST)
    found = merged((TAB, USER), own)
    assert [field.name for field in found] == ["age", "tab", "history_click"]
    assert found[1] == RequestField("tab", "string", "context", per_candidate=True, required=True)
    assert merged(own, (TAB, USER))[1] == found[1]
    # Each fills in its own default; the list names the first's.
    assert merged([USER], [RequestField("age", "int64", "user", default=0)]) == (USER,)


@pytest.mark.parametrize(
    "other",
    [
        RequestField("age", "float32", "user"),
        RequestField("age", "int64", "candidate", per_candidate=True),
        RequestField("age", "int64", "history"),
    ],
)
def test_a_column_of_two_types_or_levels_is_refused(other):
    with pytest.raises(ValueError, match="age is read as int64 of the user and as"):
        merged([USER], [other])


def test_earlier_impressions_are_named_as_in_the_logs():
    assert HISTORY_PREFIX == PREFIX


def test_it_needs_no_tensorflow():
    code = "import sys, mtfx.serving.request_fields; assert 'tensorflow' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
