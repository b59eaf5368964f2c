"""Settings of trials: configurations whose fields say which stage they concern, and their range.

Trials share work. A setting is therefore part of a trial's identity only where it can change the
trial's result, so that another weight, for instance, trains no critic again.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import typing
from collections.abc import Iterable, Mapping
from typing import Any

from mtfx.config import Config, Setting, kinds_of, override, settings_of

#: A setting's value as trials, reports and result files record it; a truth is ``yes`` or ``no``.
Value = float | int | str
#: Settings that differ from the default, by name and in order of the names.
Values = tuple[tuple[str, Value], ...]


@dataclasses.dataclass(frozen=True)
class Concerns:
    """What a field of :class:`TrialConfig` concerns, as an annotation, and its range.

    Attributes:
      stage: What it concerns.
      upper: Largest number allowed.
      zero: Whether zero is allowed too.
    """

    stage: str
    upper: float = math.inf
    zero: bool = False

    def check(self, name: str, value: float) -> None:
        """Raises ValueError, naming the setting, if its value is out of range."""
        if (value > 0 or (value == 0 and self.zero)) and value <= self.upper:
            return
        lower = "not be negative" if self.zero else "be positive"
        bound = f" and at most {self.upper:g}" if math.isfinite(self.upper) else ""
        raise ValueError(f"{name} must {lower}{bound}, got {value}")


@dataclasses.dataclass(frozen=True)
class TrialConfig(Config):
    """Base of the settings of trials: numbers, words, truths, each with :class:`Concerns`."""

    def __post_init__(self) -> None:
        for name, setting in settings_of(self).items():
            if isinstance(setting.default, (int, float)) and not isinstance(setting.default, bool):
                _concerns(type(self))[name].check(name, setting.default)


def stage_settings(config: TrialConfig, stages: Iterable[str]) -> dict[str, Setting]:
    """The settings that concern some stages, by name."""
    wanted, concerns = set(stages), _concerns(type(config))
    return {
        name: setting
        for name, setting in settings_of(config).items()
        if concerns[name].stage in wanted
    }


def changes(
    config: TrialConfig,
    stages: Iterable[str],
    values: Mapping[str, Any] | Iterable[tuple[str, Any]],
) -> Values:
    """The values that concern some stages and differ from those of ``config``, sorted by name.

    Two trials that must give the same result then have the same changes.

    Args:
      config: What there is without them.
      stages: What the result depends on.
      values: By name; numbers may be texts.

    Raises:
      ValueError: naming the setting, if it is unknown or the value is not allowed.
    """
    changed = stage_settings(override(config, dict(values)), stages)
    before = settings_of(config)
    return tuple(
        (name, recorded(setting.default))
        for name, setting in sorted(changed.items())
        if setting.default != before[name].default
    )


def read_setting(config: TrialConfig, name: str, value: Any) -> Value:
    """A setting's value in its type, checked, as :func:`recorded`.

    Raises:
      ValueError: as :func:`changes`.
    """
    return recorded(settings_of(override(config, {name: value}))[name].default)


def recorded(value: Any) -> Value:
    """A value as :data:`Values` have it."""
    return ("no", "yes")[value] if isinstance(value, bool) else value


@functools.cache
def _concerns(kind: type[TrialConfig]) -> dict[str, Concerns]:
    return {
        name.removesuffix("_"): note
        for name, annotated in kinds_of(kind).items()
        for note in typing.get_args(annotated)
        if isinstance(note, Concerns)
    }
