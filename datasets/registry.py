"""Names of the data sets; one line for each new one.

A data set of your own needs no line here: every ``--dataset`` also takes ``module:ATTRIBUTE``.
"""

from __future__ import annotations

import importlib
import pathlib
import sys

from mtfx.config import Config
from mtfx.datasets.spec import DatasetSpec
from mtfx.datasets.user_modules import drop_stale_bytecode, user_modules
from mtfx.errors import why_unreadable
from mtfx.files import UNREADABLE, read_json
from mtfx.registry import Entry, Registry

DATASETS: Registry[Entry] = Registry(
    "data set",
    {
        "kuairand": Entry("datasets.kuairand:SPEC", Config, "short videos, KuaiRand's logs"),
        "retailrocket": Entry("datasets.retailrocket:SPEC", Config, "a web shop's visits"),
        "synthetic-video": Entry(
            "datasets.synthetic:VIDEO_SPEC", Config, "KuaiRand's files by `mtfx synthesize`"
        ),
        "synthetic-shop": Entry(
            "datasets.synthetic:SHOP_SPEC", Config, "RetailRocket's files by `mtfx synthesize`"
        ),
    },
)

#: Stands for the synthetic data set of the profile that a directory holds.
SYNTHETIC = "synthetic"
_SYNTHETIC_MANIFEST = "synthetic.json"


def resolve_name(name: str, data_dir: str) -> str:
    """The name of a data set, where ``synthetic`` becomes that of the directory's profile.

    Raises:
      ValueError: if the name is ``synthetic`` and the directory holds no synthetic data set.
    """
    if name != SYNTHETIC:
        return name
    path = pathlib.Path(data_dir, _SYNTHETIC_MANIFEST)
    try:
        profile = read_json(path)["config"]["profile"]
    except UNREADABLE as error:
        raise ValueError(
            f"{data_dir} is no finished synthetic data set: {path} {why_unreadable(error)}"
        ) from error
    return f"{SYNTHETIC}-{profile}"


def load_dataset(name: str) -> DatasetSpec:
    """Returns the spec registered as ``name`` or found at ``module:ATTRIBUTE``.

    Raises:
      ValueError: naming the known data sets, if there is no such one; or a compiled file that is
        in the way of its source.
    """
    if name in DATASETS:
        return DATASETS[name].load()
    module, _, attribute = name.partition(":")
    if not attribute:
        raise ValueError(
            f"unknown data set {name!r}; known: {', '.join(DATASETS)}, "
            "or your own as module:ATTRIBUTE"
        )
    if module not in sys.modules:
        drop_stale_bytecode(user_modules(module))
    try:
        spec = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"cannot load data set {name!r}: {error}{_renamed(error)}") from error
    if not isinstance(spec, DatasetSpec):
        raise ValueError(f"{name} is a {type(spec).__name__}, not a DatasetSpec")
    return spec


def _renamed(error: Exception) -> str:
    """What to write where a description imports MTFX's modules by the names they once had."""
    module = (getattr(error, "name", None) or "").partition(".")[0]
    if module not in ("datasets", "serving", "models", "evaluation"):
        return ""
    return f" (modules of MTFX are imported as mtfx.{module}, such as mtfx.datasets.spec)"
