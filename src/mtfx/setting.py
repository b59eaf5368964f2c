"""A setting of trials that ``--set`` may change: its default, and which values it takes."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping

Value = float | int | str
#: Overrides of settings, by name and in order of the names.
Values = tuple[tuple[str, Value], ...]


@dataclasses.dataclass(frozen=True)
class Setting:
    """A setting of the trials.

    Attributes:
      stage: What it concerns; a key of the experiments' stages.
      default: Its value where it is not given, which also fixes its type.
      description: One line for the help text.
      choices: The only values allowed; empty allows any positive number.
      upper: Largest value allowed.
      zero: Whether zero is allowed too.
    """

    stage: str
    default: Value
    description: str
    choices: tuple[str, ...] = ()
    upper: float = math.inf
    zero: bool = False


def parse_value(settings: Mapping[str, Setting], name: str, value: Value) -> Value:
    """The value in the setting's type.

    Args:
      settings: Those that there are.
      name: Of the setting.
      value: As given, for example on the command line.

    Raises:
      ValueError: naming the setting, if it is unknown or the value is not allowed.
    """
    if name not in settings:
        raise ValueError(f"no setting {name!r}; there are: {', '.join(settings)}")
    setting = settings[name]
    if setting.choices:
        if value not in setting.choices:
            raise ValueError(f"{name} is one of {', '.join(setting.choices)}, got {value!r}")
        return value
    whole = isinstance(setting.default, int)
    try:
        number = float(value)
    except ValueError:
        raise ValueError(f"{name} is a number, got {value!r}") from None
    if whole and not number.is_integer():
        raise ValueError(f"{name} is a whole number, got {value}")
    if not (number > 0 or (number == 0 and setting.zero)) or number > setting.upper:
        lower = "not be negative" if setting.zero else "be positive"
        bound = f" and at most {setting.upper:g}" if math.isfinite(setting.upper) else ""
        raise ValueError(f"{name} must {lower}{bound}, got {value}")
    return int(number) if whole else number


def overrides(
    settings: Mapping[str, Setting],
    stages: Iterable[str],
    values: Mapping[str, Value] | Iterable[tuple[str, Value]],
) -> Values:
    """The values that concern some stages and differ from the default, sorted by name.

    Two trials that must give the same result then have the same overrides.

    Args:
      settings: Those that there are.
      stages: What the result depends on.
      values: By name.

    Raises:
      ValueError: as :func:`parse_value`.
    """
    wanted = set(stages)
    parsed = {name: parse_value(settings, name, value) for name, value in dict(values).items()}
    return tuple(
        (name, value)
        for name, value in sorted(parsed.items())
        if settings[name].stage in wanted and value != settings[name].default
    )
