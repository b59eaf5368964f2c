"""StrictExampleValidator: TFX's ExampleValidator, which fails where it finds an anomaly.

ExampleValidator only reports; a model would be trained on anomalous data all the same.
"""

from __future__ import annotations

from typing import Any

from tensorflow_metadata.proto.v0 import anomalies_pb2
from tfx.components import ExampleValidator
from tfx.components.example_validator import executor as example_validator_executor
from tfx.dsl.components.base import executor_spec
from tfx.types import artifact_utils
from tfx.utils import io_utils

from mtfx.errors import DataError


class Executor(example_validator_executor.Executor):
    """Validates as its base class does, then raises if an anomaly is an error."""

    def Do(  # noqa: N802 (TFX's name)
        self,
        input_dict: dict[str, list],
        output_dict: dict[str, list],
        exec_properties: dict[str, Any],
    ):
        """Validates the statistics of every split.

        Raises:
          DataError: naming split, feature and anomaly.
        """
        result = super().Do(input_dict, output_dict, exec_properties)
        artifact = artifact_utils.get_single_instance(output_dict["anomalies"])
        lines: list[str] = []
        for split in artifact_utils.decode_split_names(artifact.split_names):
            uri = artifact_utils.get_split_uri([artifact], split)
            path = f"{uri}/{example_validator_executor.DEFAULT_FILE_NAME}"
            found = anomalies_pb2.Anomalies.FromString(io_utils.read_bytes_file(path))
            lines += describe(found, split)
        if lines:
            raise DataError(
                "the examples do not fit the schema; mend the data, or pass your own --schema:\n"
                + "\n".join(lines)
            )
        return result


class StrictExampleValidator(ExampleValidator):
    """ExampleValidator that fails on anomalies of severity ERROR; components run after it."""

    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)


def describe(anomalies: anomalies_pb2.Anomalies, split: str) -> list[str]:
    """One line per anomaly of severity ERROR: split, feature, what is wrong."""
    infos = dict(anomalies.anomaly_info)
    if anomalies.HasField("dataset_anomaly_info"):
        infos["(the whole split)"] = anomalies.dataset_anomaly_info
    return [
        f"  split {split}, feature {name!r}: {info.short_description} - {info.description}"
        for name, info in sorted(infos.items())
        if info.severity == anomalies_pb2.AnomalyInfo.ERROR
    ]
