"""The message without TensorFlow, beside TensorFlow's own."""

import tensorflow as tf

from mtfx.serving.example_proto import KINDS, example_class


def fill(example):
    for dtype, values in (("string", [b"a", b""]), ("float32", [0.5]), ("int64", [-1, 2**40])):
        getattr(example.features.feature[dtype], KINDS[dtype]).value.extend(values)
    example.features.feature["nothing"].int64_list.SetInParent()
    return example


def test_bytes_are_those_of_tensorflow():
    mine, theirs = fill(example_class()()), fill(tf.train.Example())
    sent = mine.SerializeToString(deterministic=True)
    assert sent == theirs.SerializeToString(deterministic=True)
    assert tf.train.Example.FromString(sent) == theirs
    assert example_class().FromString(theirs.SerializeToString()) == mine


def test_the_class_is_made_once():
    assert example_class() is example_class()
