"""Public names of a folder, each imported from its module when it is used (PEP 562)."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from typing import Any


def exports(
    folder: str, names: Mapping[str, tuple[str, ...]]
) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """What the ``__init__.py`` of a folder needs so that importing it imports none of its modules.

    Args:
      folder: The importing package, ``__name__`` there.
      names: Public names by module, relative to the folder.

    Returns:
      The package's ``__getattr__``, ``__dir__`` and ``__all__``.
    """
    modules = {name: module for module, listed in names.items() for name in listed}

    def load(name: str) -> Any:
        if name not in modules:
            raise AttributeError(f"module {folder!r} has no attribute {name!r}")
        return getattr(importlib.import_module(f"{folder}.{modules[name]}"), name)

    def names_of_folder() -> list[str]:
        return sorted({*vars(sys.modules[folder]), *modules})

    return load, names_of_folder, sorted(modules)
