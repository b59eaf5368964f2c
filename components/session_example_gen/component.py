"""SessionExampleGen: raw interaction logs to session examples, as a TFX component."""

from __future__ import annotations

from google.protobuf import any_pb2, wrappers_pb2
from tfx.components.example_gen.component import FileBasedExampleGen
from tfx.dsl.components.base import executor_spec
from tfx.proto import example_gen_pb2, range_config_pb2

from mtfx.components.session_example_gen import executor, inputs
from mtfx.components.session_example_gen.config import SessionExampleGenConfig
from mtfx.datasets.file_names import literal
from mtfx.datasets.logs.sessions import SPLITS


class SessionExampleGen(FileBasedExampleGen):
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
          pattern: Files below ``data_dir`` that count as input; ``{SPAN}`` and ``{VERSION}`` in
            its directories select one of several deliveries, for example ``day-{SPAN}/*``.
          span: The span to read, if the pattern has ``{SPAN}``. Without it TFX takes the latest,
            which silently retrains on old data when a delivery is late.
        """
        packed = any_pb2.Any()
        packed.Pack(wrappers_pb2.StringValue(value=config.to_json()))
        spans = None
        if span is not None and "{SPAN}" in pattern:
            spans = range_config_pb2.RangeConfig(
                static_range=range_config_pb2.StaticRange(
                    start_span_number=span, end_span_number=span
                )
            )
        super().__init__(
            input_base=literal(data_dir),
            input_config=example_gen_pb2.Input(
                splits=[example_gen_pb2.Input.Split(name="log", pattern=pattern)]
            ),
            output_config=example_gen_pb2.Output(
                split_config=example_gen_pb2.SplitConfig(
                    splits=[
                        example_gen_pb2.SplitConfig.Split(name=name, hash_buckets=1)
                        for name in SPLITS
                    ]
                )
            ),
            custom_config=example_gen_pb2.CustomConfig(custom_config=packed),
            range_config=spans,
        )
