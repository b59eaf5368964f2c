"""What the command line may set, checked before anything slow is imported.

Building models, trainers and evaluations needs TensorFlow, which takes seconds to import; a wrong
flag must be answered at once. These classes therefore hold plain values, where None stands for the
default of the layer below, and make that layer's own configuration when asked.
"""

from __future__ import annotations

import dataclasses
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, get_args

from mtfx.config import Config, OneOf
from mtfx.datasets.registry import load_dataset, resolve_name
from mtfx.datasets.spec import DatasetSpec, Task
from mtfx.errors import UserError, require
from mtfx.models.config import MODEL_SIZES, ModelSize, model_sizes
from mtfx.models.loss_weighting.registry import LOSS_WEIGHTINGS
from mtfx.models.mtl.registry import BACKBONES
from mtfx.pipelines.spans import has_span

if TYPE_CHECKING:
    from mtfx.evaluation.config import Thresholds
    from mtfx.models.config import ModelConfig
    from mtfx.trainers.ranking.config import TrainingConfig

Strategy = Literal["default", "mirrored", "multi_worker_mirrored"]
STRATEGIES: tuple[Strategy, ...] = get_args(Strategy)

#: The trainer's defaults, for the help texts; a test holds them to the trainer's own.
TRAINER_DEFAULTS: dict[str, float] = {
    "epochs": 10,
    "batch_size": 2048,
    "learning_rate": 0.001,
    "patience": 2,
}

_DATASET = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*\Z|[a-z][a-z0-9-]*\Z")


