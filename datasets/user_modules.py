"""The modules that a user's description of a data set is made of: its own and all it imports.

They are found by reading their sources, so that an import inside a function counts as well. The
standard library, installed packages and MTFX itself are no part of it: MTFX has a version of its
own (``mtfx.pipelines.code_version``), and an installed package is changed by installing another.
"""

from __future__ import annotations

import ast
import importlib.machinery
import importlib.util
import os
import site
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import mtfx

_OURS = Path(mtfx.__file__).resolve().parent


class UserModule(NamedTuple):
    """A module of the user's.

    Attributes:
      name: As it is imported.
      path: Its source.
      source: What is in it.
    """

    name: str
    path: Path
    source: bytes


def user_modules(name: str) -> dict[str, UserModule]:
    """A module and all that it imports, by name; empty if it is none of the user's.

    Nothing is imported. Of a package ``a.b`` the ``__init__`` of ``a`` counts too, as it runs.

    Args:
      name: Of a module that can be imported, such as ``my_shop``.
    """
    found: dict[str, UserModule] = {}
    waiting = [name]
    while waiting:
        wanted = waiting.pop()
        for part in _with_parents(wanted):
            if part in found or (module := _find(part)) is None:
                continue
            found[part] = module
            waiting += imported_names(module)
    return found


def imported_names(module: UserModule) -> list[str]:
    """Names that may be modules, of every import statement in a module, relative ones resolved."""
    try:
        tree = ast.parse(module.source)
    except (SyntaxError, ValueError):
        # Python itself says so, when it imports the module.
        return []
    package = module.name if module.path.stem == "__init__" else module.name.rpartition(".")[0]
    names: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = package.split(".")
                parents = parents[: len(parents) - node.level + 1]
                base = ".".join([*parents, *filter(None, [node.module])])
            names += [base, *(f"{base}.{alias.name}" for alias in node.names)]
    return [name for name in names if name]


def variables_read(module: UserModule) -> set[str]:
    """Environment variables that a module names as it reads them: ``os.environ["X"]`` and such."""
    try:
        tree = ast.parse(module.source)
    except (SyntaxError, ValueError):
        return set()
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Subscript) and _ends_in(node.value, "environ"):
            argument: ast.expr | None = node.slice
        elif isinstance(node, ast.Call) and (
            _ends_in(node.func, "getenv")
            or (isinstance(node.func, ast.Attribute) and _ends_in(node.func.value, "environ"))
        ):
            argument = node.args[0] if node.args else None
        else:
            continue
        if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
            found.add(argument.value)
    return found


def drop_stale_bytecode(modules: dict[str, UserModule]) -> None:
    """Removes compiled files that are not of their source, which Python would run in its place.

    Python compares times in seconds and sizes: of two edits within a second, or a copy that keeps
    its time, it may take the compiled file of the former.

    Raises:
      ValueError: if one cannot be removed.
    """
    for module in modules.values():
        if (compiled := _stale(module)) is None:
            continue
        try:
            compiled.unlink(missing_ok=True)
        except OSError as error:
            raise ValueError(
                f"{compiled} is not compiled from what {module.path} holds now, and cannot be "
                f"removed ({error.strerror}): remove it"
            ) from error


def is_user_path(path: str | os.PathLike[str]) -> bool:
    """Whether a source is neither MTFX's nor of the standard library nor installed."""
    resolved = Path(path).resolve()
    return not any(resolved.is_relative_to(folder) for folder in _foreign_folders())


def _stale(module: UserModule) -> Path | None:
    """The module's compiled file, if Python could read it and it is of another source."""
    try:
        compiled = Path(importlib.util.cache_from_source(str(module.path)))
        if not compiled.is_file():
            return None
        loader = importlib.machinery.SourcelessFileLoader(module.name, str(compiled))
        held = loader.get_code(module.name)
        code = compile(module.source, str(module.path), "exec", dont_inherit=True)
    except (OSError, ImportError, EOFError, ValueError, SyntaxError, NotImplementedError):
        # Python does not take it either, or says what is wrong with the source.
        return None
    return None if held == code else compiled


def _with_parents(name: str) -> Iterator[str]:
    parts = name.split(".")
    for end in range(1, len(parts) + 1):
        yield ".".join(parts[:end])


def _find(name: str) -> UserModule | None:
    """The user's module of a name, found as Python would, without running its parents."""
    path: list[str] | None = None
    spec = None
    for part in _with_parents(name):
        finders = (finder.find_spec(part, path) for finder in sys.meta_path)
        spec = next(filter(None, finders), None)
        if spec is None:
            return None
        path = list(spec.submodule_search_locations or [])
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        return None
    if not is_user_path(spec.origin):
        return None
    origin = Path(spec.origin)
    return UserModule(name, origin, origin.read_bytes())


def _foreign_folders() -> list[Path]:
    names = [sysconfig.get_path(kind) for kind in ("stdlib", "platstdlib", "purelib", "platlib")]
    names += [*site.getsitepackages(), site.getusersitepackages()]
    installed = [Path(name).resolve() for name in names]
    # In a checkout its folders are links.
    ours = [_OURS, *(folder.resolve() for folder in _OURS.iterdir() if folder.is_dir())]
    return [*installed, *ours]


def _ends_in(node: ast.expr, name: str) -> bool:
    if isinstance(node, ast.Name):
        return node.id == name
    return isinstance(node, ast.Attribute) and node.attr == name
