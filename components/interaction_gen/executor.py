"""Executors of InteractionGen's two components: find the input, run Beam, check the counts."""

from __future__ import annotations

import os
from typing import Any

import apache_beam as beam
from apache_beam import pvalue
from tfx.components.example_gen import utils as example_gen_utils
from tfx.components.util import examples_utils
from tfx.dsl.components.base import base_beam_executor
from tfx.proto import example_gen_pb2
from tfx.types import artifact_utils, standard_component_specs
from tfx.utils import path_utils

from mtfx.components.beam_results import (
    Counts,
    MergeCounts,
    counts_path,
    data_errors,
    read_counts,
    remove_temporary,
    write_counts,
    write_quarantine,
)
from mtfx.components.content_driver import ContentDriver, custom_json, pattern_of
from mtfx.components.interaction_gen import served, simulated, summary
from mtfx.components.interaction_gen.config import (
    ServedInteractionConfig,
    SimulatedInteractionConfig,
)
from mtfx.components.interaction_gen.cuts import SPLITS
from mtfx.components.interaction_gen.writing import Target, WriteTransitions
from mtfx.datasets.file_names import name_of
from mtfx.datasets.logs import readers
from mtfx.datasets.transitions.checks import write_faults
from mtfx.datasets.transitions.spec import TransitionManifest
from mtfx.errors import DataError

_READ, _WRITTEN = "read", "written"
_BUCKETS_PER_FILE = 4
_MAX_BUCKETS = 1000


class SimulatedExecutor(base_beam_executor.BaseBeamExecutor):
    """See :class:`mtfx.components.interaction_gen.component.SimulatedInteractionGen`."""

    def Do(  # noqa: N802 (TFX's name)
        self,
        input_dict: dict[str, list],
        output_dict: dict[str, list],
        exec_properties: dict[str, Any],
    ) -> None:
        """Explores the simulator and writes transitions.

        Args:
          input_dict: ``simulator``: one Simulator; ``policy``: at most one Model.
          output_dict: ``examples``: one Examples artifact.
          exec_properties: ``config``, JSON.

        Raises:
          DataError: if simulator, policy and configuration do not fit each other.
        """
        self._log_startup(input_dict, output_dict, exec_properties)
        config = SimulatedInteractionConfig.from_json(exec_properties["config"])
        policies = input_dict.get("policy") or []
        setting = simulated.SimulationPlan(
            config,
            artifact_utils.get_single_uri(input_dict["simulator"]),
            path_utils.serving_model_path(policies[0].uri) if policies else "",
        )
        # Made here too, so that what does not fit is said before any worker starts.
        spec = simulated.Scene(setting).spec
        artifact = artifact_utils.get_single_instance(output_dict["examples"])
        target = Target(artifact.uri, spec, config.eval_fraction, config.shards)
        with data_errors(), self._make_beam_pipeline() as pipeline:
            _ = (
                pipeline
                | "Chunks" >> beam.Create(simulated.chunk_numbers(config))
                | "Spread" >> beam.Reshuffle()
                | "Explore" >> beam.ParDo(simulated.ExploreChunks(setting))
                | "WriteTransitions" >> WriteTransitions(target)
                | "MergeCounts" >> beam.CombineGlobally(MergeCounts())
                | "KeepCounts" >> beam.Map(write_counts, counts_path(artifact.uri, _WRITTEN))
            )
        written = read_counts(counts_path(artifact.uri, _WRITTEN))
        summary.check_splits(Counts(), written, [], "")
        result = summary.summarise(Counts(), written, "simulator", config.to_dict())
        _finish(artifact, result, target, config, config.seed)


class ServedDriver(ContentDriver):
    """The driver of ServedInteractionGen: looks at the files of all its deliveries."""

    @classmethod
    def input_paths(cls, base: str, pattern: str, exec_properties: dict[str, Any]) -> list[str]:
        """The files of earlier deliveries, oldest first, and of the one that the pattern names.

        Raises:
          DataError: if one of them has none.
        """
        config = ServedInteractionConfig.from_json(custom_json(exec_properties))
        name = os.path.basename(pattern)
        paths: list[str] = []
        for wanted in (*(os.path.join(folder, name) for folder in config.earlier), pattern):
            found = readers.match_files(base, (wanted,))
            if not found:
                raise DataError(f"no log of served requests in {base} matches {wanted}")
            paths += found
        return paths


