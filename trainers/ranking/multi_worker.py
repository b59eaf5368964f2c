"""Training on several machines: who is chief, who writes where, and how the others learn of a job.

TensorFlow takes the cluster from the environment's ``TF_CONFIG``, and only before its first
operation. The stages that run before the Trainer in the same process have had theirs, so the chief
trains in a process of its own, and each other machine runs one that waits for the chief's job::

    TF_CONFIG=... python -m mtfx.trainers.ranking.worker --job RUN/checkpoints/job.json
"""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import subprocess
import sys
import zlib

import tensorflow as tf
from tfx.components.trainer.fn_args_utils import FnArgs

from mtfx.files import write_atomically

#: Name of the file, below the checkpoint directory, by which the chief tells its job.
JOB_FILE = "job.json"
_CHIEF = "chief"
_FN_ARGS = (
    "train_files",
    "eval_files",
    "transform_output",
    "serving_model_dir",
    "model_run_dir",
    "base_model",
    "custom_config",
)


class ClusterError(RuntimeError):
    """The cluster is not described as it has to be, or its members do not do the same."""


@dataclasses.dataclass(frozen=True)
class Worker:
    """A member of the cluster.

    Attributes:
      name: Type and index, such as ``worker-1``.
      is_chief: Whether what it writes is kept. All write, because reading a variable that is
        spread over workers takes all of them.
    """

    name: str = "worker-0"
    is_chief: bool = True

    def own(self, directory: str) -> str:
        """Where this worker writes what belongs to ``directory``."""
        return directory if self.is_chief else f"{directory.rstrip('/')}.{self.name}"

    def clean_up(self, directory: str) -> None:
        """Removes what no one reads: the directory of a worker that is not chief."""
        if not self.is_chief and tf.io.gfile.exists(self.own(directory)):
            tf.io.gfile.rmtree(self.own(directory))


def this_worker() -> Worker:
    """The member of ``TF_CONFIG``'s cluster that this process is.

    Raises:
      ClusterError: if there is no ``TF_CONFIG``, or it describes no cluster of workers.
    """
    text = os.environ.get("TF_CONFIG", "")
    example = (
        '{"cluster": {"worker": ["a:2222", "b:2222"]}, "task": {"type": "worker", "index": 0}}'
    )
    hint = f"the strategy multi_worker_mirrored needs it on each machine, such as {example}"
    if not text:
        raise ClusterError(f"the environment has no TF_CONFIG; {hint}")
    try:
        config = json.loads(text)
        cluster, task = config["cluster"], config["task"]
        kind, index = task["type"], int(task["index"])
        members = len(cluster[kind])
    except (ValueError, KeyError, TypeError) as error:
        raise ClusterError(f"TF_CONFIG is not readable ({error!r}): {text}; {hint}") from error
    if set(cluster) - {_CHIEF, "worker"} or not 0 <= index < members:
        raise ClusterError(
            f"TF_CONFIG has to list chief and worker only, and this task among them: {text}; {hint}"
        )
    first = kind == _CHIEF or (_CHIEF not in cluster and index == 0)
    return Worker(f"{kind}-{index}", first)


@functools.cache
def cluster_strategy() -> tf.distribute.MultiWorkerMirroredStrategy:
    """The strategy, which a process can make only once, before any operation.

    Blocks until all members are there.
    """
    return tf.distribute.MultiWorkerMirroredStrategy()


def wait_for_all(job: str) -> None:
    """Returns when all members have come to this point.

    Args:
      job: What this one works at.

    Raises:
      ClusterError: if another one works at something else, such as what a killed chief left.
    """
    strategy = cluster_strategy()
    number = zlib.crc32(job.encode())

    @tf.function
    def gathered() -> tf.Tensor:
        def mine() -> tf.Tensor:
            context = tf.distribute.get_replica_context()
            return context.all_gather(tf.constant([number], tf.int64), axis=0)

        return strategy.run(mine)

    [numbers, *_] = strategy.experimental_local_results(gathered())
    if len(set(numbers.numpy().tolist())) > 1:
        raise ClusterError("the members of the cluster work at different jobs; start all anew")


def job_path(checkpoint_dir: str) -> str:
    """Where the job of a chief is, of the trainer that keeps its checkpoints there."""
    return os.path.join(checkpoint_dir, JOB_FILE)


def to_json(fn_args: FnArgs) -> str:
    """A training's arguments, for another process."""
    return json.dumps({name: getattr(fn_args, name) for name in _FN_ARGS}, sort_keys=True)


def from_json(text: str) -> FnArgs:
    """The inverse of :func:`to_json`."""
    return FnArgs(**json.loads(text))


def train_as_chief(fn_args: FnArgs, checkpoint_dir: str) -> None:
    """Trains in a new process, together with the workers that wait for this job.

    Args:
      fn_args: Of the run function.
      checkpoint_dir: A directory that all members see, as are those in ``fn_args``.

    Raises:
      ClusterError: if this is not the chief, or the process fails; why is in its output.
    """
    worker = this_worker()
    if not worker.is_chief:
        raise ClusterError(
            f"this is {worker.name} of TF_CONFIG's cluster, and the chief alone runs the pipeline; "
            f"here run: python -m mtfx.trainers.ranking.worker --job {job_path(checkpoint_dir)}"
        )
    path = job_path(checkpoint_dir)
    write_atomically(path, to_json(fn_args))
    try:
        command = [sys.executable, "-m", "mtfx.trainers.ranking.worker", "--job", path]
        code = subprocess.run(command, check=False).returncode
    finally:
        tf.io.gfile.remove(path)
    if code:
        raise ClusterError(f"the chief's training ended with code {code}; see the log for why")
