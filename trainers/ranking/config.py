"""Configurations of the ranking Trainer: its run function, training, and RMTL's schedule."""

from __future__ import annotations

import dataclasses
from typing import Literal, get_args

from mtfx.agents.rmtl_config import RmtlConfig
from mtfx.config import Config
from mtfx.models.config import CriticConfig, CriticFeatures, ModelConfig

RetrainFrom = Literal["pretrained", "scratch"]
Strategy = Literal["default", "mirrored", "multi_worker_mirrored"]
#: The strategy of several machines.
MULTI_WORKER: Strategy = "multi_worker_mirrored"


@dataclasses.dataclass(frozen=True)
class TrainingConfig(Config):
    """Hyper-parameters of training; optimizer and learning rate are RMTL's.

    Attributes:
      batch_size: Impressions per training step, over all replicas.
      epochs: Passes over the training sessions, at most.
      learning_rate: Adam's.
      patience: Stop after this many epochs without a better validation AUC.
      seed: Seed of weights, dropout and shuffling.
      lazy_embeddings: Update only the embeddings that occur in a batch (see
        ``mtfx.models.optimizers``).
      mixed_precision: Compute hidden layers in bfloat16.
      strategy: The tf.distribute strategy: default is one device, mirrored all local ones,
        multi_worker_mirrored those of the cluster in the environment's TF_CONFIG.
      jit_compile: Compile the training step with XLA. For GPUs: on a CPU, XLA's scatters into large
        embedding tables made a step many times slower (``benchmarks/ranking_training.py --jit``).
      deterministic: Repeat every sum in the same order, at a cost in speed. Seeds are set in any
        case.
      steps_per_execution: Steps run between two returns to Python.
      shuffle_sessions: Sessions in the shuffle buffer, some kilobytes each. Files hold sessions by
        time, so that fewer than the log has make each epoch end with its last days.
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
    shuffle_sessions: int = 100_000

    def __post_init__(self) -> None:
        for name in ("batch_size", "epochs", "patience", "steps_per_execution", "shuffle_sessions"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if not 0 < self.learning_rate < 1:
            raise ValueError(
                f"learning_rate must lie between 0 and 1, got {self.learning_rate} (RMTL: 0.001)"
            )
        if self.strategy not in get_args(Strategy):
            raise ValueError(
                f"no strategy {self.strategy!r}; there are: {', '.join(get_args(Strategy))}"
            )


@dataclasses.dataclass(frozen=True)
class CriticTrainingConfig(Config):
    """How the critics are trained.

    Attributes:
      batch_size: Transitions per step.
      passes: At most this many steps, in passes over the transitions of the log.
      min_passes: Not converged before so many passes: the signed error is near zero as soon as the
        *mean* of Q is right, long before Q tells states apart.
      tolerance: Converged when the mean signed TD error (13) over a window lies within ±ε.
      window: Steps of a window, and between two checkpoints.
      replay_capacity: Frames in the replay buffer (RMTL's code: 500,000). Where the log is larger,
        the rest of it is replayed while the critics train.
      lanes: Sessions replayed side by side.
    """

    batch_size: int = 2048
    passes: int = 10
    min_passes: int = 3
    tolerance: float = 0.01
    window: int = 100
    replay_capacity: int = 500_000
    lanes: int = 512

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            if not getattr(self, field.name) > 0:
                raise ValueError(f"{field.name} must be positive, got {getattr(self, field.name)}")


@dataclasses.dataclass(frozen=True)
class RmtlTrainingConfig(Config):
    """Everything about RMTL that a ranking model's training does not already say.

    Attributes:
      agent: Hyper-parameters of the agent.
      critics: How its critics are trained.
      critic_dropout: See :class:`mtfx.models.config.CriticConfig`.
      critic_features: Likewise.
      critic_path: Take trained critics from here instead (RMTL section 3.4); empty trains them.
      retrain_from: Where the last stage begins: at the pretrained model, as the paper's authors
        answered, or at random weights.
      retrain_epochs: Passes of the last stage, at most; as in pretraining if None.
      retrain_learning_rate: Likewise.
      keep_start: Whether the pretrained model counts as an epoch of retraining, and so is the
        result if no epoch has a better validation score.
      max_impressions: Of the training split, kept in memory for the environment; the critics see no
        more than these.
    """

    agent: RmtlConfig = dataclasses.field(default_factory=RmtlConfig)
    critics: CriticTrainingConfig = dataclasses.field(default_factory=CriticTrainingConfig)
    critic_dropout: float = CriticConfig.dropout
    critic_features: CriticFeatures = CriticConfig.features
    critic_path: str = ""
    retrain_from: RetrainFrom = "pretrained"
    retrain_epochs: int | None = None
    retrain_learning_rate: float | None = None
    keep_start: bool = False
    max_impressions: int = 20_000_000

    def __post_init__(self) -> None:
        if self.retrain_from not in get_args(RetrainFrom):
            raise ValueError(
                f"retrain_from is one of {', '.join(get_args(RetrainFrom))}, "
                f"got {self.retrain_from!r}"
            )


@dataclasses.dataclass(frozen=True)
class RankingTrainerConfig(Config):
    """What the run function needs to know, carried in the Trainer's ``custom_config``.

    Attributes:
      dataset: Registry name or ``module:ATTRIBUTE``.
      tasks: Names of the tasks to train.
      model: Backbone and sizes.
      training: Optimisation.
      checkpoint_dir: Directory that outlives a killed run, so that the next one resumes.
      code_version: Recorded with the model, and part of the cache key.
      critics_version: Likewise, of the content of ``rmtl.critic_path``; empty where it names none.
      rmtl: RMTL's settings, to train by its schedule; None trains with the model's own loss
        weighting.
    """

    dataset: str
    tasks: tuple[str, ...]
    model: ModelConfig
    training: TrainingConfig
    checkpoint_dir: str
    code_version: str = ""
    critics_version: str = ""
    rmtl: RmtlTrainingConfig | None = None
