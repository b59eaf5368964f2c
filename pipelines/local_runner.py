"""Runner of TFX pipelines on this machine, stage by stage, which says what each stage did.

TFX's own ``LocalDagRunner`` returns nothing and reports only through logs. This runner launches
the same nodes in the same way and keeps what a command line and a report need: the seconds each
stage took, whether its result came from the cache, and where its outputs are.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import logging
import re
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Literal, NamedTuple, Protocol, cast

from ml_metadata.proto import metadata_store_pb2
from tfx.dsl.compiler import constants
from tfx.orchestration import metadata
from tfx.orchestration.local import runner_utils
from tfx.orchestration.pipeline import Pipeline
from tfx.orchestration.portable import launcher, runtime_parameter_utils, tfx_runner
from tfx.orchestration.portable.mlmd import execution_lib
from tfx.proto.orchestration import local_deployment_config_pb2, pipeline_pb2
from tfx.utils import telemetry_utils

from mtfx.errors import StageError, data_error_in
from mtfx.pipelines import beam_signatures, moved_run, run_state

#: Any layer may report rows of the running stage to this logger: ``extra={"rows": 1000}``.
PROGRESS_LOGGER = "mtfx.progress"

Status = Literal["finished", "cached", "skipped"]


class OutputArtifact(NamedTuple):
    """Where an output is, and the properties (custom ones included) recorded with it."""

    uri: str
    properties: dict[str, int | float | str]


@dataclasses.dataclass(frozen=True)
class StageResult:
    """What one stage did.

    Attributes:
      name: Node id.
      status: ``cached`` if an earlier run's outputs were taken, ``skipped`` if the stage's
        condition did not hold.
      seconds: Wall clock, in seconds.
      outputs: By output key, the artifacts in order.
      rows: Rows the stage handled, where known.
    """

    name: str
    status: Status
    seconds: float
    outputs: dict[str, tuple[OutputArtifact, ...]]
    rows: int | None = None


@dataclasses.dataclass(frozen=True)
class RunResult:
    """What a run did.

    Attributes:
      run_id: The pipeline run's id in ML Metadata.
      stages: By node id, in the order they ran.
    """

    run_id: str
    stages: dict[str, StageResult]

    @property
    def seconds(self) -> dict[str, float]:
        """Seconds by node id."""
        return {name: stage.seconds for name, stage in self.stages.items()}

    def output(self, node: str, key: str) -> OutputArtifact:
        """The one artifact that ``node`` put out under ``key``.

        Raises:
          KeyError: if the node ran no such output.
        """
        artifacts = self.stages[node].outputs.get(key, ())
        if not artifacts:
            raise KeyError(f"stage {node} has no output {key!r}")
        return artifacts[0]


class StageObserver(Protocol):
    """Notified of what happens, while it happens. All calls come from the running process."""

    def run_started(self, stages: tuple[str, ...]) -> None:
        """The run begins; ``stages`` are the node ids in order."""

    def started(self, stage: str) -> None:
        """A stage begins."""

    def progressed(self, stage: str, rows: int) -> None:
        """The running stage has handled ``rows`` more rows (possibly from another thread)."""

    def finished(self, result: StageResult) -> None:
        """A stage ended well."""

    def failed(self, stage: str, seconds: float, error: BaseException) -> None:
        """A stage raised ``error``, which is raised on after this call."""


class SilentObserver:
    """An observer that does nothing."""

    def run_started(self, stages: tuple[str, ...]) -> None:
        """Does nothing."""

    def started(self, stage: str) -> None:
        """Does nothing."""

    def progressed(self, stage: str, rows: int) -> None:
        """Does nothing."""

    def finished(self, result: StageResult) -> None:
        """Does nothing."""

    def failed(self, stage: str, seconds: float, error: BaseException) -> None:
        """Does nothing."""


_ERROR = re.compile(r"^(?:\w+\.)*\w*Error: (.+)$", re.MULTILINE)

RowCounters = Mapping[str, Callable[[StageResult], int | None]]


class LocalRunner(tfx_runner.IrBasedRunner):
    """Runs a compiled pipeline's nodes one after the other, in topological order."""

    def __init__(self, observer: StageObserver, row_counters: RowCounters | None = None):
        """Makes a runner.

        Args:
          observer: Notified of each stage.
          row_counters: By node id, how many rows a finished stage handled.
        """
        self._observer = observer
        self._row_counters = row_counters or {}

    def run_with_ir(
        self,
        pipeline: pipeline_pb2.Pipeline,
        run_options: pipeline_pb2.RunOptions | None = None,
    ) -> RunResult:
        """Runs the pipeline.

        Args:
          pipeline: The compiled pipeline, with its metadata connection.
          run_options: Must be None: caching already skips what need not run again.

        Returns:
          What each stage did.

        Raises:
          StageError: if a stage fails.
          UserError: if another run is using the same metadata database.
        """
        if run_options is not None:
            raise ValueError("partial runs are not supported; the cache skips unchanged stages")
        run_id = datetime.datetime.now().isoformat()
        runtime_parameter_utils.substitute_runtime_parameter(
            pipeline, {constants.PIPELINE_RUN_ID_PARAMETER_NAME: run_id}
        )
        deployment = runner_utils.extract_local_deployment_config(pipeline)
        choice = deployment.metadata_connection_config
        connection = getattr(choice, choice.WhichOneof("connection_config"))
        nodes = [node.pipeline_node for node in pipeline.nodes]
        nodes = [node for node in nodes if not node.execution_options.HasField("skip")]
        stages: dict[str, StageResult] = {}
        with (
            run_state.exclusive(connection),
            telemetry_utils.scoped_labels({telemetry_utils.LABEL_TFX_RUNNER: "local"}),
            beam_signatures.remembered(),
        ):
            run_state.discard_unfinished(connection, pipeline.runtime_spec)
            moved_run.follow(connection)
            self._observer.run_started(tuple(node.node_info.id for node in nodes))
            for node in nodes:
                result = self._run_node(node, pipeline, deployment, connection)
                stages[result.name] = result
                self._observer.finished(result)
        return RunResult(run_id, stages)

    def _run_node(
        self,
        node: pipeline_pb2.PipelineNode,
        pipeline: pipeline_pb2.Pipeline,
        deployment: local_deployment_config_pb2.LocalDeploymentConfig,
        connection: metadata_store_pb2.ConnectionConfig,
    ) -> StageResult:
        name = node.node_info.id
        self._observer.started(name)
        begin = time.monotonic()
        try:
            with _row_reports(name, self._observer):
                execution = launcher.Launcher(
                    pipeline_node=node,
                    mlmd_connection=metadata.Metadata(connection),
                    pipeline_info=pipeline.pipeline_info,
                    pipeline_runtime_spec=pipeline.runtime_spec,
                    executor_spec=runner_utils.extract_executor_spec(deployment, name),
                    custom_driver_spec=runner_utils.extract_custom_driver_spec(deployment, name),
                ).launch()
                execution_id = execution.execution_id if execution else None
                status, outputs = _published(connection, node, execution_id)
        except BaseException as error:
            self._observer.failed(name, time.monotonic() - begin, error)
            if isinstance(error, Exception) and not isinstance(error, StageError):
                cause = data_error_in(error) or error
                raise StageError(name, str(cause) or type(cause).__name__) from error
            raise
        result = StageResult(name, status, time.monotonic() - begin, outputs)
        if name in self._row_counters and status != "skipped":
            result = dataclasses.replace(result, rows=self._row_counters[name](result))
        return result


