"""The check of a configuration's keys; apart, so that plain data needs no TensorFlow."""

from __future__ import annotations

import dataclasses
from typing import Any


def check_keys(config_class: type, values: dict[str, Any]) -> None:
    """Raises ValueError naming the keys that are no fields of a config class."""
    known = [field.name for field in dataclasses.fields(config_class)]
    if unknown := sorted(set(values) - set(known)):
        raise ValueError(f"{config_class.__name__} has no {unknown}; it has: {', '.join(known)}")