class ServedExecutor(base_beam_executor.BaseBeamExecutor):
    """See :class:`mtfx.components.interaction_gen.component.ServedInteractionGen`."""

    def Do(  # noqa: N802 (TFX's name)
        self,
        input_dict: dict[str, list],
        output_dict: dict[str, list],
        exec_properties: dict[str, Any],
    ) -> None:
        """Reads served requests and writes transitions.

        Args:
          input_dict: Empty.
          output_dict: ``examples``: one Examples artifact.
          exec_properties: Those of ``FileBasedExampleGen``; ``custom_config`` holds the
            configuration.

        Raises:
          DataError: if the log cannot be used; the message says which file and why.
        """
        self._log_startup(input_dict, output_dict, exec_properties)
        config = ServedInteractionConfig.from_json(custom_json(exec_properties))
        base = name_of(exec_properties[standard_component_specs.INPUT_BASE_KEY])
        paths = ServedDriver.input_paths(base, pattern_of(exec_properties), exec_properties)
        before = exec_properties.get(
            example_gen_utils.FINGERPRINT_PROPERTY_NAME
        ) or ServedDriver.fingerprint(exec_properties)
        span = exec_properties.get(example_gen_utils.SPAN_PROPERTY_NAME) or 0
        quarantine = os.path.join(config.quarantine_dir, f"span-{span}.csv")
        artifact = artifact_utils.get_single_instance(output_dict["examples"])
        target = Target(artifact.uri, config.spec, config.eval_fraction, config.shards)
        with data_errors(), self._make_beam_pipeline() as pipeline:
            _build_served(pipeline, paths, config, target, quarantine)
        ServedDriver.check_unchanged(exec_properties, before)
        read = read_counts(counts_path(artifact.uri, _READ))
        summary.check_bad_share(read, config.max_bad_share, quarantine)
        written = read_counts(counts_path(artifact.uri, _WRITTEN))
        summary.check_splits(read, written, paths, quarantine)
        result = summary.summarise(read, written, "served", config.to_dict())
        summary.check_densities(result, config.needs_densities)
        _finish(artifact, result, target, config, None)


def _build_served(
    pipeline: beam.Pipeline,
    paths: list[str],
    config: ServedInteractionConfig,
    target: Target,
    quarantine: str,
) -> None:
    buckets = min(_MAX_BUCKETS, _BUCKETS_PER_FILE * len(paths))
    read = (
        pipeline
        | "Files" >> beam.Create(paths)
        | "Spread" >> beam.Reshuffle()
        | "Read"
        >> beam.ParDo(served.ReadRequests(config, buckets)).with_outputs(
            served.FAULTS, served.COUNTS, main="requests"
        )
    )
    spans = read[served.COUNTS] | "Spans" >> beam.CombineGlobally(MergeCounts())
    joined = (
        read["requests"]
        | "GroupBySession" >> beam.GroupByKey()
        | "Join"
        >> beam.ParDo(served.JoinSessions(config), pvalue.AsSingleton(spans)).with_outputs(
            served.FAULTS, served.COUNTS, main="transitions"
        )
    )
    faults = (read[served.FAULTS], joined[served.FAULTS]) | "Faults" >> beam.Flatten()
    counts = (
        read[served.COUNTS],
        joined[served.COUNTS],
        faults | "CountFaults" >> beam.Map(served.count_fault),
    ) | "Counts" >> beam.Flatten()
    _ = (
        counts
        | "MergeRead" >> beam.CombineGlobally(MergeCounts())
        | "KeepRead" >> beam.Map(write_counts, counts_path(target.uri, _READ))
    )
    _ = (
        faults
        | "GatherFaults" >> beam.combiners.ToList()
        | "Quarantine" >> beam.Map(write_quarantine, quarantine, write_faults)
    )
    _ = (
        joined["transitions"]
        | "WriteTransitions" >> WriteTransitions(target)
        | "MergeWritten" >> beam.CombineGlobally(MergeCounts())
        | "KeepWritten" >> beam.Map(write_counts, counts_path(target.uri, _WRITTEN))
    )


def _finish(
    artifact: Any,
    result: summary.InteractionSummary,
    target: Target,
    config: SimulatedInteractionConfig | ServedInteractionConfig,
    seed: int | None,
) -> None:
    """The manifest comes last: it makes the transitions whole."""
    summary.check_rewards(result)
    result.write(target.uri)
    first_ms, last_ms = result.data_span_ms
    TransitionManifest(
        target.spec,
        result.config,
        first_ms,
        last_ms,
        config.code_version,
        seed,
        None if config.fusion is None else config.fusion.action_meaning(),
    ).write(target.uri)
    remove_temporary(target.uri)
    artifact.split_names = artifact_utils.encode_split_names(list(SPLITS))
    artifact.set_string_custom_property("code_version", config.code_version)
    artifact.set_int_custom_property("first_request_ms", first_ms)
    artifact.set_int_custom_property("last_request_ms", last_ms)
    examples_utils.set_payload_format(artifact, example_gen_pb2.FORMAT_TF_EXAMPLE)
    examples_utils.set_file_format(artifact, "tfrecords_gzip")
