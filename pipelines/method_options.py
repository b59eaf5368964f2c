"""Methods by which ``mtfx ranking`` trains: supervised, or RMTL's schedule."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

from mtfx.config import Config, override, settings_of
from mtfx.datasets.spec import Task
from mtfx.errors import UserError, require
from mtfx.setting import Value, read_setting
from mtfx.trainers.ranking.config import RmtlTrainingConfig
from mtfx.trainers.ranking.settings import RmtlSettings

Method = Literal["supervised", "rmtl"]
METHODS: tuple[Method, ...] = get_args(Method)


@dataclasses.dataclass(frozen=True)
class MethodOptions(Config):
    """The training method.

    Attributes:
      name: supervised minimises the weighted losses; rmtl pretrains so, trains critics of the
        session MDP, and retrains with their weights.
      settings: A setting of RMTL, such as lambda=0.5; see below.
      critic_path: Folder with the critics of an earlier RMTL training, to use instead of new ones.
    """

    name: Method = "supervised"
    settings: tuple[tuple[str, Value], ...] = ()
    critic_path: str = ""

    def __post_init__(self) -> None:
        require(self.name in METHODS, f"--method {self.name!r} is not one of {', '.join(METHODS)}")
        require(
            self.name == "rmtl" or not (self.settings or self.critic_path),
            "--set and --critics are for --method rmtl",
        )
        known = settings_of(RmtlSettings()) if self.settings else {}
        for name, value in self.settings:
            require(name in known, f"--set knows no {name!r}; it takes: {', '.join(known)}")
            try:
                read_setting(RmtlSettings(), name, value)
            except ValueError as error:
                raise UserError(f"--set {name}={value}: {error}") from None

    def check(self, tasks: Sequence[Task]) -> None:
        """Checks tasks and files, before anything slow starts.

        Raises:
          UserError: if RMTL is to train a task that is not binary, or there are no critics.
        """
        if self.name != "rmtl":
            return
        for task in tasks:
            require(
                task.kind == "binary",
                f"--method rmtl: its reward is a cross-entropy, but {task.name} is a {task.kind}",
                "name binary tasks with --tasks",
            )
        require(
            not self.critic_path or Path(self.critic_path, "critics.json").is_file(),
            f"--critics {self.critic_path} holds no critics (critics.json is missing)",
            "give the folder `critic` of an earlier run's Trainer artifact `model_run`",
        )

    def build(self, batch_size: int) -> RmtlTrainingConfig | None:
        """RMTL's configuration, or None for supervised training."""
        if self.name != "rmtl":
            return None
        settings = override(RmtlSettings(), dict(self.settings))
        return settings.training_config("rmtl", batch_size, self.critic_path)
