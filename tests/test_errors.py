"""A file that cannot be read is told by what was found."""

import json

import pytest

from mtfx.errors import why_unreadable


def _error(action):
    with pytest.raises(Exception) as raised:  # noqa: PT011
        action()
    return raised.value


@pytest.mark.parametrize(
    ("action", "words"),
    [
        (lambda path: path.read_text(), "is not there"),
        (lambda path: path.parent.read_text(), "cannot be read: Is a directory"),
        (lambda _: json.loads("{"), "is damaged, it holds no valid JSON"),
        (lambda _: json.loads("{}")["ranker"], "has no 'ranker': another version of MTFX wrote it"),
        (lambda _: json.loads("3")["ranker"], "holds something else than this version"),
    ],
)
def test_what_is_mended_in_another_way_is_told_apart(tmp_path, action, words):
    assert why_unreadable(_error(lambda: action(tmp_path / "none"))).startswith(words)


def test_tensorflows_errors_are_known(tmp_path):
    import tensorflow as tf

    missing = _error(lambda: tf.io.gfile.GFile(str(tmp_path / "none")).read())
    assert why_unreadable(missing) == "is not there"
