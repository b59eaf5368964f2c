"""Artifact types of MTFX that TFX itself does not have."""

from __future__ import annotations

from tfx.types import artifact


class Simulator(artifact.Artifact):
    """A world: a directory that ``environments.simulator.world.save_world`` wrote."""

    TYPE_NAME = "Simulator"
