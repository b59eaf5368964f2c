"""A version of the user's own description of a data set: an input of a run, like a flag.

It holds the sources of its modules (``mtfx.datasets.user_modules``) and what they came to: the
values of the description, whether from the source, from a file or from the environment. Of a
function, such as ``to_impressions``, that is its code and whatever it refers to.

It cannot see what a function reads while it runs, from a file or by a computed name: read that
where the module is imported, into a value.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import hashlib
import os
import pickle
import sys
import types
from collections.abc import Iterator
from typing import Any

from mtfx.datasets.registry import DATASETS, load_dataset
from mtfx.datasets.spec import DatasetSpec
from mtfx.datasets.user_modules import UserModule, is_user_path, user_modules, variables_read

_HEX_DIGITS = 12
_PLAIN = (type(None), bool, int, float, complex, str, bytes)


@functools.cache
def description_version(name: str) -> str:
    """Twelve hexadecimal digits of a user's description; empty for MTFX's own data sets.

    The same for a whole process, like the imported module: an edit counts for the next one.

    Args:
      name: Registry name or ``module:ATTRIBUTE``.

    Raises:
      ValueError: if there is no such data set.
    """
    if name in DATASETS:
        return ""
    spec = load_dataset(name)
    modules = _all_modules(name.partition(":")[0])
    if not modules:
        return ""
    return digest(spec, modules)


def digest(spec: DatasetSpec, modules: dict[str, UserModule]) -> str:
    """First 12 hexadecimal digits of the SHA-256 over modules, variables and values."""
    found = hashlib.sha256()
    for name, module in sorted(modules.items()):
        found.update(f"{name}\0{len(module.source)}\0".encode())
        found.update(module.source)
    names = {name for module in modules.values() for name in variables_read(module)}
    for name in sorted(names):
        found.update(f"{name}={os.environ.get(name)!r}\0".encode(errors="surrogateescape"))
    for part in _Described().of(spec):
        found.update(part.encode(errors="surrogatepass") + b"\0")
    return found.hexdigest()[:_HEX_DIGITS]


def _all_modules(name: str) -> dict[str, UserModule]:
    """Those that sources name, and those that were imported by a computed name."""
    found = user_modules(name)
    waiting = list(found)
    while waiting:
        loaded = sys.modules.get(waiting.pop())
        for value in list(vars(loaded).values()) if loaded else []:
            other = value.__name__ if isinstance(value, types.ModuleType) else None
            other = other or getattr(value, "__module__", None)
            if isinstance(other, str) and other not in found and _is_loaded_user_module(other):
                more = user_modules(other)
                waiting += [added for added in more if added not in found]
                found |= more
    return found


def _is_loaded_user_module(name: str) -> bool:
    path = getattr(sys.modules.get(name), "__file__", None)
    return path is not None and path.endswith(".py") and is_user_path(path)


class _Described:
    """Values as a sequence of texts that two equal values share, in every process."""

    def __init__(self) -> None:
        self._on_the_way: set[int] = set()

    def of(self, value: Any) -> Iterator[str]:
        """The texts of a value."""
        if isinstance(value, _PLAIN) and not isinstance(value, enum.Enum):
            yield f"{type(value).__name__} {value!r}"
            return
        if id(value) in self._on_the_way:
            yield "again"
            return
        self._on_the_way.add(id(value))
        yield f"{type(value).__module__}.{type(value).__qualname__}("
        yield from self._inside(value)
        yield ")"
        self._on_the_way.discard(id(value))

    def _inside(self, value: Any) -> Iterator[str]:
        if isinstance(value, enum.Enum):
            yield value.name
        elif isinstance(value, (list, tuple)):
            for item in value:
                yield from self.of(item)
        elif isinstance(value, (set, frozenset)):
            yield from sorted("\1".join(self.of(item)) for item in value)
        elif isinstance(value, dict):
            pairs = {"\1".join(self.of(key)): item for key, item in value.items()}
            for key in sorted(pairs):
                yield key
                yield from self.of(pairs[key])
        elif dataclasses.is_dataclass(value) and not isinstance(value, type):
            for field in dataclasses.fields(value):
                yield field.name
                yield from self.of(getattr(value, field.name))
        elif isinstance(value, functools.partial):
            yield from self.of((value.func, value.args, value.keywords))
        elif isinstance(value, types.MethodType):
            yield from self.of((value.__func__, value.__self__))
        elif isinstance(value, types.FunctionType):
            yield from self._function(value)
        elif isinstance(value, types.CodeType):
            yield from self._code(value)
        elif isinstance(value, types.ModuleType):
            yield value.__name__
        elif isinstance(value, (type, types.BuiltinFunctionType)):
            yield f"{value.__module__}.{value.__qualname__}"
        elif callable(value) and hasattr(value, "__wrapped__"):
            yield from self.of(value.__wrapped__)
        elif _is_loaded_user_module(type(value).__module__):
            yield from self.of(getattr(value, "__dict__", {}))
        else:
            yield _pickled(value)

    def _function(self, function: types.FunctionType) -> Iterator[str]:
        yield f"{function.__module__}.{function.__qualname__}"
        if not _is_loaded_user_module(function.__module__):
            return
        yield from self.of(function.__code__)
        yield from self.of((function.__defaults__, function.__kwdefaults__))
        for cell in function.__closure__ or ():
            yield from self.of(_content(cell))
        names = _names(function.__code__)
        for name in sorted(names & function.__globals__.keys()):
            value = function.__globals__[name]
            yield name
            if isinstance(value, types.ModuleType) and _is_loaded_user_module(value.__name__):
                held = vars(value)
                yield from self.of({n: held[n] for n in sorted(names & held.keys())})
            else:
                yield from self.of(value)

    def _code(self, code: types.CodeType) -> Iterator[str]:
        # Not the line numbers: what is above a function does not change it.
        yield code.co_name
        yield code.co_code.hex()
        yield from self.of((code.co_names, code.co_varnames, code.co_freevars, code.co_consts))


def _names(code: types.CodeType) -> set[str]:
    """Names that a function and those inside it refer to: globals and attributes."""
    found = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            found |= _names(constant)
    return found


def _content(cell: types.CellType) -> Any:
    """What a function's closure holds; its type for a cell that is still empty."""
    try:
        return cell.cell_contents
    except ValueError:
        return types.CellType


def _pickled(value: Any) -> str:
    """A value of a type that is not known here; what cannot be sent to a worker has no content."""
    try:
        return hashlib.sha256(pickle.dumps(value, protocol=5)).hexdigest()
    except Exception:  # whatever a foreign type raises
        return "not to be pickled"
