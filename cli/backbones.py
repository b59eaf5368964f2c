"""``mtfx backbones``: the models that can be trained, and how their losses may be weighted."""

from __future__ import annotations

import dataclasses
import os
import warnings

import click
from rich.console import Console
from rich.table import Table

from mtfx.models.mtl.config import BackboneConfig
from mtfx.models.sizes import SMALL_BACKBONES


@click.command("backbones")
def backbones_command() -> None:
    """List the multi-task backbones, their sizes, and the loss weightings."""
    # Nothing is computed here, so nothing that importing TensorFlow may say matters.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from mtfx.models.loss_weighting.registry import LOSS_WEIGHTINGS
        from mtfx.models.mtl.registry import BACKBONES

    table = Table(box=None, pad_edge=False)
    for heading in ("name", "what it is", "--model-size paper", "--model-size small"):
        table.add_column(heading, overflow="fold")
    for name, entry in BACKBONES.items():
        table.add_row(
            name,
            entry.description,
            describe_sizes(entry.config()),
            describe_sizes(SMALL_BACKBONES[name]),
        )
    weightings = Table(box=None, pad_edge=False)
    for heading in ("--loss-weighting", "what it is"):
        weightings.add_column(heading, overflow="fold")
    for name, entry in LOSS_WEIGHTINGS.items():
        weightings.add_row(name, entry.description)
    console = Console()
    console.print(table)
    console.print()
    console.print(weightings)


def describe_sizes(config: BackboneConfig) -> str:
    """Layer sizes in one line, such as ``bottom 512-256, tower 128-64, 8 experts``."""
    parts = [
        "bottom " + "-".join(map(str, config.bottom_units)),
        "tower " + "-".join(map(str, config.tower_units)),
    ]
    common = {field.name for field in dataclasses.fields(BackboneConfig)}
    parts += [
        f"{value} {name.removeprefix('num_').replace('_', ' ')}"
        for name, value in dataclasses.asdict(config).items()
        if name not in common
    ]
    return ", ".join(parts)
