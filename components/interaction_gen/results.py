"""Results of a Beam pipeline for its executor: counts, a quarantine file, an error to explain."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

import apache_beam as beam
import tensorflow as tf

from mtfx.components.session_example_gen.counts import Counts
from mtfx.datasets.transitions.checks import RecordFault, write_faults
from mtfx.errors import DataError, data_error_in


def write_counts(counts: Counts, path: str) -> None:
    """Keeps the workers' counts in a file, as a Beam pipeline returns nothing."""
    tf.io.gfile.makedirs(os.path.dirname(path))
    with tf.io.gfile.GFile(path, "wb") as file:
        file.write(beam.coders.registry.get_coder(Counts).encode(counts))


def read_counts(path: str) -> Counts | None:
    """What :func:`write_counts` wrote; None if it never ran."""
    if not tf.io.gfile.exists(path):
        return None
    with tf.io.gfile.GFile(path, "rb") as file:
        return beam.coders.registry.get_coder(Counts).decode(file.read())


def write_quarantine(faults: list[RecordFault], path: str) -> None:
    """Lists bad records in a CSV file; an earlier run's file is removed."""
    if tf.io.gfile.exists(path):
        tf.io.gfile.remove(path)
    if faults:
        write_faults(faults, path)


@contextlib.contextmanager
def data_errors() -> Iterator[None]:
    """Raises a worker's DataError itself, out of what Beam wraps around it."""
    try:
        yield
    except DataError as error:
        found = data_error_in(error)
        if found is None or found is error:
            raise
        raise found from error
    except Exception as error:
        if (found := data_error_in(error)) is not None:
            raise found from error
        raise
