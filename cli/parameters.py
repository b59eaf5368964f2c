"""Types of command-line values that several commands take."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from typing import Any

import click

from mtfx.setting import Setting as TrialSetting
from mtfx.trainers.ranking.settings import SETTINGS, Value, parse_setting


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


class Setting(click.ParamType):
    """One of ``mtfx.trainers.ranking.settings``, as name and value."""

    name = "NAME=VALUE"

    def __init__(self, flags: Mapping[str, str] | None = None) -> None:
        """Takes the flags of settings that are not given in this way, by setting."""
        self._flags = flags or {}

    def convert(
        self,
        value: str | tuple[str, Value],
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> tuple[str, Value]:
        """Splits and parses; click.BadParameter for an unknown name or a wrong value."""
        if isinstance(value, tuple):
            return value
        name, equals, text = value.partition("=")
        if not equals:
            self.fail(f"{value!r} is not of the form lambda=0.5", param, ctx)
        if name in self._flags:
            self.fail(f"{name} has a flag of its own: {self._flags[name]}", param, ctx)
        try:
            return name, parse_setting(name, text)
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
        try:
            if not equals:
                raise ValueError
            # The name of a choice needs no quotes, which a shell would take away.
            is_word = text.isidentifier() and text not in ("True", "False", "None")
            return name, text if is_word else ast.literal_eval(text)
        except (ValueError, SyntaxError):
            self.fail(f"{value!r} is not of the form rho=0.1 or hidden_units=(64,64)", param, ctx)


def describe_settings(
    names: Iterable[str], width: int, settings: Mapping[str, TrialSetting] = SETTINGS
) -> list[str]:
    """A line of help per setting: name, what it is, default."""
    lines = []
    for name in names:
        setting = settings[name]
        default = f"{setting.default:g}" if isinstance(setting.default, float) else setting.default
        choices = f": {' or '.join(setting.choices)}" if setting.choices else ""
        lines.append(f"  {name.ljust(width)}  {setting.description}{choices}  [{default}]")
    return lines