@dataclasses.dataclass(frozen=True)
class DataOptions(Config):
    """Which log is read, and how it becomes sessions.

    Attributes:
      dataset: Name of the data set, which `mtfx datasets` lists, or your own as module:ATTRIBUTE;
        synthetic is the one that the directory holds.
      data_dir: Directory of the log's files.
      tasks: Feedback to predict, by name; by default the data set's.
      pattern: Files of the directory to read; {SPAN} in a folder's name stands for the number of a
        delivery, such as 'day-{SPAN}/*', and {SPAN:8} for one of eight digits.
      span: Number for {SPAN}: the delivery to read.
      earlier_spans: Deliveries that are read together with it, in order: a rolling window.
      split_fractions: Shares of sessions in train, eval and test, by start time (RMTL, section
        3.1.1).
      gap_minutes: Away for longer than this: a new session. By default the data set's.
      max_session_length: Longer sessions are split in several. By default the data set's.
      max_bad_rows: Share of a file's rows that may be quarantined before the run fails.
      schema_file: A curated TFX schema in text form, instead of the one made from the data set's
        description.
    """

    dataset: str
    data_dir: str
    tasks: tuple[str, ...] = ()
    pattern: str = "*"
    span: int = 1
    earlier_spans: tuple[int, ...] = ()
    split_fractions: tuple[float, float, float] = (0.6, 0.2, 0.2)
    gap_minutes: float | None = None
    max_session_length: int | None = None
    max_bad_rows: float = 0.01
    schema_file: str | None = None

    def __post_init__(self) -> None:
        try:
            name = resolve_name(self.dataset, self.data_dir)
        except ValueError as error:
            raise UserError(
                f"--dataset: {error}", "make one: mtfx synthesize --output-dir DATA_DIR"
            ) from error
        object.__setattr__(self, "dataset", name)
        require(
            _DATASET.match(self.dataset) is not None,
            f"--dataset {self.dataset!r} is neither a name nor module:ATTRIBUTE",
            "`mtfx datasets` lists the names",
        )
        require(
            len(set(self.tasks)) == len(self.tasks),
            f"--tasks names a task twice: {', '.join(self.tasks)}",
        )
        require(
            not os.path.isabs(self.pattern) and ".." not in self.pattern.split("/"),
            f"--pattern {self.pattern!r} leads out of --data-dir",
            "it names files below that directory, such as 'day-{SPAN}/*'",
        )
        require(self.span >= 0, f"--span must not be negative, got {self.span}")
        require(
            not self.earlier_spans or has_span(self.pattern),
            f"--pattern {self.pattern!r} has no {{SPAN}}, by which several deliveries could be "
            "told apart",
            "for example --pattern 'day-{SPAN}/*'",
        )
        shares = self.split_fractions
        require(
            len(shares) == 3
            and all(0 < share < 1 for share in shares)
            and abs(sum(shares) - 1) < 1e-6,
            "--split must be three shares between 0 and 1 that sum to 1, got "
            + ",".join(f"{share:g}" for share in shares),
            "for example --split 0.6,0.2,0.2 (train, eval, test)",
        )
        require(
            self.gap_minutes is None or self.gap_minutes > 0,
            f"--gap-minutes must be positive, got {self.gap_minutes}",
        )
        require(
            self.max_session_length is None or self.max_session_length >= 1,
            f"--max-session-length must be at least 1, got {self.max_session_length}",
        )
        require(
            0 <= self.max_bad_rows <= 1,
            f"--max-bad-rows is a share from 0 to 1, got {self.max_bad_rows:g}",
            "0.01 allows one row in a hundred to be quarantined",
        )

    def spec(self) -> DatasetSpec:
        """The data set's description, without the overrides.

        Raises:
          UserError: if there is no such data set.
        """
        try:
            return load_dataset(self.dataset)
        except ValueError as error:
            hint = (
                "a module is looked for in the current directory too; `mtfx datasets` lists names"
            )
            raise UserError(f"--dataset: {error}", hint) from error

    def selected_tasks(self) -> tuple[Task, ...]:
        """The tasks to train.

        Raises:
          UserError: if the data set lacks one of them.
        """
        try:
            return self.spec().select_tasks(self.tasks)
        except ValueError as error:
            raise UserError(f"--tasks: {error}") from error

    def check_files(self) -> None:
        """Checks that the directory holds a log of the data set.

        Raises:
          UserError: naming the flag and the directory.
        """
        require(
            self.schema_file is None or Path(self.schema_file).is_file(),
            f"--schema {self.schema_file} is not a file",
        )
        if "://" in self.data_dir:  # Beam reads it; a look from here could take long.
            return
        directory = Path(self.data_dir)
        require(
            directory.is_dir(),
            f"--data-dir {directory} is not a directory",
            "`mtfx synthesize` makes a data set to start with",
        )
        folder = os.path.dirname(self.pattern).replace("{SPAN}", "*").replace("{VERSION}", "*")
        logs = [os.path.join(folder, name) for name in self.spec().log_files]
        require(
            any(True for log in logs for _ in directory.glob(log)),
            f"--data-dir {directory} has no log of data set {self.dataset}, "
            f"which reads {', '.join(logs)}",
            "check --dataset, unpack the files there, or name their folder with --pattern",
        )


