"""Four tensors hold what the features did, and refuse what an embedding lacks."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from mtfx.models.export.transformed_features import FeatureColumns, TransformedFeatures
from mtfx.models.input_features import InputFeature

LEVELS, KINDS = ("session", "impression"), ("categorical", "multivalued", "numeric")
INPUTS = (
    InputFeature("user", "categorical", 5, level="session"),
    InputFeature("length", "numeric"),
    InputFeature("item", "categorical", 7),
    InputFeature("tag", "categorical", 3),
)


@given(
    groups=st.lists(st.tuples(st.sampled_from(LEVELS), st.sampled_from(KINDS)), max_size=8),
    sessions=st.integers(0, 3),
    impressions=st.integers(0, 4),
)
def test_what_is_packed_is_unpacked(groups, sessions, impressions):
    inputs = tuple(
        InputFeature(
            f"f{k}",
            kind,
            0 if kind == "numeric" else 9,
            level=level,
            max_values=3 if kind == "multivalued" else 1,
        )
        for k, (level, kind) in enumerate(groups)
    )
    rng = np.random.default_rng(0)
    features = {
        f.name: rng.integers(
            -1 if f.kind == "multivalued" else 0,
            9,
            (sessions if f.level == "session" else impressions, *f.shape),
        ).astype(f.dtype.as_numpy_dtype)
        for f in inputs
    }
    columns = FeatureColumns(inputs)
    packed = columns.pack(
        {name: tf.constant(value) for name, value in features.items()}, sessions, impressions
    )
    for tensor, spec in zip(packed, columns.specs(), strict=True):
        assert spec.is_compatible_with(tensor)
        assert tensor.shape[0] == (sessions if "session" in spec.name else impressions)
    found = columns.unpack(columns.checked(packed))
    assert found.keys() == features.keys()
    for name, value in features.items():
        np.testing.assert_array_equal(found[name], value)
        first = f"{name}[0]" if value.ndim == 2 else name
        tensor = next(key for key, names in columns.names.items() if first in names)
        column = columns.names[tensor].index(first)
        own = getattr(packed, tensor)[:, column : column + (3 if value.ndim == 2 else 1)]
        np.testing.assert_array_equal(own, value.reshape(own.shape))


def packed(user=0, item=0, tag=0, lengths=(0.5,)):
    return TransformedFeatures(
        tf.constant([[user]], tf.int64),
        tf.zeros([1, 0]),
        tf.constant([[item, tag]], tf.int64),
        tf.constant(lengths)[:, tf.newaxis],
    )


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"user": 5}, r"session_ids must lie in user \[0, 5\);[^:]*:\W*1\b"),
        ({"item": 7}, r"must lie in item \[0, 7\), tag \[0, 3\);[^:]*:\W*1 0\b"),
        ({"tag": -1}, r"impression_ids must lie in item [^;]*;[^:]*:\W*0 1\b"),
        ({"lengths": (0.5, 0.5)}, "impression_ids and impression_values must have as many rows"),
    ],
)
def test_what_does_not_fit_is_named(given, message):
    checked = tf.function(FeatureColumns(INPUTS).checked)
    checked(packed(user=4, item=6, tag=2))
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        checked(packed(**given))


@pytest.mark.parametrize(("ids", "fits"), [([2, -1], True), ([-2, 0], False), ([0, 3], False)])
def test_a_place_of_several_values_may_be_empty(ids, fits):
    columns = FeatureColumns((InputFeature("tags", "multivalued", 3, max_values=2),))
    assert columns.names["impression_ids"] == ["tags[0]", "tags[1]"]
    empty = tf.zeros([1, 0])
    given = TransformedFeatures(
        tf.zeros([1, 0], tf.int64), empty, tf.constant([ids], tf.int64), empty
    )
    if fits:
        assert columns.checked(given).impression_ids.numpy().tolist() == [ids]
        return
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"tags\[0\] \[-1, 3\), tags\[1\]"):
        columns.checked(given)


def test_padding_adds_impressions_of_zeros_and_no_session():
    padded = packed(user=1, item=2, tag=2).padded(tf.constant(3))
    assert padded.session_ids.numpy().tolist() == [[1]]
    assert padded.impression_ids.numpy().tolist() == [[2, 2], [0, 0], [0, 0]]
    assert padded.impression_values.numpy().tolist() == [[0.5], [0.0], [0.0]]
