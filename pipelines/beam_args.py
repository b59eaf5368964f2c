"""How Beam runs on this machine."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import metadata

from pipelines.errors import require


def local_beam_args(workers: int = 1, extra: Sequence[str] = ()) -> tuple[str, ...]:
    """Arguments for Beam's runner inside this process, or for the runner that the user names.

    Args:
      workers: Processes that Beam uses on this machine; 1 keeps everything in this process, which
        saves the seconds that a worker takes to start.
      extra: The user's own arguments; with ``--runner`` among them the local runner is left out.

    Raises:
      UserError: if ``workers`` is not positive, or named together with another runner.
    """
    require(workers >= 1, f"--beam-workers must be at least 1, got {workers}")
    if any(argument.startswith("--runner") for argument in extra):
        require(
            workers == 1,
            "--beam-workers is for this machine; the runner in --beam-arg has its own setting",
            "Flink and Spark: --beam-arg=--parallelism=N; Dataflow: --beam-arg=--num_workers=N",
        )
        return tuple(extra)
    arguments = [
        "--runner=DirectRunner",
        # Beam 2.74 otherwise tries its Prism runner first, a program which it downloads. The
        # installed version is compatible with itself, so this changes nothing else.
        f"--update_compatibility_version={metadata.version('apache-beam')}",
        # TFX packs itself for remote workers at every stage, some seconds each, unless Beam is told
        # of an image that holds it. Local workers share this environment and use none.
        "--sdk_container_image=unused",
    ]
    if workers > 1:
        arguments += ["--direct_running_mode=multi_processing", f"--direct_num_workers={workers}"]
    return (*arguments, *extra)
