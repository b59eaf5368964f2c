"""The logs of served requests that are read: those are what the cache key looks at."""

from __future__ import annotations

import os
from typing import Any

from mtfx.components.content_driver import ContentDriver, custom_json
from mtfx.components.interaction_gen.config import ServedInteractionConfig
from mtfx.datasets.logs import readers
from mtfx.errors import DataError


class ServedDriver(ContentDriver):
    """The driver of ServedInteractionGen: looks at the files of all its deliveries."""

    @classmethod
    def input_paths(cls, base: str, pattern: str, exec_properties: dict[str, Any]) -> list[str]:
        """The files of earlier deliveries, oldest first, and of the one that the pattern names.

        Raises:
          DataError: if one of them has none.
        """
        config = ServedInteractionConfig.from_json(custom_json(exec_properties))
        name = os.path.basename(pattern)
        paths: list[str] = []
        for wanted in (*(os.path.join(folder, name) for folder in config.earlier), pattern):
            found = readers.match_files(base, (wanted,))
            if not found:
                raise DataError(f"no log of served requests in {base} matches {wanted}")
            paths += found
        return paths
