"""Calls of a SavedModel's signatures that cast nothing, as TF Serving's do not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow as tf


def call(function: Any, inputs: Mapping[str, Any]) -> dict[str, tf.Tensor]:
    """A signature's outputs.

    Args:
      function: The signature, of a loaded SavedModel.
      inputs: By name, exactly the signature's. An array has the signature's own type. Other values
        are read as TF Serving reads JSON: whole numbers within range for integers, any number that
        stays finite for floats, ``true`` or ``false`` for booleans, text or bytes for strings.

    Raises:
      ValueError, TypeError or InvalidArgumentError: if an input has another shape or type, or the
        model refuses it. TensorFlow itself would read 7.9 as 7 and 2**40 as 0.
    """
    specs = function.structured_input_signature[1]
    return function(
        **{
            key: tf.ensure_shape(_tensor(key, value, specs[key].dtype), specs[key].shape)
            for key, value in inputs.items()
        }
    )


def _tensor(name: str, value: Any, dtype: tf.DType) -> tf.Tensor:
    if not isinstance(value, np.ndarray | np.generic | tf.Tensor):
        _check_values(name, value, dtype)
        return tf.constant(value, dtype)
    given = tf.as_dtype(value.dtype)
    # NumPy keeps bytes of one length in a type of its own.
    if given != dtype and not (dtype == tf.string and value.dtype.kind in "OSU"):
        raise TypeError(f"{name} is {given.name}, and the signature takes {dtype.name}")
    return tf.constant(value, dtype)


def _check_values(name: str, value: Any, dtype: tf.DType) -> None:
    for leaf in _leaves(value):
        if dtype == tf.string:
            good = isinstance(leaf, str | bytes)
        elif dtype == tf.bool:
            good = isinstance(leaf, bool)
        elif dtype.is_integer:
            good = type(leaf) is int and dtype.min <= leaf <= dtype.max
        else:
            good = type(leaf) in (int, float) and _stays_finite(leaf, dtype)
        if not good:
            raise TypeError(f"{name} holds {str(leaf)[:40]!r}, which is no {dtype.name}")


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, list | tuple):
        for item in value:
            yield from _leaves(item)
    else:
        yield value


def _stays_finite(value: float, dtype: tf.DType) -> bool:
    # NaN and infinity are read as themselves (the models refuse them by name).
    return abs(value) <= dtype.max or not np.isfinite(float(value))
