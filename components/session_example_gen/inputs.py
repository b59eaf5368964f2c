"""The files that SessionExampleGen reads: its cache key looks at those, and no others."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, NamedTuple

from mtfx.components.content_driver import ContentDriver, custom_json
from mtfx.components.session_example_gen.config import SessionExampleGenConfig
from mtfx.datasets.logs import joins, readers
from mtfx.datasets.spec import DatasetSpec
from mtfx.errors import DataError


class InputFiles(NamedTuple):
    """Files of some deliveries.

    Attributes:
      log: Of the interaction log.
      tables: Of each of the data set's side tables, in order.
      past: Of the log of deliveries that are only looked back on.
    """

    log: list[str]
    tables: tuple[list[str], ...]
    past: list[str]

    @property
    def all(self) -> list[str]:
        """Every file that is read."""
        return [*self.log, *self.past, *(path for table in self.tables for path in table)]


def input_files(
    spec: DatasetSpec, base: str, folders: Sequence[str], past: Sequence[str] = ()
) -> InputFiles:
    """Finds the files of deliveries.

    Of a side table with times the files of every delivery are read, of any other the newest one's.

    Args:
      spec: The data set.
      base: Name of the directory that they are in.
      folders: Below it, one per delivery, the last the newest; each may be a pattern.
      past: Likewise, of deliveries that are only looked back on.

    Raises:
      DataError: if one has no log: a window with a hole would pass for a whole one.
    """
    log = [path for folder in folders for path in _log_files(spec, base, folder)]
    earlier = [path for folder in past for path in _log_files(spec, base, folder)]
    tables = []
    for table in spec.side_tables:
        by_delivery = [
            found
            for folder in (*past, *folders)
            if (found := joins.matching_files(base, table, log, folder))
        ]
        taken = by_delivery if table.time is not None else by_delivery[-1:]
        tables.append([path for found in taken for path in found])
    return InputFiles(log, tuple(tables), earlier)


def _log_files(spec: DatasetSpec, base: str, folder: str) -> list[str]:
    found = readers.match_files(base, joins.below(folder, spec.log_files))
    if not found:
        raise DataError(
            f"no log file in {os.path.join(base, folder)}: data set {spec.name!r} reads "
            f"{', '.join(spec.log_files)}"
        )
    return found


def delivery_folders(pattern: str, earlier: Sequence[str]) -> list[str]:
    """The folders that are read, the newest, which the pattern names, last."""
    return [*earlier, os.path.dirname(pattern)]


class Driver(ContentDriver):
    """The driver of SessionExampleGen: looks at logs and side tables of all its deliveries."""

    @classmethod
    def input_paths(cls, base: str, pattern: str, exec_properties: dict[str, Any]) -> list[str]:
        """See the base class."""
        config = SessionExampleGenConfig.from_json(custom_json(exec_properties))
        folders = delivery_folders(pattern, config.earlier)
        return input_files(config.spec(), base, folders, config.history_deliveries).all
