"""TFX's import of TFRecord files, with a cache key that holds what is in the files."""

from __future__ import annotations

from tfx.components.example_gen.import_example_gen.component import ImportExampleGen

from mtfx.components.content_driver import ContentDriver


class ContentImportExampleGen(ImportExampleGen):
    """ImportExampleGen; files that were changed within a second, or keep their time, are read."""

    DRIVER_CLASS = ContentDriver
