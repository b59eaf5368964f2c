"""Configuration of the ranking pipeline: everything that decides what a run produces."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from pathlib import Path

from mtfx.config import Config
from mtfx.errors import require
from mtfx.evaluation.config import Thresholds
from mtfx.models.config import ModelConfig
from mtfx.pipelines.beam_args import local_beam_args
from mtfx.pipelines.method_options import MethodOptions
from mtfx.pipelines.options import DataOptions
from mtfx.pipelines.run_folder import require_model
from mtfx.trainers.ranking.config import RmtlTrainingConfig, TrainingConfig

_MAX_SEED = 2**31 - 1
# Where and with how many processes a run happens, and what it is compared with, decides nothing
# about its model.
_PLACES = ("output_dir", "beam_pipeline_args", "enable_cache", "compare_trees")


@dataclasses.dataclass(frozen=True)
class RankingPipelineConfig(Config):
    """A run of the ranking pipeline.

    Attributes:
      data: The log and how it becomes sessions. Where no task is named, RMTL's schedule, whose
        reward is a cross-entropy, trains only the binary ones of the default tasks.
      output_dir: Where artifacts, metadata, logs and the report go.
      model: Which model; its seed is ``seed``, the length of its history the data's.
      training: How it is trained; its seed is ``seed``.
      thresholds: What it must reach.
      method_options: Supervised or by RMTL's schedule.
      base_model: Artifact of an earlier ranking model whose weights training begins with: warm
        start.
      compare_trees: Also train gradient-boosted trees on the same sessions, and report whether the
        model is better than they are.
      seed: Seed of everything random.
      beam_pipeline_args: Passed to Beam; see ``mtfx.pipelines.beam_args``.
      enable_cache: Whether a stage with unchanged inputs takes its earlier outputs.
    """

    data: DataOptions
    output_dir: str
    model: ModelConfig = dataclasses.field(default_factory=ModelConfig)
    training: TrainingConfig = dataclasses.field(default_factory=TrainingConfig)
    thresholds: Thresholds = dataclasses.field(default_factory=Thresholds)
    method_options: MethodOptions = dataclasses.field(default_factory=MethodOptions)
    base_model: str = ""
    compare_trees: bool = False
    seed: int = 0
    beam_pipeline_args: tuple[str, ...] = dataclasses.field(default_factory=local_beam_args)
    enable_cache: bool = True

    def __post_init__(self) -> None:
        require(
            0 <= self.seed <= _MAX_SEED, f"--seed must be from 0 to {_MAX_SEED}, got {self.seed}"
        )
        require(
            os.path.abspath(self.output_dir) != os.path.abspath(self.data.data_dir),
            f"--output-dir and --data-dir are the same directory: {self.output_dir}",
            "outputs must not mix with the input files",
        )
        history = dataclasses.replace(self.model.history, length=self.data.history_length)
        model = dataclasses.replace(self.model.with_seed(self.seed), history=history)
        object.__setattr__(self, "model", model)
        training = dataclasses.replace(self.training, seed=self.seed)
        object.__setattr__(self, "training", training)
        if self.method_options.name == "rmtl":
            object.__setattr__(self, "data", self.data.with_binary_tasks())
        for argument in self.beam_pipeline_args:
            require(
                argument.startswith("--"),
                f"--beam-arg {argument!r} does not begin with --",
                "write --beam-arg=--runner=FlinkRunner",
            )

    def check(self) -> None:
        """Checks data set, tasks and directories on this machine, before anything slow starts.

        Raises:
          UserError: naming the flag and what is wrong with it.
        """
        self.check_tasks()
        self.data.check_files()
        where = "give the artifact of a Trainer, below OUTPUT/pipeline/Trainer/model"
        require_model("--base-model", self.base_model, where)
        output = Path(self.output_dir)
        require(
            not output.exists() or output.is_dir(), f"--output-dir {output} is a file, not a folder"
        )

    def check_tasks(self) -> None:
        """Checks that data set, tasks, model and method go together; reads no data.

        Raises:
          UserError: naming the flag and what is wrong with it.
        """
        tasks = {task.name: task for task in self.data.selected_tasks()}
        for name, _ in self.model.task_weights:
            require(
                name in tasks,
                f"--task-weight names {name!r}, which is not trained; tasks: {', '.join(tasks)}",
            )
        if self.model.backbone == "esmm":
            for task in tasks.values():
                require(
                    task.parent is None or task.parent in tasks,
                    f"--backbone esmm needs task {task.parent!r}, because {task.name!r} can only "
                    "follow it",
                    f"add {task.parent} to --tasks",
                )
        self.method_options.check(tuple(tasks.values()))
        require(
            self.training.strategy != "multi_worker_mirrored"
            or self.method_options.name == "supervised",
            "--strategy multi_worker_mirrored is for --method supervised: RMTL's critics learn on "
            "one machine",
        )

    @property
    def metadata_path(self) -> Path:
        """The SQLite file of ML Metadata."""
        return Path(self.output_dir, "metadata.db")

    @property
    def log_path(self) -> Path:
        """The log of every run in this output directory."""
        return Path(self.output_dir, "logs", "mtfx.log")

    @property
    def report_dir(self) -> Path:
        """Where ``summary.json`` and ``index.html`` go."""
        return Path(self.output_dir, "report")

    @property
    def config_digest(self) -> str:
        """Twelve hexadecimal digits that change with whatever changes the model."""
        values = self.to_dict()
        for name in _PLACES:
            del values[name]
        text = json.dumps(values, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    @property
    def rmtl(self) -> RmtlTrainingConfig | None:
        """RMTL's configuration, None for supervised training. Imports TensorFlow."""
        return self.method_options.build(self.training.batch_size)
