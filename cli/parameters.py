"""Types of command-line values that several commands take."""

from __future__ import annotations

import typing
from collections.abc import Iterable
from typing import Any

import click

from mtfx.config import Setting, literal_of
from mtfx.setting import TrialConfig, Value, read_setting, recorded


class Names(click.ParamType):
    """Names separated by commas."""

    name = "A,B,…"

    def convert(
        self, value: str | tuple[str, ...], param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        """Splits at commas; click.BadParameter for an empty name."""
        if isinstance(value, tuple):
            return value
        names = tuple(name.strip() for name in value.split(","))
        if not all(names):
            self.fail(f"{value!r} has an empty name", param, ctx)
        return names


class Numbers(click.ParamType):
    """Whole numbers separated by commas."""

    name = "1,2,…"

    def convert(
        self, value: str | tuple[int, ...], param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        """Splits at commas; click.BadParameter for what is no number."""
        if isinstance(value, tuple):
            return value
        try:
            return tuple(map(int, value.split(",")))
        except ValueError:
            self.fail(f"{value!r} is no list of whole numbers, such as 128,512", param, ctx)


class TrialSetting(click.ParamType):
    """A setting of trials, as name and value."""

    name = "NAME=VALUE"

    def __init__(self, config: TrialConfig | None = None) -> None:
        """Takes the configuration that reads the value; without one the value stays a text."""
        self._config = config

    def convert(
        self,
        value: str | tuple[str, Value],
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> tuple[str, Value]:
        """Splits and reads; click.BadParameter for an unknown name or a wrong value."""
        if isinstance(value, tuple):
            return value
        name, equals, text = value.partition("=")
        if not equals:
            self.fail(f"{value!r} is not of the form lambda=0.5", param, ctx)
        if self._config is None:
            return name, text
        try:
            return name, read_setting(self._config, name, text)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class HyperParameter(click.ParamType):
    """A hyper-parameter of an agent, as name and Python literal."""

    name = "NAME=VALUE"

    def convert(
        self,
        value: str | tuple[str, Any],
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> tuple[str, Any]:
        """Splits and parses; click.BadParameter for what is no literal."""
        if isinstance(value, tuple):
            return value
        name, equals, text = value.partition("=")
        literal = literal_of(text)
        if not equals or (isinstance(literal, str) and not literal.isidentifier()):
            self.fail(f"{value!r} is not of the form rho=0.1 or hidden_units=(64,64)", param, ctx)
        return name, literal


def describe_settings(settings: Iterable[Setting], width: int) -> list[str]:
    """A line of help per setting: name, what it is, default."""
    lines = []
    for setting in settings:
        default = recorded(setting.default)
        words = typing.get_args(setting.kind) or (("no", "yes") if setting.kind is bool else ())
        choices = f": {' or '.join(words)}" if words else ""
        shown = f"{default:g}" if isinstance(default, float) else default
        lines.append(
            f"  {setting.name.ljust(width)}  {setting.help.removesuffix('.')}{choices}  [{shown}]"
        )
    return lines
