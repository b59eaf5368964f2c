"""Keras 2 for the type checker: any name, of any type (its own sources carry no types)."""

from typing import Any

def __getattr__(name: str) -> Any: ...
