"""``mtfx backbones``: the models that can be trained, and how their losses may be weighted."""

from __future__ import annotations

import dataclasses

import click
from rich.console import Console
from rich.table import Table

from mtfx.models.loss_weighting.registry import LOSS_WEIGHTINGS
from mtfx.models.mtl.registry import BACKBONES, BackboneConfig


@click.command("backbones")
def backbones_command() -> None:
    """List the multi-task backbones, their sizes, and the loss weightings."""
    table = Table(box=None, pad_edge=False)
    for heading in ("name", "what it is", "--model-size paper", "--model-size small"):
        table.add_column(heading, overflow="fold")
    for name, entry in BACKBONES.items():
        table.add_row(
            name,
            entry.summary,
            describe_sizes(entry.config()),
            describe_sizes(entry.small),
        )
    weightings = Table(box=None, pad_edge=False)
    for heading in ("--loss-weighting", "what it is"):
        weightings.add_column(heading, overflow="fold")
    for name, entry in LOSS_WEIGHTINGS.items():
        weightings.add_row(name, entry.summary)
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
