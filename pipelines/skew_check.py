"""The check that a service sends the features that are trained on: training-serving skew."""

from __future__ import annotations

import os

from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx.components import StatisticsGen
from tfx.orchestration.pipeline import Pipeline
from tfx.proto.example_gen_pb2 import Output, SplitConfig

from mtfx.components.content_driver import ContentImportExampleGen
from mtfx.components.session_schema import InlineSchemaGen, build_schema
from mtfx.components.strict_distribution_validator.comparators import counted_columns, shown_columns
from mtfx.components.strict_distribution_validator.component import (
    StrictDistributionValidator,
    statistics_options,
)
from mtfx.components.strict_distribution_validator.config import ComparisonPlan, DriftThresholds
from mtfx.datasets.spec import DatasetSpec
from mtfx.pipelines import local_runner
from mtfx.pipelines.data_stages import counted_schema
from mtfx.pipelines.local_pipeline import earlier_statistics, local_pipeline


def create_skew_check(
    spec: DatasetSpec,
    shown_dir: str,
    statistics: str,
    output: str,
    thresholds: DriftThresholds,
    beam_pipeline_args: tuple[str, ...],
) -> Pipeline:
    """A pipeline that fails where the features that a service sent are not those of its log.

    Only features of impressions are compared: what was shown is what the log holds. Session-level
    ones come once per session in the log, but with every request of the service.

    Args:
      spec: The data set.
      shown_dir: Gzipped TFRecords of ``mtfx.serving.interaction_log``.
      statistics: Of the day's log.
      output: Absolute directory of the daily run.
      thresholds: How far a column may be off.
      beam_pipeline_args: Passed to Beam.
    """
    columns = shown_columns(spec)
    schema = schema_pb2.Schema()
    schema.feature.extend(f for f in build_schema(spec).feature if f.name in columns)
    text = counted_schema(text_format.MessageToString(schema), counted_columns(spec))
    schema_gen = InlineSchemaGen(text=text).with_id("SchemaGen")
    example_gen = ContentImportExampleGen(
        input_base=os.path.abspath(shown_dir),
        # Everything that was logged is compared.
        output_config=Output(
            split_config=SplitConfig(splits=[SplitConfig.Split(name="train", hash_buckets=1)])
        ),
    )
    statistics_gen = StatisticsGen(
        examples=example_gen.outputs["examples"],
        schema=schema_gen.outputs["schema"],
        stats_options=statistics_options(),
    )
    logged = earlier_statistics(statistics)
    assert logged is not None
    validator = StrictDistributionValidator(
        statistics=statistics_gen.outputs["statistics"],
        baseline_statistics=logged.outputs["result"],
        plan=ComparisonPlan(columns, thresholds=thresholds, volume=False),
    )
    return local_pipeline(
        "skew-check",
        [schema_gen, example_gen, statistics_gen, logged, validator],
        output=output,
        beam_pipeline_args=beam_pipeline_args,
    )


def check_skew(pipeline: Pipeline, observer: local_runner.StageObserver) -> None:
    """Runs the check on this machine.

    Raises:
      StageError: if a feature is skewed; its message names it.
    """
    local_runner.run(pipeline, observer)
