"""Registries: what there is by name, as plain data; an implementation is imported when it is used.

The command line lists names and checks flags by them, so that no registry may import TensorFlow.
"""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Generic, TypeVar

from mtfx.config import Config


@dataclasses.dataclass(frozen=True)
class Entry:
    """Something that a name stands for.

    Attributes:
      target: Where it is implemented, ``module:NAME`` below ``mtfx``; what is registered
        from outside is itself the target.
      config: Class of its configuration, whose defaults are those of its paper.
      summary: One line for ``--help``.
    """

    target: str | Callable[..., Any]
    config: type[Config]
    summary: str

    def load(self) -> Any:
        """What is implemented there. Imports it, and with it TensorFlow."""
        if not isinstance(self.target, str):
            return self.target
        module, _, name = self.target.partition(":")
        return getattr(importlib.import_module(f"mtfx.{module}"), name)


E = TypeVar("E", bound=Entry)


class Registry(Mapping[str, E], Generic[E]):
    """Entries by name, in order.

    Attributes:
      kind: What the entries are, in the words of an error: ``backbone``.
    """

    def __init__(self, kind: str, entries: Mapping[str, E]) -> None:
        self.kind = kind
        self._entries = dict(entries)

    def __getitem__(self, name: str) -> E:
        """The entry of this name; raises ValueError that lists the names if there is none."""
        if name not in self._entries:
            raise ValueError(f"no {self.kind} {name!r}; there are: {', '.join(self._entries)}")
        return self._entries[name]

    def register(self, name: str, entry: E) -> None:
        """Adds an entry from outside, for this process; raises ValueError if the name is taken."""
        if name in self._entries:
            raise ValueError(f"there is a {self.kind} {name!r} already")
        self._entries[name] = entry

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def config(self, name: str, config: Config | None) -> Any:
        """The configuration of an entry: the given one, or its defaults.

        Raises:
          ValueError: if there is no such entry, or the configuration is of another class.
        """
        expected = self[name].config
        if config is None:
            return expected()
        # Exactly this class: a subclass's further fields would be dropped without a word.
        if type(config) is not expected:
            raise ValueError(
                f"{self.kind} {name!r} is configured by {expected.__name__}, "
                f"not by {type(config).__name__}"
            )
        return config