@dataclasses.dataclass(frozen=True)
class ModelOptions:
    """Which model is trained.

    Attributes:
      backbone: The multi-task model; see `mtfx backbones`.
      size: RMTL's layer sizes, or small ones for some 100,000 impressions.
      task_weights: Weight of a task's loss, TASK=WEIGHT, 1 by default; may be given for several
        tasks.
      loss_weighting: How tasks are balanced while training; see `mtfx backbones`.
    """

    backbone: Annotated[str, OneOf(BACKBONES)] = "mmoe"
    size: ModelSize = "paper"
    task_weights: tuple[tuple[str, float], ...] = ()
    loss_weighting: Annotated[str, OneOf(LOSS_WEIGHTINGS)] = "constant"

    def __post_init__(self) -> None:
        require(
            self.backbone in BACKBONES,
            f"--backbone {self.backbone!r} is unknown; there are: {', '.join(BACKBONES)}",
            "`mtfx backbones` describes them",
        )
        require(
            self.size in MODEL_SIZES,
            f"--model-size {self.size!r} is not one of {', '.join(MODEL_SIZES)}",
        )
        for name, weight in self.task_weights:
            require(weight >= 0, f"--task-weight {name}={weight:g} must not be negative")
        require(
            self.loss_weighting in LOSS_WEIGHTINGS,
            f"--loss-weighting {self.loss_weighting!r} is not one of " + ", ".join(LOSS_WEIGHTINGS),
            "`mtfx backbones` describes them",
        )

    def build(self, seed: int) -> ModelConfig:
        """The model's configuration, with ``seed`` as its backbone's. Imports TensorFlow."""
        from mtfx.models.config import ModelConfig

        sizes, state = model_sizes(self.backbone, self.size, seed)
        return ModelConfig(
            backbone=self.backbone,
            sizes=sizes,
            state=state,
            task_weights=self.task_weights,
            loss_weighting=self.loss_weighting,
        )


@dataclasses.dataclass(frozen=True)
class TrainingOptions:
    """How the model is trained; None is the trainer's default.

    Attributes:
      epochs: Passes over the training sessions, at most.
      batch_size: Impressions per step.
      learning_rate: Adam's.
      patience: Epochs without a better validation AUC after which training stops.
      mixed_precision: Compute in bfloat16 where that is safe.
      strategy: Name of the ``tf.distribute`` strategy: one device, all local ones, or those of the
        cluster in ``TF_CONFIG``.
      jit_compile: Compile the training step with XLA.
      deterministic: Repeat every sum in the same order, at a cost in speed.
    """

    epochs: int | None = None
    batch_size: int | None = None
    learning_rate: float | None = None
    patience: int | None = None
    mixed_precision: bool | None = None
    strategy: Strategy | None = None
    jit_compile: bool | None = None
    deterministic: bool | None = None

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "patience"):
            value = getattr(self, name)
            flag = "--" + name.replace("_", "-")
            require(value is None or value >= 1, f"{flag} must be at least 1, got {value}")
        require(
            self.learning_rate is None or 0 < self.learning_rate < 1,
            f"--learning-rate must lie between 0 and 1, got {self.learning_rate}",
            "RMTL uses 0.001",
        )
        require(
            self.strategy is None or self.strategy in STRATEGIES,
            f"--strategy {self.strategy!r} is not one of {', '.join(STRATEGIES)}",
        )

    def build(self, seed: int) -> TrainingConfig:
        """The trainer's configuration. Imports TensorFlow."""
        from mtfx.trainers.ranking.config import TrainingConfig

        return TrainingConfig(seed=seed, **given(self))


@dataclasses.dataclass(frozen=True)
class BlessingOptions:
    """What a model must reach on the test split to be blessed; None is the evaluation's default.

    Attributes:
      min_auc: Lower bound of every binary task's AUC.
      max_auc_drop: How far an AUC may fall below the latest blessed model's.
      min_r_squared: Lower bound of every regression task's coefficient of determination.
    """

    min_auc: float | None = None
    max_auc_drop: float | None = None
    min_r_squared: float | None = None

    def __post_init__(self) -> None:
        require(
            self.min_auc is None or 0 <= self.min_auc <= 1,
            f"--min-auc lies between 0 and 1, got {self.min_auc}",
        )
        require(
            self.max_auc_drop is None or 0 <= self.max_auc_drop <= 1,
            f"--max-auc-drop lies between 0 and 1, got {self.max_auc_drop}",
        )

    def build(self) -> Thresholds:
        """The evaluation's thresholds. Imports TensorFlow."""
        from mtfx.evaluation.config import Thresholds

        return Thresholds(**given(self))


def given(options: object) -> dict:
    """The fields of a dataclass that are not None, by name."""
    values = vars(options)
    return {name: value for name, value in values.items() if value is not None}