def run(
    pipeline: Pipeline, observer: StageObserver, row_counters: RowCounters | None = None
) -> RunResult:
    """Compiles and runs a TFX pipeline on this machine.

    Args:
      pipeline: The pipeline; its metadata connection is normally SQLite.
      observer: Notified of each stage as it starts, advances and ends.
      row_counters: By node id, how many rows a finished stage handled.

    Returns:
      What each stage did, with the URIs of its outputs.

    Raises:
      StageError: if a stage fails; ``__cause__`` is what it raised.
      UserError: if another run is using the same metadata database.
    """
    return cast(RunResult, LocalRunner(observer, row_counters).run(pipeline))


def _published(
    connection: metadata_store_pb2.ConnectionConfig,
    node: pipeline_pb2.PipelineNode,
    execution_id: int | None,
) -> tuple[Status, dict[str, tuple[OutputArtifact, ...]]]:
    """How ML Metadata recorded the execution, and its outputs.

    The launcher's own return value cannot tell a cached execution, and for one it names output
    directories that were never written.
    """
    if execution_id is None:
        return "skipped", {}
    with metadata.Metadata(connection) as handle:
        [execution] = handle.store.get_executions_by_id([execution_id])
        if not execution_lib.is_execution_successful(execution):
            # Unresolvable inputs are recorded as a failure, but not raised by the launcher.
            message = execution.custom_properties["__execution_result__"].string_value
            raise StageError(
                node.node_info.id,
                _cause(message) or "its inputs could not be resolved; see the log",
            )
        found = execution_lib.get_output_artifacts(handle, execution_id)
    outputs = {
        key: tuple(OutputArtifact(a.uri, _properties(a.mlmd_artifact)) for a in artifacts)
        for key, artifacts in found.items()
    }
    # Resolvers, which always run, are recorded in the state of cached executions too.
    is_resolver = node.node_info.type.name.startswith("tfx.dsl.components.common")
    cached = execution.last_known_state == metadata_store_pb2.Execution.CACHED and not is_resolver
    return ("cached" if cached else "finished"), outputs


def _cause(message: str) -> str:
    """The first error of a traceback that TFX keeps as an execution's result, without its class."""
    found = _ERROR.search(message.replace("\\n", "\n"))
    return found.group(1).strip().rstrip('",') if found else message


def _properties(artifact: metadata_store_pb2.Artifact) -> dict[str, int | float | str]:
    values: dict[str, int | float | str] = {}
    for properties in (artifact.properties, artifact.custom_properties):
        for key, value in properties.items():
            kind = value.WhichOneof("value")
            if kind in ("int_value", "double_value", "string_value", "bool_value"):
                values[key] = getattr(value, kind)
    return values


class _RowHandler(logging.Handler):
    def __init__(self, stage: str, observer: StageObserver):
        super().__init__()
        self._stage = stage
        self._observer = observer

    def emit(self, record: logging.LogRecord) -> None:
        rows = getattr(record, "rows", None)
        if isinstance(rows, int):
            self._observer.progressed(self._stage, rows)


@contextlib.contextmanager
def _row_reports(stage: str, observer: StageObserver) -> Iterator[None]:
    handler = _RowHandler(stage, observer)
    logger = logging.getLogger(PROGRESS_LOGGER)
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
