"""StrictDistributionValidator: TFX's DistributionValidator, which fails where it finds a shift.

DistributionValidator only reports; a model would be trained on the shifted data all the same.
"""

from __future__ import annotations

import os
from typing import Any

from tensorflow_metadata.proto.v0 import anomalies_pb2
from tfx.components import DistributionValidator
from tfx.components.distribution_validator import executor as validator_executor
from tfx.dsl.components.base import executor_spec
from tfx.proto.orchestration import execution_result_pb2
from tfx.types import artifact_utils

from datasets.errors import DataError


class Executor(validator_executor.Executor):
    """Validates as its base class does, then raises if a distribution moved too far."""

    def Do(  # noqa: N802 (TFX's name)
        self,
        input_dict: dict[str, list],
        output_dict: dict[str, list],
        exec_properties: dict[str, Any],
    ) -> execution_result_pb2.ExecutorOutput:
        """Compares the statistics; without a baseline it passes everything, as its base class.

        Raises:
          DataError: naming split, column and how far it moved.
        """
        result = super().Do(input_dict, output_dict, exec_properties)
        artifact = artifact_utils.get_single_instance(output_dict["anomalies"])
        lines: list[str] = []
        for pair in artifact_utils.decode_split_names(artifact.split_names or "[]"):
            path = os.path.join(
                artifact.uri, f"SplitPair-{pair}", validator_executor.DEFAULT_FILE_NAME
            )
            with open(path, "rb") as file:
                lines += describe(anomalies_pb2.Anomalies.FromString(file.read()), pair)
        if lines:
            raise DataError(
                "the data moved too far from those before; look at where they come from, and allow "
                "more with --drift-threshold if the world has changed:\n" + "\n".join(lines)
            )
        return result


class StrictDistributionValidator(DistributionValidator):
    """DistributionValidator that fails on any shift; components run after it."""

    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)


def describe(anomalies: anomalies_pb2.Anomalies, pair: str) -> list[str]:
    """One line per shift: the pair of splits, the column, what moved."""
    infos = {
        ".".join(info.path.step) or name: info for name, info in anomalies.anomaly_info.items()
    }
    lines = [
        f"  splits {pair}, column {name!r}: {reason.short_description} - {reason.description}"
        for name, info in sorted(infos.items())
        for reason in info.reason
    ]
    return lines + [
        f"  splits {pair}, number of sessions: {reason.short_description} - {reason.description}"
        for reason in anomalies.dataset_anomaly_info.reason
    ]
