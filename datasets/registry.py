"""Names of the data sets; one line for each new one.

A data set of your own needs no line here: every ``--dataset`` also takes ``module:ATTRIBUTE``.
"""

from __future__ import annotations

import importlib

from datasets.spec import DatasetSpec

DATASETS: dict[str, str] = {
    "kuairand": "datasets.kuairand:SPEC",
    "retailrocket": "datasets.retailrocket:SPEC",
    "synthetic-video": "datasets.synthetic:VIDEO_SPEC",
    "synthetic-shop": "datasets.synthetic:SHOP_SPEC",
}


def load_dataset(name: str) -> DatasetSpec:
    """Returns the spec registered as ``name`` or found at ``module:ATTRIBUTE``.

    Raises:
      ValueError: naming the known data sets, if there is no such one.
    """
    path = DATASETS.get(name, name)
    module, _, attribute = path.partition(":")
    if not attribute:
        raise ValueError(
            f"unknown data set {name!r}; known: {', '.join(DATASETS)}, "
            "or your own as module:ATTRIBUTE"
        )
    try:
        spec = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"cannot load data set {name!r}: {error}") from error
    if not isinstance(spec, DatasetSpec):
        raise ValueError(f"{path} is a {type(spec).__name__}, not a DatasetSpec")
    return spec
