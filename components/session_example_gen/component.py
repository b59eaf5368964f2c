"""SessionExampleGen: raw interaction logs to session examples, as a TFX component."""

from __future__ import annotations

from tfx.dsl.components.base import executor_spec

from mtfx.components.content_driver import ContentExampleGen
from mtfx.components.session_example_gen import executor, inputs
from mtfx.components.session_example_gen.config import SessionExampleGenConfig
from mtfx.datasets.logs.sessions import SPLITS


class SessionExampleGen(ContentExampleGen):
    """Reads a data set's files, sessionises, splits by time, writes one example per session.

    The output channel ``examples`` is a standard Examples artifact with the splits ``train``,
    ``eval`` and ``test``, gzipped TFRecords of ``tf.Example``: session-level columns have one
    value, impression-level columns one value per impression. Span and version come from TFX's own
    driver for file-based inputs; unchanged files are not read twice, where their content decides
    (``inputs``). Runs on any Beam runner, by the pipeline's ``beam_pipeline_args``.

    Bad rows are quarantined with file, row and reason, duplicates dropped and counted;
    ``ingestion.json`` beside the splits holds all counts.
    """

    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(executor.Executor)
    DRIVER_CLASS = inputs.Driver

    def __init__(
        self,
        data_dir: str,
        config: SessionExampleGenConfig,
        pattern: str = "*",
        span: int | None = None,
    ):
        """Makes the component.

        Args:
          data_dir: Directory of the files.
          config: How they become sessions.
          pattern: See :class:`mtfx.components.content_driver.ContentExampleGen`.
          span: Likewise.
        """
        super().__init__(data_dir, config.to_json(), pattern, span, SPLITS)
