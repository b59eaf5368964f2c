"""Runs a compiled pipeline spec as Kubeflow's backend does, one container's command after another.

The backend gives every container its inputs as an ``ExecutorInput`` in place of ``{{$}}`` and reads
an ``ExecutorOutput`` from the file that this names; here the command's arguments go to its
entry point in this process, and the bucket is a directory. No driver runs before a
container, and nothing is known of earlier runs but what lies in the bucket, as on a cluster.
"""

import json
from pathlib import Path
from typing import Any

from mtfx.components.cluster import entry_point

ENTRY_POINT = ["python", "-m", entry_point.__name__]


class Backend:
    """A bucket, and the runs in it."""

    def __init__(self, address: str, directory: Path):
        """Takes the bucket's address in specs, and the directory that it really is."""
        self._address, self._directory = address, directory
        self._runs = 0

    def run(self, spec: dict[str, Any], **arguments: Any) -> dict[str, dict[str, Any]]:
        """Runs a spec.

        Args:
          spec: The pipeline spec, as JSON types.
          arguments: Values of its runtime parameters.

        Returns:
          By ``stage.output``, the runtime artifact.
        """
        self._runs += 1
        here = json.loads(json.dumps(spec).replace(self._address, str(self._directory)))
        given = {
            name: arguments.get(name, parameter.get("defaultValue"))
            for name, parameter in here["root"]["inputDefinitions"]["parameters"].items()
        }
        missing = [name for name, value in given.items() if value is None]
        assert not missing, f"no value for {missing}"
        artifacts: dict[str, dict[str, Any]] = {}
        for name in _in_order(here["root"]["dag"]["tasks"]):
            task = here["root"]["dag"]["tasks"][name]
            component = here["components"][task["componentRef"]["name"]]
            executor = here["deploymentSpec"]["executors"][component["executorLabel"]]
            inputs = _inputs(task, given, artifacts)
            if "importer" in executor:
                made = _imported(executor["importer"], component, inputs["parameterValues"])
            else:
                directory = self._directory / f"run-{self._runs}" / name
                made = _contained(executor["container"], component, inputs, directory)
            artifacts |= {f"{name}.{key}": artifact for key, artifact in made.items()}
        return artifacts


def _in_order(tasks: dict[str, Any]) -> list[str]:
    ordered: list[str] = []
    while len(ordered) < len(tasks):
        ready = [n for n in sorted(tasks) if n not in ordered and _needs(tasks[n]) <= {*ordered}]
        assert ready, "the tasks wait for each other"
        ordered += ready
    return ordered


def _needs(task: dict[str, Any]) -> set[str]:
    sources = task.get("inputs", {}).get("artifacts", {}).values()
    produced = {source["taskOutputArtifact"]["producerTask"] for source in sources}
    return produced | set(task.get("dependentTasks", ()))


def _inputs(task, given, artifacts) -> dict[str, Any]:
    wanted = task.get("inputs", {})
    values = {
        name: given[source["componentInputParameter"]]
        if "componentInputParameter" in source
        else source["runtimeValue"]["constant"]
        for name, source in wanted.get("parameters", {}).items()
    }
    found = {}
    for name, source in wanted.get("artifacts", {}).items():
        output = source["taskOutputArtifact"]
        artifact = artifacts[f"{output['producerTask']}.{output['outputArtifactKey']}"]
        found[name] = {"artifacts": [artifact]}
    return {"parameterValues": values, "artifacts": found}


def _imported(importer, component, values) -> dict[str, Any]:
    [key] = component["outputDefinitions"]["artifacts"]
    uri = values[importer["artifactUri"]["runtimeParameter"]]
    artifact = {"name": key, "uri": uri, "type": importer["typeSchema"]}
    return {key: {**artifact, "metadata": importer.get("metadata", {})}}


def _contained(container, component, inputs, directory: Path) -> dict[str, Any]:
    assert container["command"] == ENTRY_POINT
    outputs = {
        key: {
            "name": key,
            "uri": str(directory / key),
            "type": definition["artifactType"],
            "metadata": definition.get("metadata", {}),
        }
        for key, definition in component["outputDefinitions"]["artifacts"].items()
    }
    file = directory / "output_metadata.json"
    executor_input = {
        "inputs": inputs,
        "outputs": {
            "artifacts": {key: {"artifacts": [value]} for key, value in outputs.items()},
            "outputFile": str(file),
        },
    }
    text = json.dumps(executor_input)
    arguments = [argument.replace("{{$}}", text) for argument in container["args"]]
    entry_point.main(entry_point.parse_flags(arguments))
    for key, written in json.loads(file.read_text()).get("artifacts", {}).items():
        [artifact] = written["artifacts"]
        outputs[key]["uri"] = artifact.get("uri", outputs[key]["uri"])
        outputs[key]["metadata"] = {**outputs[key]["metadata"], **artifact.get("metadata", {})}
    return outputs
