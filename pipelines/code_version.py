"""Version of the code, a part of every cache key: changed code never reuses results."""

from __future__ import annotations

import functools
import hashlib
from importlib import metadata
from pathlib import Path

PACKAGES = (
    "agents",
    "components",
    "datasets",
    "environments",
    "evaluation",
    "experiments",
    "models",
    "pipelines",
    "serving",
    "trainers",
)

#: Reports are outputs too.
_SOURCES = ("*.py", "*.j2")


@functools.cache
def code_version(packages: tuple[str, ...] = PACKAGES) -> str:
    """The version and a digest of the source, such as ``0.1.0+3f1c9a20b7d4``.

    The digest covers every source and page template of the packages by path and content, so it
    needs no version control and changes with any edit.

    Args:
      packages: Those that a stage's result depends on; an edit elsewhere leaves it cached.
    """
    root = Path(__file__).resolve().parent.parent
    return f"{package_version()}+{digest_of(root, packages)}"


def package_version() -> str:
    """The installed version, or ``0`` for a source tree that is not installed."""
    try:
        return metadata.version("mtfx")
    except metadata.PackageNotFoundError:
        return "0"


def digest_of(root: Path, packages: tuple[str, ...] = PACKAGES) -> str:
    """First 12 hexadecimal digits of the SHA-256 over the packages' sources below ``root``."""
    digest = hashlib.sha256()
    for package in packages:
        found = (path for kind in _SOURCES for path in (root / package).rglob(kind))
        for path in sorted(found):
            content = path.read_bytes()
            name = path.relative_to(root).as_posix()
            digest.update(f"{name}\0{len(content)}\0".encode())
            digest.update(content)
    return digest.hexdigest()[:12]
