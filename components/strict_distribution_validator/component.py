"""StrictDistributionValidator: TFX's DistributionValidator, which fails where it finds a shift.

DistributionValidator only reports; a model would be trained on the shifted data all the same. Its
thresholds are fixed, while what two samples of one distribution show hangs on their sizes: here the
bars are set from the statistics that are compared. TFDV's divergence of numbers is not taken, as
the cells of its histograms hang on the largest value, which moves a heavy-tailed column's by 0.1
and more between two ordinary days; nor is its change of a share for labels, as it overlooks that a
rare one is gone. :mod:`mtfx.components.strict_distribution_validator.comparison` has both.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
from typing import Any, ClassVar

import tensorflow_data_validation as tfdv
from absl import logging
from tensorflow_metadata.proto.v0 import anomalies_pb2
from tfx.components import DistributionValidator
from tfx.components.distribution_validator import executor as validator_executor
from tfx.components.statistics_gen import stats_artifact_utils
from tfx.dsl.components.base import base_component, executor_spec
from tfx.proto import distribution_validator_pb2
from tfx.proto.orchestration import execution_result_pb2
from tfx.types import artifact_utils, standard_artifacts, standard_component_specs
from tfx.types.channel import BaseChannel, Channel
from tfx.types.component_spec import ExecutionParameter
from tfx.utils import json_utils

from mtfx.components.strict_distribution_validator.comparators import validator_config
from mtfx.components.strict_distribution_validator.comparison import (
    CheckedFigure,
    compare,
    share_bars,
)
from mtfx.components.strict_distribution_validator.config import ComparisonPlan
from mtfx.components.strict_distribution_validator.sample import Sample
from mtfx.errors import DataError

#: In the artifact's directory: every comparison of the last run.
COMPARISONS = "comparisons.json"
_PLAN = "plan"
_SPLIT = "train"


class Executor(validator_executor.Executor):
    """Sets the bars, validates as its base class does, and raises if something moved too far."""

    def Do(  # noqa: N802 (TFX's name)
        self,
        input_dict: dict[str, list],
        output_dict: dict[str, list],
        exec_properties: dict[str, Any],
    ) -> execution_result_pb2.ExecutorOutput:
        """Compares the statistics; without a baseline it passes everything, as its base class.

        Raises:
          DataError: naming the column, how far it moved, and its bar.
        """
        plan = ComparisonPlan.from_json(exec_properties[_PLAN])
        baseline = input_dict[standard_component_specs.BASELINE_STATISTICS_KEY]
        if not baseline:
            return super().Do(input_dict, output_dict, exec_properties)
        statistics = input_dict[standard_component_specs.STATISTICS_KEY]
        now, before = (
            Sample(
                stats_artifact_utils.load_statistics(artifact_utils.get_single_instance(a), _SPLIT)
                .proto()
                .datasets[0]
            )
            for a in (statistics, baseline)
        )
        splits = [
            artifact_utils.decode_split_names(artifact_utils.get_single_instance(a).split_names)
            for a in (statistics, baseline)
        ]
        if splits[0] != splits[1]:
            # Earlier releases compared the part of a day that is its split "train".
            logging.warning(
                "the earlier day's statistics are of a part of it: its size, hours and "
                "times are not compared"
            )
            columns = {name: kind for name, kind in plan.columns.items() if kind != "hour"}
            plan = dataclasses.replace(plan, columns=columns, volume=False)
        by_bar = share_bars(plan, (now, before))
        config = distribution_validator_pb2.DistributionValidatorConfig()
        for bar, names in by_bar.items():
            config.MergeFrom(validator_config(names, bar))
        properties = {
            **exec_properties,
            standard_component_specs.DISTRIBUTION_VALIDATOR_CONFIG_KEY: config,
        }
        result = super().Do(input_dict, output_dict, properties)
        artifact = artifact_utils.get_single_instance(output_dict["anomalies"])
        path = os.path.join(
            artifact.uri, f"SplitPair-{_SPLIT}_{_SPLIT}", validator_executor.DEFAULT_FILE_NAME
        )
        with open(path, "rb") as file:
            anomalies = anomalies_pb2.Anomalies.FromString(file.read())
        found = [*shares_of(anomalies), *compare(plan, now, before)]
        _write(artifact.uri, found)
        compared = {comparison.column for comparison in found}
        if lacking := sorted(set(plan.columns) - compared):
            logging.warning("no statistics to compare these columns by: %s", ", ".join(lacking))
        if lines := [f"  column {c.describe()}" for c in found if c.refused]:
            raise DataError(
                "the data moved too far from those before; look at where they come from, and allow "
                "more if the world has changed:\n" + "\n".join(lines)
            )
        return result


class _Spec(standard_component_specs.DistributionValidatorSpec):
    PARAMETERS: ClassVar[dict] = {
        **standard_component_specs.DistributionValidatorSpec.PARAMETERS,
        _PLAN: ExecutionParameter(type=str),
    }


class StrictDistributionValidator(DistributionValidator):
    """DistributionValidator that fails on any shift; components run after it."""

    SPEC_CLASS = _Spec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self, statistics: BaseChannel, baseline_statistics: BaseChannel, plan: ComparisonPlan
    ):
        """Construct the component.

        Args:
          statistics: ExampleStatistics whose split ``train`` is judged.
          baseline_statistics: Those it is compared with.
          plan: What is compared, and how far it may move.
        """
        spec = _Spec(
            statistics=statistics,
            baseline_statistics=baseline_statistics,
            distribution_validator_config=distribution_validator_pb2.DistributionValidatorConfig(),
            include_split_pairs=json_utils.dumps([(_SPLIT, _SPLIT)]),
            anomalies=Channel(type=standard_artifacts.ExampleAnomalies),
            plan=plan.to_json(),
        )
        base_component.BaseComponent.__init__(self, spec=spec)


def statistics_options() -> tfdv.StatsOptions:
    """Of StatisticsGen, for what is compared: quantiles close enough for cells of 5%.

    So many values are counted exactly; of more, users of a large service, TFDV's sketch gives upper
    bounds, and the sample is taken to be smaller than it is.
    """
    return tfdv.StatsOptions(
        num_quantiles_histogram_buckets=200, epsilon=0.001, num_rank_histogram_buckets=20_000
    )


def shares_of(anomalies: anomalies_pb2.Anomalies) -> list[CheckedFigure]:
    """TFDV's comparisons of shares, and what it could not compare."""
    found = [
        CheckedFigure(
            ".".join(info.path.step),
            "change of the share",
            measured.value,
            measured.threshold,
            measured.value > measured.threshold,
            flag="--drift-threshold",
        )
        for info in anomalies.drift_skew_info
        for measured in info.drift_measurements
    ]
    known = {comparison.column for comparison in found}
    for name, info in anomalies.anomaly_info.items():
        column = ".".join(info.path.step) or name
        reasons = "; ".join(reason.description for reason in info.reason)
        if column not in known:
            found.append(CheckedFigure(column, "change of the share", math.inf, 1.0, True, reasons))
            continue
        found = [dataclasses.replace(c, detail=reasons) if c.column == column else c for c in found]
    return found


def read_comparisons(uri: str) -> list[CheckedFigure]:
    """The comparisons of a run, the nearest to its bar first; none where there was no baseline."""
    path = os.path.join(uri, COMPARISONS)
    if not os.path.exists(path):
        return []
    with open(path) as file:
        found = [CheckedFigure(**values) for values in json.load(file)]
    return sorted(found, key=lambda c: c.nearness, reverse=True)


def _write(uri: str, comparisons: list[CheckedFigure]) -> None:
    # Infinity is written as Python's JSON has it; nothing else reads the file.
    with open(os.path.join(uri, COMPARISONS), "w") as file:
        json.dump([dataclasses.asdict(c) for c in comparisons], file, indent=1)
