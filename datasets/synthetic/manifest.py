"""``synthetic.json``: what a finished data set is, so that it is neither overwritten nor redone."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import polars as pl

from mtfx.datasets.synthetic.config import SyntheticConfig
from mtfx.datasets.synthetic.files import WrittenFile
from mtfx.files import read_json, write_json

FILE_NAME = "synthetic.json"
#: Raised when the user model or a file layout changes, so that old data sets differ from new.
GENERATOR_VERSION = 2


@dataclasses.dataclass(frozen=True)
class Manifest:
    """A finished data set.

    Attributes:
      config: What was asked for.
      files: What was written.
      users: Users with an impression.
      items: Items shown at least once.
      rates: Share of the standard impressions (or views) with each feedback.
    """

    config: SyntheticConfig
    files: tuple[WrittenFile, ...]
    users: int
    items: int
    rates: dict[str, float]


def write_manifest(directory: Path, manifest: Manifest) -> None:
    """Writes ``synthetic.json`` with the versions of what made the data set."""
    content = {
        "generator_version": GENERATOR_VERSION,
        "versions": {"numpy": np.__version__, "polars": pl.__version__},
        **dataclasses.asdict(manifest),
    }
    write_json(directory / FILE_NAME, content, indent=2)


def read_manifest(directory: Path, config: SyntheticConfig) -> Manifest | None:
    """The manifest at ``directory`` if it is a finished data set of ``config``.

    Returns:
      None if the directory is missing or empty.

    Raises:
      ValueError: if anything else is there, saying what.
    """
    if directory.is_file():
        raise ValueError(f"{directory} is a file; name a directory for the synthetic data")
    if not directory.exists() or not any(directory.iterdir()):
        return None
    path = directory / FILE_NAME
    advice = "choose another directory or empty this one"
    if not path.is_file():
        raise ValueError(f"{directory} is not empty and holds no {FILE_NAME}: {advice}")
    try:
        content = read_json(path)
        found, version = content["config"], content["generator_version"]
        files = tuple(WrittenFile(**file) for file in content["files"])
        manifest = Manifest(config, files, content["users"], content["items"], content["rates"])
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is not a manifest of this program ({error}): {advice}") from error
    wanted = dataclasses.asdict(config)
    different = sorted(name for name in wanted if found.get(name) != wanted[name])
    if different or version != GENERATOR_VERSION:
        changes = [f"{n}={found.get(n)!r} instead of {wanted[n]!r}" for n in different]
        if version != GENERATOR_VERSION:
            changes.append(f"generator version {version} instead of {GENERATOR_VERSION}")
        raise ValueError(f"{directory} holds other synthetic data ({', '.join(changes)}): {advice}")
    for file in files:
        held = directory / file.name
        if not held.is_file() or held.stat().st_size != file.size:
            raise ValueError(f"{held} is missing or was changed since it was written: {advice}")
    return manifest
