"""Orders trials so that each comes after those it requires."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol, TypeVar


class Requiring(Protocol):
    """A trial that names the trials whose results it reads."""

    @property
    def key(self) -> str:
        """Unique among the trials."""
        ...

    @property
    def required_trials(self) -> Sequence[Requiring]:
        """The trials whose results this one reads."""
        ...


AnyTrial = TypeVar("AnyTrial", bound=Requiring)


def with_requirements(trials: Iterable[AnyTrial]) -> tuple[AnyTrial, ...]:
    """The trials and all they require, each once, every one after those it requires."""
    ordered: dict[str, Requiring] = {}

    def add(trial: Requiring) -> None:
        if trial.key not in ordered:
            for required in trial.required_trials:
                add(required)
            ordered[trial.key] = trial

    for trial in trials:
        add(trial)
    return tuple(ordered.values())  # type: ignore[return-value]  # a trial requires its own kind
