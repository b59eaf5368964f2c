"""Beam's flags: it runs here, or on a cluster whose flags are checked before anything starts."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Sequence
from importlib import metadata
from typing import Any, NoReturn

from mtfx.errors import UserError, require

#: Flags without which a runner cannot start, with an example of each.
_REQUIRED = {
    "DataflowRunner": {
        "project": "my-project",
        "region": "europe-west1",
        "temp_location": "gs://my-bucket/tmp",
        "sdk_container_image": "registry.example.com/mtfx:1",
    },
    "FlinkRunner": {"flink_master": "flink-jobmanager:8081", "environment_type": "EXTERNAL"},
    "SparkRunner": {
        "spark_master_url": "spark://spark-master:7077",
        "environment_type": "EXTERNAL",
    },
    "PortableRunner": {"job_endpoint": "job-server:8099", "environment_type": "EXTERNAL"},
}
#: What ``--environment_config`` has to hold; LOOPBACK needs none.
_ENVIRONMENTS = {
    "DOCKER": "registry.example.com/mtfx:1",
    "EXTERNAL": "localhost:50000",
    "PROCESS": '{"command": "/opt/apache/beam/boot"}',
}


def local_beam_args(workers: int = 1, extra: Sequence[str] = ()) -> tuple[str, ...]:
    """Arguments for Beam's runner inside this process, or for the runner that the user names.

    Args:
      workers: Processes that Beam uses on this machine; 1 keeps everything in this process, which
        saves the seconds that a worker takes to start.
      extra: The user's own arguments; with ``--runner`` among them the local runner is left out.

    Raises:
      UserError: if ``workers`` is not positive, or named together with another runner, or if
        ``extra`` holds what Beam does not know or lacks what the runner needs.
    """
    require(workers >= 1, f"--beam-workers must be at least 1, got {workers}")
    if extra:
        check_beam_args(extra)
    if any(argument.startswith("--runner") for argument in extra):
        require(
            workers == 1,
            "--beam-workers is for this machine; the runner in --beam-arg has its own setting",
            "Flink and Spark: --beam-arg=--parallelism=N; Dataflow: --beam-arg=--num_workers=N",
        )
        return (*extra, *_image_of(extra))
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


def _image_of(arguments: Sequence[str]) -> tuple[str, ...]:
    """The image of a cluster's workers, unless it is named.

    TFX otherwise packs itself for them at every stage; whoever names an environment for the workers
    has this project in it, and so has TFX.
    """
    values = dict(
        argument.removeprefix("--").split("=", 1) for argument in arguments if "=" in argument
    )
    if "sdk_container_image" in values:
        return ()
    docker = values.get("environment_type") == "DOCKER"
    image = values.get("environment_config", "unused") if docker else "unused"
    return (f"--sdk_container_image={image}",)


def check_beam_args(arguments: Sequence[str]) -> None:
    """Checks arguments for Beam. Imports Beam, which takes seconds.

    Beam itself only warns of an option that it does not know, and goes on without.

    Args:
      arguments: One flag each, with its value after ``=``.

    Raises:
      UserError: naming the flag that Beam does not know, whose value it cannot read, or that the
        runner needs.
    """
    for argument in arguments:
        require(
            argument.startswith("--"),
            f"--beam-arg {argument!r} does not begin with --",
            "write --beam-arg=--runner=FlinkRunner",
        )
    from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions

    parser: Any = _Parser(allow_abbrev=False, add_help=False)
    for options in dict.fromkeys(PipelineOptions.__subclasses__()):
        options._add_argparse_args(parser)
    values, unknown = parser.parse_known_args(list(arguments))
    _refuse(unknown, parser)
    given = {argument.removeprefix("--").partition("=")[0] for argument in arguments}
    runner = values.runner
    if runner is None:
        return
    known = StandardOptions.KNOWN_RUNNER_NAMES
    require(
        runner in known or "." in runner,
        f"--beam-arg --runner={runner}: Beam has no such runner{_like(runner, known)}",
        f"it has: {', '.join(known)}",
    )
    needed = dict(_REQUIRED.get(runner, {}))
    environment = values.environment_type
    if environment in _ENVIRONMENTS and not values.environment_options:
        needed["environment_config"] = _ENVIRONMENTS[environment]
    missing = {flag: example for flag, example in needed.items() if flag not in given}
    if missing:
        raise UserError(
            f"--beam-arg --runner={runner} needs {', '.join(f'--{flag}' for flag in missing)} too",
            "for example "
            + " ".join(f"--beam-arg=--{flag}={example}" for flag, example in missing.items()),
        )
    if runner == "DataflowRunner":
        location = str(values.temp_location)
        require(
            location.startswith("gs://"),
            f"--beam-arg --temp_location={location} does not begin with gs://",
            "Dataflow's workers read and write it",
        )


def _refuse(unknown: Sequence[str], parser: argparse.ArgumentParser) -> None:
    for argument in unknown:
        flag = argument.partition("=")[0]
        known = [name for name in parser._option_string_actions if name.startswith("--")]
        raise UserError(
            f"--beam-arg {argument}: Beam {metadata.version('apache-beam')} has no option "
            f"{flag}{_like(flag, known)}",
            "Beam would leave it out with a warning and run otherwise than was meant",
        )


def _like(name: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f"; is {close[0]} meant?" if close else ""


class _Parser(argparse.ArgumentParser):
    """Beam's options; raises instead of ending the process."""

    def add_value_provider_argument(self, *names: str, **settings: Any) -> None:
        """An option that Beam's templates fill in later: here one like any other."""
        self.add_argument(*names, **settings)

    def error(self, message: str) -> NoReturn:
        raise UserError(
            f"--beam-arg: {message}", "one flag each, such as --beam-arg=--num_workers=8"
        )
