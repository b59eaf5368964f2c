"""Data sets: descriptions of what their logs mean, and how logs are read."""

from typing import TYPE_CHECKING

from mtfx.lazy import exports

if TYPE_CHECKING:
    from mtfx.datasets.columns import Column, SideTable
    from mtfx.datasets.history import History
    from mtfx.datasets.registry import DATASETS, load_dataset
    from mtfx.datasets.rewards import RewardConfig
    from mtfx.datasets.spec import DatasetSpec, Feature, SessionRule, Task
    from mtfx.datasets.synthetic import SyntheticConfig, auc_ceiling, synthesize
else:
    __getattr__, __dir__, __all__ = exports(
        __name__,
        {
            "columns": ("Column", "SideTable"),
            "history": ("History",),
            "registry": ("DATASETS", "load_dataset"),
            "rewards": ("RewardConfig",),
            "spec": ("DatasetSpec", "Feature", "SessionRule", "Task"),
            "synthetic": ("SyntheticConfig", "auc_ceiling", "synthesize"),
        },
    )
