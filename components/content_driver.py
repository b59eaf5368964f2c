"""A driver of file-based inputs whose cache key holds what is in the files that are read.

Beside it TFX's own import of TFRecord files, with this driver.
"""

from __future__ import annotations

import os
from typing import Any

from google.protobuf import wrappers_pb2
from tfx.components.example_gen import driver
from tfx.components.example_gen import utils as example_gen_utils
from tfx.components.example_gen.import_example_gen.component import ImportExampleGen
from tfx.orchestration import data_types
from tfx.proto import example_gen_pb2
from tfx.types import standard_component_specs
from tfx.utils import proto_utils

from mtfx.datasets.file_names import name_of
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
