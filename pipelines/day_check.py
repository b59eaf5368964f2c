"""The check of one day's log, before a window that holds it trains anything."""

from __future__ import annotations

import dataclasses
import os

from tfx.components import StatisticsGen
from tfx.orchestration.pipeline import Pipeline

from mtfx.components.session_example_gen.component import SessionExampleGen
from mtfx.components.session_example_gen.config import WHOLE
from mtfx.components.session_example_gen.encoding import session_level_columns
from mtfx.components.session_example_gen.summary import IngestionSummary
from mtfx.components.session_schema import InlineSchemaGen
from mtfx.components.strict_distribution_validator.comparators import (
    compared_columns,
    counted_columns,
)
from mtfx.components.strict_distribution_validator.comparison import CheckedFigure
from mtfx.components.strict_distribution_validator.component import (
    StrictDistributionValidator,
    read_comparisons,
    statistics_options,
)
from mtfx.components.strict_distribution_validator.config import ComparisonPlan, DriftThresholds
from mtfx.components.strict_example_validator import StrictExampleValidator
from mtfx.pipelines import local_runner
from mtfx.pipelines.code_version import code_version
from mtfx.pipelines.data_stages import counted_schema, ingestion_config, session_schema
from mtfx.pipelines.local_pipeline import earlier_statistics, local_pipeline
from mtfx.pipelines.options import DataOptions
from mtfx.pipelines.spans import day_of_span

#: Code that decides what a day's statistics are; an edit elsewhere does not check it again.
_PACKAGES = ("components", "datasets")
_VALIDATOR = "StrictDistributionValidator"


@dataclasses.dataclass(frozen=True)
class CheckedDay:
    """A day whose log passed.

    Attributes:
      statistics: URI of its statistics.
      sessions: Its sessions.
      impressions: Its impressions, without the duplicates.
      comparisons: With the last day that passed, the nearest to its bar first; none of the first.
    """

    statistics: str
    sessions: int
    impressions: int = 0
    comparisons: tuple[CheckedFigure, ...] = ()


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
    # What a session looks back on are rows of the log, which are checked where they are.
    data = dataclasses.replace(data, history_length=0, history_spans=())
    spec = data.spec()
    ingestion = ingestion_config(data, os.path.join(output, "quarantine"), code_version(_PACKAGES))
    example_gen = SessionExampleGen(
        data_dir=os.path.abspath(data.data_dir),
        # A split by time would leave the day's last hours unseen.
        config=dataclasses.replace(ingestion, split_fractions=WHOLE),
        pattern=data.pattern,
        span=data.span,
    )
    text = counted_schema(session_schema(data), counted_columns(spec))
    schema_gen = InlineSchemaGen(text=text).with_id("SchemaGen")
    schema = schema_gen.outputs["schema"]
    statistics_gen = StatisticsGen(
        examples=example_gen.outputs["examples"], schema=schema, stats_options=statistics_options()
    )
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
            plan=ComparisonPlan(
                compared_columns(spec),
                tuple(session_level_columns(spec)),
                thresholds,
                day_ms=day_of_span(data.span, spec.utc_offset_hours),
            ),
        )
        stages += [earlier, validator]
    return local_pipeline(
        "day-check",
        stages,
        output=output,
        beam_pipeline_args=beam_pipeline_args,
        enable_cache=enable_cache,
    )


def check_day(pipeline: Pipeline, observer: local_runner.StageObserver) -> CheckedDay:
    """Runs the check on this machine.

    Args:
      pipeline: Of :func:`create_check`.
      observer: Notified of each stage.

    Raises:
      StageError: if the day does not pass.
    """
    result = local_runner.run(pipeline, observer)
    ingested = IngestionSummary.read(result.output("SessionExampleGen", "examples").uri)
    compared: list[CheckedFigure] = []
    if any(node.id == _VALIDATOR for node in pipeline.components):
        compared = read_comparisons(result.output(_VALIDATOR, "anomalies").uri)
    return CheckedDay(
        result.output("StatisticsGen", "statistics").uri,
        sum(ingested.sessions.values()),
        sum(ingested.impressions.values()),
        tuple(compared),
    )
