"""Synthetic logs with a known ground truth; see ``docs/synthetic-data.md``.

The two profiles have the files, columns and label rates of KuaiRand and RetailRocket, so that the
same specs read them.
"""

import dataclasses

from mtfx.datasets import kuairand, retailrocket
from mtfx.datasets.synthetic.config import PUBLISHED, SyntheticConfig, default_items, default_users
from mtfx.datasets.synthetic.synthesis import SynthesisSummary, synthesize
from mtfx.datasets.synthetic.truth import auc_ceiling

VIDEO_SPEC = dataclasses.replace(
    kuairand.SPEC,
    name="synthetic-video",
    title="Synthetic short video in KuaiRand's layout, with a known ground truth",
    known_files=(),
    source="mtfx synthesize --profile video",
)
SHOP_SPEC = dataclasses.replace(
    retailrocket.SPEC,
    name="synthetic-shop",
    title="Synthetic web shop in RetailRocket's layout, with a known ground truth",
    known_files=(),
    source="mtfx synthesize --profile shop",
)

__all__ = [
    "PUBLISHED",
    "SHOP_SPEC",
    "VIDEO_SPEC",
    "SynthesisSummary",
    "SyntheticConfig",
    "auc_ceiling",
    "default_items",
    "default_users",
    "synthesize",
]
