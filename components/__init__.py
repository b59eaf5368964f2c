"""TFX components: from raw logs to examples; thin executors over ``datasets``."""

from typing import Any


def __getattr__(name: str) -> Any:
    """The artifact types, by the names that Kubeflow's containers import them by."""
    if name == "Simulator":
        from mtfx.components.artifacts import Simulator

        return Simulator
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
