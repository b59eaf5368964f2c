"""The check of one day's log, before a window that holds it trains anything."""

from __future__ import annotations

import os

from tfx.components import StatisticsGen
from tfx.components.schema_gen.import_schema_gen.component import ImportSchemaGen
from tfx.orchestration.pipeline import Pipeline

from components.session_example_gen.component import SessionExampleGen
from components.session_example_gen.summary import IngestionSummary
from components.strict_distribution_validator.comparators import DriftThresholds, validator_config
from components.strict_distribution_validator.component import StrictDistributionValidator
from components.strict_example_validator.component import StrictExampleValidator
from pipelines import local_runner
from pipelines.code_version import code_version
from pipelines.data_stages import ingestion_config, session_schema, write_schema
from pipelines.imported import earlier_statistics
from pipelines.local_pipeline import local_pipeline
from pipelines.options import DataOptions

#: Code that decides what a day's statistics are; an edit elsewhere does not check it again.
_PACKAGES = ("components", "datasets")


def create_check(
    data: DataOptions,
    output: str,
    thresholds: DriftThresholds,
    baseline: str,
    beam_pipeline_args: tuple[str, ...],
    enable_cache: bool = True,
) -> Pipeline:
    """A pipeline that fails where a day's log is unusable or has moved too far.

    Args:
      data: The log; its span is the day.
      output: Absolute directory of the daily run.
      thresholds: How far a column may move.
      baseline: Statistics of the last day that passed; empty compares with nothing.
      beam_pipeline_args: Passed to Beam.
      enable_cache: Whether a stage with unchanged inputs takes its earlier outputs.
    """
    spec = data.spec()
    example_gen = SessionExampleGen(
        data_dir=os.path.abspath(data.data_dir),
        config=ingestion_config(data, os.path.join(output, "quarantine"), code_version(_PACKAGES)),
        pattern=data.pattern,
        span=data.span,
    )
    schema_gen = ImportSchemaGen(schema_file=write_schema(output, session_schema(data)))
    schema = schema_gen.outputs["schema"]
    statistics_gen = StatisticsGen(examples=example_gen.outputs["examples"], schema=schema)
    statistics = statistics_gen.outputs["statistics"]
    stages = [
        example_gen,
        schema_gen,
        statistics_gen,
        StrictExampleValidator(statistics=statistics, schema=schema),
    ]
    if (earlier := earlier_statistics(baseline)) is not None:
        validator = StrictDistributionValidator(
            statistics=statistics,
            baseline_statistics=earlier.outputs["result"],
            config=validator_config(spec, thresholds),
            include_split_pairs=[("train", "train")],
        )
        stages += [earlier, validator]
    return local_pipeline(
        "day-check",
        stages,
        root=os.path.join(output, "pipeline"),
        metadata=os.path.join(output, "metadata.db"),
        beam_pipeline_args=beam_pipeline_args,
        enable_cache=enable_cache,
    )


def check_day(pipeline: Pipeline, observer: local_runner.StageObserver) -> tuple[str, int]:
    """Runs the check on this machine.

    Args:
      pipeline: Of :func:`create_check`.
      observer: Told about each stage.

    Returns:
      URI of the day's statistics, and its sessions.

    Raises:
      StageError: if the day does not pass.
    """
    result = local_runner.run(pipeline, observer)
    ingested = IngestionSummary.read(result.output("SessionExampleGen", "examples").uri)
    return result.output("StatisticsGen", "statistics").uri, sum(ingested.sessions.values())
