"""How a model is trained, as plain data."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal, get_args

from mtfx.models.config_keys import check_keys

Strategy = Literal["default", "mirrored", "multi_worker_mirrored"]
#: The strategy of several machines.
MULTI_WORKER: Strategy = "multi_worker_mirrored"


@dataclasses.dataclass(frozen=True)
class TrainingConfig:
    """Hyper-parameters of training; optimizer and learning rate are RMTL's.

    Attributes:
      batch_size: Impressions per step, over all replicas.
      epochs: At most this many passes over the training split.
      learning_rate: Adam's.
      patience: Stop after this many epochs without a better validation score.
      seed: Seed of weights, dropout and shuffling.
      lazy_embeddings: Update only the embeddings that occur in a batch (see
        ``mtfx.models.optimizer``).
      mixed_precision: Hidden layers in bfloat16.
      strategy: tf.distribute strategy: ``default`` is one device, ``mirrored`` all local ones,
        ``multi_worker_mirrored`` all of the cluster described by the environment's ``TF_CONFIG``.
      jit_compile: Compile the training step with XLA. For GPUs: on a CPU, XLA's scatters into large
        embedding tables made a step many times slower (``benchmarks/ranking_training.py --jit``).
      deterministic: Make every TensorFlow operation deterministic, at a cost in speed. Seeds are
        set in any case; without this, sums may be taken in another order.
      steps_per_execution: Steps run between two returns to Python.
      shuffle_sessions: Sessions in the shuffle buffer.
    """

    batch_size: int = 2048
    epochs: int = 10
    learning_rate: float = 1e-3
    patience: int = 2
    seed: int = 0
    lazy_embeddings: bool = True
    mixed_precision: bool = False
    strategy: Strategy = "default"
    jit_compile: bool = False
    deterministic: bool = False
    steps_per_execution: int = 1
    shuffle_sessions: int = 20_000

    def __post_init__(self) -> None:
        for name in ("batch_size", "epochs", "patience", "steps_per_execution", "shuffle_sessions"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if not self.learning_rate > 0:
            raise ValueError(f"learning_rate must be positive, got {self.learning_rate}")
        if self.strategy not in get_args(Strategy):
            raise ValueError(
                f"no strategy {self.strategy!r}; there are: {', '.join(get_args(Strategy))}"
            )

    def to_dict(self) -> dict[str, Any]:
        """A dictionary of JSON types, for TFX's ``custom_config``."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> TrainingConfig:
        """The inverse of :meth:`to_dict`; raises ValueError for an unknown key."""
        check_keys(cls, values)
        return cls(**values)
