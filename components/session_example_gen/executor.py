"""Executor of SessionExampleGen: finds the files, runs the Beam pipeline, checks its counts."""

from __future__ import annotations

import os
from typing import Any

import apache_beam as beam
import polars as pl
from tfx.components.example_gen import utils as example_gen_utils
from tfx.components.util import examples_utils
from tfx.dsl.components.base import base_beam_executor
from tfx.proto import example_gen_pb2
from tfx.types import artifact_utils, standard_component_specs

from mtfx.components.beam_results import (
    MergeCounts,
    counts_path,
    data_errors,
    read_counts,
    remove_temporary,
    write_counts,
    write_quarantine,
)
from mtfx.components.content_driver import custom_json, pattern_of
from mtfx.components.session_example_gen import (
    gaps,
    reading,
    statistics,
    summary,
    transforms,
    writing,
)
from mtfx.components.session_example_gen.config import SessionExampleGenConfig
from mtfx.components.session_example_gen.inputs import Driver, delivery_folders, input_files
from mtfx.datasets.file_names import name_of
from mtfx.datasets.logs import joins, readers
from mtfx.datasets.spec import DatasetSpec, SideTable
from mtfx.files import write_csv

_COUNTED = "counted"
_LOG_BYTES_PER_SHARD = 32 << 20
_COMPRESSION = {".gz": 4, ".parquet": 4}


class Executor(base_beam_executor.BaseBeamExecutor):
    """See the component."""

    def Do(  # noqa: N802 (TFX's name)
        self,
        input_dict: dict[str, list],
        output_dict: dict[str, list],
        exec_properties: dict[str, Any],
    ) -> None:
        """Writes the folder of each split and ``ingestion.json``.

        Args:
          input_dict: Empty.
          output_dict: ``examples``: one Examples artifact.
          exec_properties: Those of ``FileBasedExampleGen``; ``custom_config`` holds the
            configuration.

        Raises:
          DataError: if the data cannot be used; the message says which file and why.
        """
        self._log_startup(input_dict, output_dict, exec_properties)
        config = SessionExampleGenConfig.from_json(custom_json(exec_properties))
        base = name_of(exec_properties[standard_component_specs.INPUT_BASE_KEY])
        folders = delivery_folders(pattern_of(exec_properties), config.earlier)
        # On a cluster no driver has looked at the files.
        before = exec_properties.get(
            example_gen_utils.FINGERPRINT_PROPERTY_NAME
        ) or Driver.fingerprint(exec_properties)
        artifact = artifact_utils.get_single_instance(output_dict["examples"])
        span = exec_properties.get(example_gen_utils.SPAN_PROPERTY_NAME) or 0
        quarantine = os.path.join(config.quarantine_dir, f"span-{span}.csv")
        with data_errors(), self._make_beam_pipeline() as pipeline:
            plan = _Plan(config, base, folders)
            plan.build(pipeline, artifact.uri, quarantine)
        Driver.check_unchanged(exec_properties, before)
        counts = read_counts(counts_path(artifact.uri, _COUNTED))
        remove_temporary(artifact.uri)
        summary.check_bad_rows(counts, config.max_bad_rows, quarantine)
        summary.check_splits(counts, plan.log, quarantine)
        result = summary.summarise(counts, config, plan.notes, plan.table_files, plan.past)
        gaps.check_tables(result.joined, plan.table_files)
        result.write(artifact.uri)
        artifact.split_names = artifact_utils.encode_split_names(list(config.splits))
        artifact.set_string_custom_property("code_version", config.code_version)
        artifact.set_string_custom_property("dataset", config.dataset)
        artifact.set_string_custom_property("description_version", config.description_version)
        if result.data_span_ms is not None:
            artifact.set_int_custom_property("first_impression_ms", result.data_span_ms[0])
            artifact.set_int_custom_property("last_impression_ms", result.data_span_ms[1])
        examples_utils.set_payload_format(artifact, example_gen_pb2.FORMAT_TF_EXAMPLE)
        examples_utils.set_file_format(artifact, "tfrecords_gzip")


