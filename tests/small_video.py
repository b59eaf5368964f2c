"""The synthetic video data set with the eight features that tests of the whole pipeline need.

Transform, Trainer and Evaluator take time by the feature, not by the row; `make demo` and the slow
tests run all 36.
"""

import dataclasses

from mtfx.datasets.history import History
from mtfx.datasets.synthetic import VIDEO_SPEC

_FEATURES = (
    "user_id",
    "item_id",
    "tag",
    "tab",
    "hour",
    "duration_ms",
    "user_active_degree",
    "onehot_feat3",
)

SPEC = dataclasses.replace(
    VIDEO_SPEC,
    features=tuple(f for f in VIDEO_SPEC.features if f.name in _FEATURES),
    slices=("tab",),
    history=History(),
)
