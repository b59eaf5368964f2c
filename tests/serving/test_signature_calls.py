"""No input of a signature is read as something else than was sent."""

import json

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from mtfx.serving.signature_calls import call

SPECS = {
    "floats": tf.TensorSpec([None], tf.float32),
    "longs": tf.TensorSpec([None], tf.int64),
    "ints": tf.TensorSpec([None], tf.int32),
    "flag": tf.TensorSpec([], tf.bool),
    "text": tf.TensorSpec([None], tf.string),
    "one": tf.TensorSpec([], tf.string),
}
GOOD = {
    "floats": [0.5, 1],
    "longs": [7],
    "ints": [-3],
    "flag": True,
    "text": ["a", b"\xff"],
    "one": b"a\0",
}


class Echo(tf.Module):
    """Answers what it was asked, in the types that it understood."""

    @tf.function(input_signature=list(SPECS.values()))
    def echo(self, floats, longs, ints, flag, text, one):
        return {
            "floats": tf.identity(floats),
            "longs": tf.identity(longs),
            "ints": tf.identity(ints),
            "flag": tf.identity(flag),
            "text": tf.identity(text),
            "one": tf.identity(one),
        }


@pytest.fixture(scope="module")
def echo(tmp_path_factory):
    path = str(tmp_path_factory.mktemp("echo"))
    module = Echo()
    tf.saved_model.save(module, path, {"serving_default": module.echo})
    loaded = tf.saved_model.load(path)
    yield loaded.signatures["serving_default"]  # noqa: PT022 (it needs its model alive)


def test_values_and_arrays_of_the_signatures_types_are_read(echo):
    from_values = call(echo, GOOD)
    arrays = {name: np.asarray(GOOD[name], SPECS[name].dtype.as_numpy_dtype) for name in SPECS}
    from_arrays = call(echo, arrays)
    for name in SPECS:
        np.testing.assert_array_equal(from_values[name].numpy(), from_arrays[name].numpy())
    assert from_values["text"].numpy().tolist() == [b"a", b"\xff"]


@pytest.mark.parametrize("name", SPECS)
@pytest.mark.parametrize(
    "dtype", ["float64", "float16", "uint64", "int64", "int32", "uint8", "bool", "float32"]
)
def test_an_array_of_another_type_is_refused_by_name(echo, name, dtype):
    wanted = SPECS[name].dtype
    if wanted.name == dtype:
        return
    value = np.ones([] if name in ("flag", "one") else [1], dtype)
    with pytest.raises(
        TypeError, match=f"{name} is {dtype}, and the signature takes {wanted.name}"
    ):
        call(echo, {**GOOD, name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("longs", [7.9]),
        ("longs", [7.0]),
        ("longs", [True]),
        ("longs", ["7"]),
        ("longs", [2**63]),
        ("longs", [None]),
        ("ints", [2**40]),
        ("ints", [1, False]),
        ("floats", ["0.5"]),
        ("floats", [True]),
        ("floats", [1e300]),
        ("flag", 1),
        ("flag", 0.5),
        ("flag", "true"),
        ("text", [5]),
        ("text", [[True]]),
        ("one", 5),
    ],
)
def test_a_value_of_another_type_is_refused_by_name(echo, name, value):
    with pytest.raises(TypeError, match=f"^{name} holds"):
        call(echo, {**GOOD, name: value})


@given(
    st.lists(
        st.one_of(st.integers(), st.floats(), st.booleans(), st.text(max_size=3), st.none()),
        max_size=4,
    )
)
def test_whatever_json_says_is_answered_as_it_is_or_refused(echo, values):
    for name in ("floats", "longs", "ints", "text"):
        try:
            answer = call(echo, {**GOOD, name: json.loads(json.dumps(values))})[name].numpy()
        except TypeError:
            continue
        for said, meant in zip(answer.tolist(), values, strict=True):
            if name == "floats":
                assert not isinstance(meant, bool)
                np.testing.assert_equal(np.float32(said), np.float32(meant))
            elif name == "text":
                assert said.decode() == meant
            else:
                assert type(meant) is int
                assert said == meant
