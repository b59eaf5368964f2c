"""Artifact types of MTFX that TFX itself does not have."""

from __future__ import annotations

from tfx.types import artifact


class Simulator(artifact.Artifact):
    """A world as ``mtfx.environments.simulator.world.save_world`` writes it, and its report.

    ``report/index.html`` and ``report/report.json`` compare it with the log;
    ``saved_model`` is the same for programs without this project.
    """

    # Kubeflow's containers import the class by its type's name, which may have one dot only.
    TYPE_NAME = "components.Simulator"
