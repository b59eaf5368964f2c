"""Fingerprint of the log's files that a world is built from, beside the ranking run's outputs."""

from __future__ import annotations

import os

from mtfx.datasets.fingerprint import fingerprint
from mtfx.datasets.logs import joins, readers
from mtfx.datasets.spec import DatasetSpec
from mtfx.datasets.synthetic.manifest import FILE_NAME as SYNTHETIC_MANIFEST


def world_fingerprint(spec: DatasetSpec, data_dir: str) -> str:
    """Of the log of random exposures with its side tables, and of a synthetic data set's manifest.

    Args:
      spec: The data set.
      data_dir: Directory of its files.

    Raises:
      DataError: if a file cannot be read.
    """
    patterns = spec.random_log_files
    paths = log = readers.match_files(data_dir, patterns) if patterns else []
    if log:
        tables = [joins.matching_files(data_dir, table, log) for table in spec.side_tables]
        paths = [*log, *(path for table in tables for path in table)]
    manifest = os.path.join(data_dir, SYNTHETIC_MANIFEST)
    if os.path.isfile(manifest):
        paths = [*paths, manifest]
    return fingerprint(paths, data_dir)
