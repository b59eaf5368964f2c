"""Artifact types of MTFX that TFX itself does not have."""

from __future__ import annotations

from tfx.types import artifact


class Simulator(artifact.Artifact):
    """A world as ``mtfx.environments.simulator.world.save_world`` writes it, and its report.

    ``report/index.html`` and ``report/report.json`` compare it with the log;
    ``saved_model`` is the same for programs without this project.
    """

    # Kubeflow takes names with one dot only. Its containers find the class by
    # ``mtfx.components.cluster.entry_point``.
    TYPE_NAME = "components.Simulator"