class _Plan:
    """The Beam pipeline for the files in folders, one per delivery, the last the newest."""

    def __init__(self, config: SessionExampleGenConfig, base: str, folders: list[str]):
        self._config = config
        self._spec: DatasetSpec = config.spec()
        self._base = base
        self._folders = folders
        self.notes: list[str] = []
        files = input_files(self._spec, base, folders, config.history_deliveries)
        self.log, self.past = files.log, files.past
        self._check_headers([*self.log, *self.past], self._spec.columns)
        self._columns = {column.name: column for column in self._spec.all_columns}
        self._tables: dict[str, SideTable] = {}
        self._item_tables: dict[str, SideTable] = {}
        self._user_tables: dict[str, SideTable] = {}
        self._broadcast_tables: dict[str, SideTable] = {}
        self.table_files: dict[str, list[str]] = {}
        for table, found in zip(self._spec.side_tables, files.tables, strict=True):
            self._add_table(table, found)
        self._shards = config.shards or self._default_shards()

    def build(self, pipeline: beam.Pipeline, uri: str, quarantine: str) -> None:
        """Adds the whole pipeline: log and side tables in, shards, rejects and counts out."""
        spec, shards = self._spec, self._shards
        key = "item_id" if self._item_tables else "user_id"
        logs = [
            pipeline
            | name
            >> reading.ReadChecked(
                paths, spec.columns, key, shards, unknown=spec.unknown_labels, past=past
            )
            for name, paths, past in self._logs()
        ]
        tables = {name: self._read_table(pipeline, name) for name in self.table_files}
        events = [log[reading.ROWS] for log in logs] | "FlattenLogs" >> beam.Flatten()
        counts = [log[reading.COUNTS] for log in logs]
        if self._item_tables:
            parts = {name: tables[name][reading.ROWS] for name in self._item_tables}
            joined = (
                {reading.ROWS: events, **parts}
                | "GroupByItem" >> beam.CoGroupByKey()
                | "JoinByItem"
                >> beam.ParDo(
                    transforms.JoinByItem(self._item_tables, self._columns, shards)
                ).with_outputs(reading.COUNTS, main=reading.ROWS)
            )
            events = joined[reading.ROWS]
            counts.append(joined[reading.COUNTS])
        parts = {name: tables[name][reading.ROWS] for name in self._user_tables}
        broadcast = tuple(
            tables[name][reading.ROWS] | f"Name {name}" >> beam.Map(_named, name)
            for name in self._broadcast_tables
        ) | "FlattenBroadcast" >> beam.Flatten(pipeline=pipeline)
        built = (
            {reading.ROWS: events, **parts}
            | "GroupByUser" >> beam.CoGroupByKey()
            | "BuildSessions"
            >> beam.ParDo(
                transforms.BuildSessions(
                    spec,
                    {n: t for n, t in self._tables.items() if n not in self._item_tables},
                    self._columns,
                    shards,
                ),
                beam.pvalue.AsList(broadcast),
            ).with_outputs(
                reading.COUNTS,
                "starts",
                statistics.TOTALS,
                statistics.ASKED,
                main=reading.ROWS,
            )
        )
        boundaries = (
            built["starts"]
            | "MergeStarts" >> beam.CombineGlobally(transforms.MergeStarts())
            | "Boundaries"
            >> beam.FlatMap(transforms.boundaries_from, self._config.split_fractions).with_outputs(
                reading.COUNTS, main="boundaries"
            )
        )
        known = {name: built[name] for name in (statistics.TOTALS, statistics.ASKED)}
        answers = (
            known
            | "GroupByValue" >> beam.CoGroupByKey()
            | "Answer" >> beam.ParDo(statistics.Answer())
        )
        parts = {reading.ROWS: built[reading.ROWS], writing.ANSWERS: answers}
        grouped = parts | "GroupAnswers" >> beam.CoGroupByKey()
        written = grouped | "WriteSplits" >> beam.ParDo(
            writing.WriteSplits(spec, uri, shards, self._config.history_length),
            beam.pvalue.AsSingleton(boundaries.boundaries),
        )
        counts += [built[reading.COUNTS], boundaries[reading.COUNTS], written]
        counts += [table[reading.COUNTS] for table in tables.values()]
        _ = (
            counts
            | "FlattenCounts" >> beam.Flatten()
            | "MergeCounts" >> beam.CombineGlobally(MergeCounts())
            | "WriteCounts" >> beam.Map(write_counts, counts_path(uri, _COUNTED))
        )
        rejects = [read[reading.REJECTS] for read in (*logs, *tables.values())]
        _ = (
            rejects
            | "FlattenRejects" >> beam.Flatten()
            | "GatherRejects" >> beam.combiners.ToList()
            | "Quarantine" >> beam.Map(write_quarantine, quarantine, _write_rejects)
        )

    def _logs(self) -> list[tuple[str, list[str], bool | None]]:
        """Name, files and :data:`reading.PAST` of the logs that are read."""
        if not self.past:
            return [("Log", self.log, None)]
        return [("Log", self.log, False), ("Past", self.past, True)]

    def _read_table(self, pipeline: beam.Pipeline, name: str) -> beam.pvalue.DoOutputsTuple:
        table = self._tables[name]
        columns = joins.raw_columns(table, self._columns[table.on].dtype)
        shards = 1 if name in self._broadcast_tables else self._shards
        return pipeline | f"Table {name}" >> reading.ReadChecked(
            self.table_files[name], columns, table.on, shards, table
        )

    def _add_table(self, table: SideTable, files: list[str]) -> None:
        name = table.files[0].split("*")[0].split(".")[0].rstrip("_")
        self._tables[name] = table
        if files:
            kinds = {"item_id": self._item_tables, "user_id": self._user_tables}
            kinds.get(table.on, self._broadcast_tables)[name] = table
            self.table_files[name] = files
            self._check_headers(files, joins.raw_columns(table, self._columns[table.on].dtype))
            return
        columns = ", ".join(column.name for column in table.columns)
        patterns = (joins.below(folder, table.files) for folder in self._folders)
        found = [path for some in patterns for path in readers.match_files(self._base, some)]
        why = "is of another version than the log, whose ids differ" if found else "not found"
        self.notes.append(f"{' or '.join(table.files)} {why}; left at their defaults: {columns}")

    def _check_headers(self, files: list[str], columns: tuple) -> None:
        for path in files:
            missing = joins.missing_columns(path, readers.read_header(path), columns)
            readers.check_types(path, columns)
            labels = {c.source for c in columns if c.name in self._spec.unknown_labels}
            if without := [name for name in missing if name in labels]:
                self.notes.append(
                    f"{os.path.basename(path)} lacks the labels {', '.join(without)}, which are "
                    "unknown in all of its rows"
                )
            missing = [name for name in missing if name not in labels]
            if missing:
                self.notes.append(
                    f"{os.path.basename(path)} lacks optional columns, left at their defaults: "
                    + ", ".join(missing)
                )

    def _default_shards(self) -> int:
        size = sum(
            readers.file_bytes([path]) * _COMPRESSION.get(os.path.splitext(path)[1], 1)
            for path in [*self.log, *self.past]
        )
        return max(1, min(1000, -(-size // _LOG_BYTES_PER_SHARD)))


def _named(element: tuple[int, bytes], name: str) -> tuple[str, bytes]:
    return name, element[1]


def _write_rejects(parts: list[bytes], path: str) -> None:
    rejects = pl.concat([readers.from_ipc(part) for part in parts]).sort("file", "row")
    write_csv(path, rejects.columns, rejects.iter_rows())
