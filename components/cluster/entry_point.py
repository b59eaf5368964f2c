"""The entry point of a container: TFX's, with artifacts where Kubeflow's launcher puts them.

The launcher copies a container's input artifacts to local paths beforehand, and what it finds at
its outputs' local paths to their addresses afterwards (``LocalPathForURI`` in
``backend/src/v2/component/launcher_v2.go``; Vertex mounts the same paths). TFX hands executors the
addresses instead, which only those can read that do all their reading through TensorFlow's file
system. Beam's executors do, and their workers, which may be other machines, see no local path.

``python -m`` of this module also selects Keras 2 before TFX imports TensorFlow.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable
from typing import Any

from absl import app
from tfx.dsl.components.base import base_beam_executor
from tfx.orchestration.kubeflow.v2 import compiler_utils
from tfx.orchestration.kubeflow.v2.container import kubeflow_v2_run_executor
from tfx.utils import import_utils, name_utils

from mtfx.components.artifacts import Simulator

#: Local directories by the beginning of addresses, as the launcher has them.
LOCAL_ROOTS = {"gs://": "/gcs/", "s3://": "/s3/", "minio://": "/minio/"}

# TFX imports a class of artifacts that is not its own by its type's name, where it is not told
# better; the name has one dot, the module more.
compiler_utils.TITLE_TO_CLASS_PATH[str(Simulator.TYPE_NAME)] = name_utils.get_full_name(Simulator)


def main(parsed: tuple[argparse.Namespace, list[str]]) -> None:
    """Runs one executor.

    Args:
      parsed: TFX's flags, and the rest of the command line, which is Beam's.
    """
    arguments, _ = parsed
    executor = import_utils.import_class_by_path(arguments.executor_class_path)
    if issubclass(executor, base_beam_executor.BaseBeamExecutor):
        kubeflow_v2_run_executor.main(parsed)
        return
    executor_input = json.loads(arguments.json_serialized_invocation_args)
    for side in ("inputs", "outputs"):
        for artifacts in executor_input.get(side, {}).get("artifacts", {}).values():
            for artifact in artifacts["artifacts"]:
                artifact["uri"] = to_local(artifact["uri"])
    arguments.json_serialized_invocation_args = json.dumps(executor_input)
    kubeflow_v2_run_executor.main(parsed)
    output_file = executor_input["outputs"]["outputFile"]
    with open(output_file) as file:
        written = json.load(file)
    with open(output_file, "w") as file:
        json.dump(_map_strings(written, to_address), file)


def to_local(address: str) -> str:
    """The local path of an address; other texts stay as they are."""
    for scheme, root in LOCAL_ROOTS.items():
        if address.startswith(scheme):
            return root + address.removeprefix(scheme)
    return address


def to_address(path: str) -> str:
    """The inverse of :func:`to_local`."""
    for scheme, root in LOCAL_ROOTS.items():
        if path.startswith(root):
            return scheme + path.removeprefix(root)
    return path


def _map_strings(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {name: _map_strings(item, change) for name, item in value.items()}
    if isinstance(value, list):
        return [_map_strings(item, change) for item in value]
    return value


def parse_flags(argv: list[str]) -> tuple[argparse.Namespace, list[str]]:
    """TFX's flags, and the rest."""
    return kubeflow_v2_run_executor._parse_flags(argv)


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")
    app.run(main, flags_parser=parse_flags)
