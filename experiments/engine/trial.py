"""Trials: the pieces of work of an experiment, each done once and found again by its key."""

from __future__ import annotations

import abc
import hashlib
import json
from collections.abc import Iterable
from typing import Any, ClassVar, TypeVar

from mtfx.setting import Values


class Trial(abc.ABC):
    """Base of all trials: frozen dataclasses that say what is done.

    Two trials that must give the same result are equal, and have one key: settings that do not
    concern a trial, or that have their default value, are left out of it.

    Attributes:
      seed: Seed of everything random.
      settings: Its settings that differ from the default.
    """

    __dataclass_fields__: ClassVar[dict[str, Any]]
    seed: int
    settings: Values

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise ValueError(f"a seed must not be negative, got {self.seed}")

    @property
    @abc.abstractmethod
    def name(self) -> str:
        """What is done, seed and settings aside; safe in a directory's name."""

    @property
    @abc.abstractmethod
    def work(self) -> str:
        """Trials of the same work take about as long as one another."""

    @property
    def required_trials(self) -> tuple[Trial, ...]:
        """The trials whose results this one reads."""
        return ()

    @property
    def requires(self) -> tuple[str, ...]:
        """Keys of the trials that must be done first."""
        return tuple(trial.key for trial in self.required_trials)

    @property
    def key(self) -> str:
        """Unique, readable and safe as a directory's name.

        Settings come as a digest; ``result.json`` has them in full.
        """
        changed = self._changed()
        text = json.dumps(changed).encode()
        digest = f"-{hashlib.sha256(text).hexdigest()[:8]}" if changed else ""
        return f"{self.name}-seed{self.seed}{digest}"

    def _changed(self) -> tuple[Any, ...]:
        """What is not the default; empty if everything is."""
        return self.settings


T = TypeVar("T", bound=Trial)


def with_requirements(trials: Iterable[T]) -> tuple[T, ...]:
    """The trials and all they require, each once, every one after those it requires."""
    ordered: dict[str, Trial] = {}

    def add(trial: Trial) -> None:
        if trial.key not in ordered:
            for required in trial.required_trials:
                add(required)
            ordered[trial.key] = trial

    for trial in trials:
        add(trial)
    return tuple(ordered.values())  # type: ignore[return-value]  # a trial requires its own kind
