"""Requests for tests: serialized examples of plain values. Needs TensorFlow alone."""

import tensorflow as tf


def example(**columns):
    """A ``tf.Example``, serialized; a column is a value or a list of int, float, str or bytes."""
    message = tf.train.Example()
    for name, values in columns.items():
        feature = message.features.feature[name]
        for value in values if isinstance(values, list | tuple) else [values]:
            if isinstance(value, str | bytes):
                text = value.encode() if isinstance(value, str) else value
                feature.bytes_list.value.append(text)
            elif isinstance(value, float):
                feature.float_list.value.append(value)
            else:
                feature.int64_list.value.append(value)
    return message.SerializeToString()


def candidates(count, **columns):
    """A request for ``count`` candidates of names of their own."""
    return example(item=[f"candidate {number}" for number in range(count)], **columns)
