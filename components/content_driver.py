"""A driver of file-based inputs whose cache key holds what is in the files that are read.

Beside it the components that have it: TFX's own import of TFRecord files, and the base of ours.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from google.protobuf import any_pb2, wrappers_pb2
from tfx.components.example_gen import driver
from tfx.components.example_gen import utils as example_gen_utils
from tfx.components.example_gen.component import FileBasedExampleGen
from tfx.components.example_gen.import_example_gen.component import ImportExampleGen
from tfx.orchestration import data_types
from tfx.proto import example_gen_pb2, range_config_pb2
from tfx.types import standard_component_specs
from tfx.utils import proto_utils

from mtfx.datasets.file_names import literal, name_of
from mtfx.datasets.fingerprint import fingerprint
from mtfx.datasets.logs import readers
from mtfx.errors import DataError


class ContentDriver(driver.FileBasedDriver):
    """TFX's own takes sums of sizes and of times in seconds, of the files of one pattern.

    A file that is edited within a second, or copied with its time, would pass for the old one, and
    the pattern is not always what the executor reads.
    """

    def resolve_exec_properties(
        self,
        exec_properties: dict[str, Any],
        pipeline_info: data_types.PipelineInfo,
        component_info: data_types.ComponentInfo,
    ) -> dict[str, Any]:
        """TFX's, with another fingerprint.

        Raises:
          DataError: if there is nothing to read, or a file cannot be read.
        """
        properties = super().resolve_exec_properties(exec_properties, pipeline_info, component_info)
        properties[example_gen_utils.FINGERPRINT_PROPERTY_NAME] = self.fingerprint(properties)
        return properties

    @classmethod
    def fingerprint(cls, exec_properties: dict[str, Any]) -> str:
        """Of the files that are read.

        Args:
          exec_properties: Of the component, the pattern's span and version filled in.

        Raises:
          DataError: if there is nothing to read, or a file cannot be read.
        """
        base = name_of(exec_properties[standard_component_specs.INPUT_BASE_KEY])
        return fingerprint(
            cls.input_paths(base, pattern_of(exec_properties), exec_properties), base
        )

    @classmethod
    def input_paths(cls, base: str, pattern: str, exec_properties: dict[str, Any]) -> list[str]:
        """The files that are read; for a component that reads more than a pattern, to be replaced.

        Args:
          base: Name of the input directory.
          pattern: Below it, span and version filled in.
          exec_properties: Of the component.
        """
        del exec_properties
        return readers.match_files(base, (pattern,))

    @classmethod
    def check_unchanged(cls, exec_properties: dict[str, Any], before: str) -> None:
        """Raises DataError unless the files are still what they were before they were read.

        Args:
          exec_properties: Of the component.
          before: Their fingerprint at that time.
        """
        if cls.fingerprint(exec_properties) != before:
            base = name_of(exec_properties[standard_component_specs.INPUT_BASE_KEY])
            folder = os.path.join(base, os.path.dirname(pattern_of(exec_properties)))
            raise DataError(
                f"files in {folder} were changed while they were read: run again when they are "
                "complete, nothing of them was used"
            )


class ContentImportExampleGen(ImportExampleGen):
    """ImportExampleGen; files that were changed within a second, or keep their time, are read."""

    DRIVER_CLASS = ContentDriver


class ContentExampleGen(FileBasedExampleGen):
    """Base of the components that read files by an executor and a configuration of their own."""

    DRIVER_CLASS = ContentDriver

    def __init__(
        self,
        data_dir: str,
        config: str,
        pattern: str,
        span: int | None,
        splits: Sequence[str],
    ):
        """Makes the component.

        Args:
          data_dir: Directory of the files.
          config: JSON, which :func:`custom_json` gives the executor.
          pattern: Files below ``data_dir`` that count as input; ``{SPAN}`` and ``{VERSION}`` in
            its directories select one of several deliveries, for example ``day-{SPAN}/*``.
          span: The span to read, if the pattern has ``{SPAN}``. Without it TFX takes the latest,
            which silently retrains on old data when a delivery is late.
          splits: Of the output.
        """
        spans = None
        if span is not None and "{SPAN}" in pattern:
            spans = range_config_pb2.RangeConfig(
                static_range=range_config_pb2.StaticRange(
                    start_span_number=span, end_span_number=span
                )
            )
        split = example_gen_pb2.SplitConfig.Split
        super().__init__(
            input_base=literal(data_dir),
            input_config=input_of(pattern),
            output_config=example_gen_pb2.Output(
                split_config=example_gen_pb2.SplitConfig(
                    splits=[split(name=name, hash_buckets=1) for name in splits]
                )
            ),
            custom_config=packed(config),
            range_config=spans,
        )


def input_of(pattern: str) -> example_gen_pb2.Input:
    """The input of a file-based component that reads the files of one pattern."""
    split = example_gen_pb2.Input.Split(name="log", pattern=pattern)
    return example_gen_pb2.Input(splits=[split])


def packed(config: str) -> example_gen_pb2.CustomConfig:
    """The inverse of :func:`custom_json`."""
    text = any_pb2.Any()
    text.Pack(wrappers_pb2.StringValue(value=config))
    return example_gen_pb2.CustomConfig(custom_config=text)


def pattern_of(exec_properties: dict[str, Any]) -> str:
    """The pattern of the one input split of a file-based component."""
    config = example_gen_pb2.Input()
    proto_utils.json_to_proto(exec_properties[standard_component_specs.INPUT_CONFIG_KEY], config)
    return config.splits[0].pattern


def custom_json(exec_properties: dict[str, Any]) -> str:
    """The JSON text that a component packed into its ``custom_config``."""
    packed = example_gen_pb2.CustomConfig()
    proto_utils.json_to_proto(exec_properties[standard_component_specs.CUSTOM_CONFIG_KEY], packed)
    text = wrappers_pb2.StringValue()
    packed.custom_config.Unpack(text)
    return text.value
