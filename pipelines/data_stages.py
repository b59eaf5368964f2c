"""The stages from a raw log to transformed sessions, which several pipelines begin with."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx.components import StatisticsGen, Transform
from tfx.dsl.components.base.base_component import BaseComponent
from tfx.proto import transform_pb2
from tfx.types.channel import Channel

from mtfx.components.session_example_gen.component import SessionExampleGen
from mtfx.components.session_example_gen.config import SessionExampleGenConfig
from mtfx.components.session_example_gen.summary import IngestionSummary
from mtfx.components.session_schema import InlineSchemaGen, build_schema
from mtfx.components.strict_example_validator import StrictExampleValidator
from mtfx.datasets.description_version import description_version
from mtfx.datasets.logs.sessions import SPLITS
from mtfx.pipelines import local_runner
from mtfx.pipelines.options import DataOptions
from mtfx.pipelines.ranking_summary import log_rows
from mtfx.pipelines.spans import span_folders


class DataStages(NamedTuple):
    """The components, in the order they run."""

    example_gen: BaseComponent
    schema_gen: BaseComponent
    statistics_gen: StatisticsGen
    validator: StrictExampleValidator
    transform: Transform

    @property
    def examples(self) -> Channel:
        """Raw sessions, all splits."""
        return self.example_gen.outputs["examples"]

    @property
    def schema(self) -> Channel:
        """Their schema."""
        return self.schema_gen.outputs["schema"]


def data_stages(
    data: DataOptions, output: str, splits: Sequence[str], code_version: str
) -> DataStages:
    """Reads, splits, validates and transforms a log.

    Args:
      data: The log.
      output: Absolute output directory; rejected rows go to its ``quarantine``.
      splits: Those to transform; vocabularies and statistics always come from ``train`` only.
      code_version: Recorded with the examples, and part of the cache keys.
    """
    past = data.history_spans if data.spec().history is not None else ()
    example_gen = SessionExampleGen(
        data_dir=os.path.abspath(data.data_dir),
        config=dataclasses.replace(
            ingestion_config(data, os.path.join(output, "quarantine"), code_version),
            earlier=span_folders(data.pattern, data.earlier_spans),
            history_deliveries=span_folders(data.pattern, past),
        ),
        pattern=data.pattern,
        span=data.span,
    )
    return stages_after(example_gen, data, splits, code_version)


def ingestion_config(
    data: DataOptions, quarantine_dir: str, code_version: str
) -> SessionExampleGenConfig:
    """How one delivery of a log becomes session examples."""
    return SessionExampleGenConfig(
        dataset=data.dataset,
        quarantine_dir=quarantine_dir,
        split_fractions=data.split_fractions,
        max_bad_rows=data.max_bad_rows,
        gap_minutes=data.gap_minutes,
        max_session_length=data.max_session_length,
        history_length=data.history_length,
        code_version=code_version,
        description_version=description_version(data.dataset),
    )


def stages_after(
    example_gen: BaseComponent,
    data: DataOptions,
    splits: Sequence[str],
    code_version: str,
) -> DataStages:
    """Validates and transforms session examples, wherever they come from.

    Args:
      example_gen: Has the output ``examples``.
      data: The log.
      splits: Those to transform.
      code_version: Part of the cache keys.
    """
    examples = example_gen.outputs["examples"]
    schema_gen = InlineSchemaGen(text=session_schema(data)).with_id("SchemaGen")
    schema = schema_gen.outputs["schema"]
    statistics_gen = StatisticsGen(examples=examples, schema=schema)
    validator = StrictExampleValidator(
        statistics=statistics_gen.outputs["statistics"], schema=schema
    )
    transform = Transform(
        examples=examples,
        schema=schema,
        preprocessing_fn="mtfx.components.preprocessing.preprocessing_fn",
        # The versions are not read; they make the cache miss when code has changed.
        custom_config={
            "dataset": data.dataset,
            "tasks": [task.name for task in data.selected_tasks()],
            "code_version": code_version,
            "description_version": description_version(data.dataset),
        },
        splits_config=transform_pb2.SplitsConfig(analyze=["train"], transform=list(splits)),
        disable_statistics=True,
        # It pays where one run analyses several spans; for one it costs stages and gives nothing.
        disable_analyzer_cache=True,
    )
    transform.add_upstream_node(validator)
    return DataStages(example_gen, schema_gen, statistics_gen, validator, transform)


class RowCounts:
    """Rows by stage: of the log, then of the impressions that the stage read."""

    def __init__(self, data: DataOptions):
        self._data = data
        self._ingested: IngestionSummary | None = None

    def log(self, stage: local_runner.StageResult) -> int:
        """Rows of the log that SessionExampleGen read; needed before the others."""
        self._ingested = IngestionSummary.read(stage.outputs["examples"][0].uri)
        return log_rows(self._data, self._ingested)

    def impressions(
        self, splits: Sequence[str] = SPLITS
    ) -> Callable[[local_runner.StageResult], int | None]:
        """A counter of the splits' impressions."""

        def count(_: local_runner.StageResult) -> int | None:
            if self._ingested is None:
                return None
            return sum(self._ingested.impressions[split] for split in splits)

        return count


def counted_schema(text: str, counted: Collection[str]) -> str:
    """A schema by which statistics count the values of some integers.

    Args:
      text: A TFX schema in text form, such as :func:`session_schema`.
      counted: Names of these columns.
    """
    schema = text_format.Parse(text, schema_pb2.Schema())
    for feature in schema.feature:
        if feature.name in counted and feature.type == schema_pb2.INT:
            feature.int_domain.is_categorical = True
    return text_format.MessageToString(schema)


def session_schema(data: DataOptions) -> str:
    """The TFX schema of a log's sessions, in text form: the data set's own, or a curated one."""
    if data.schema_file is None:
        return text_format.MessageToString(build_schema(data.spec(), data.history_length))
    with open(data.schema_file) as file:
        return file.read()
