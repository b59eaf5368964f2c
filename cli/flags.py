"""Flags of the command line, made from the fields of configurations.

A field has its name, type, default and help in one place, the configuration; here they become an
option of click, and the options' values become a configuration again.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, Generic, TypeVar

import click

from mtfx.cli.parameters import HyperParameter, Names, Numbers
from mtfx.config import OneOf, field_help, kinds_of
from mtfx.errors import UserError

T = TypeVar("T")
Command = TypeVar("Command", bound=Callable[..., Any])


@dataclasses.dataclass(frozen=True)
class Flags(Generic[T]):
    """Some fields of a configuration as flags; a decorator for a command.

    Attributes:
      kind: Class of the configuration.
      fields: Names of the fields, in the order of ``--help``.
      names: Flags that are not called like their field, such as ``--fusion`` of ``formula``.
      types: Of fields whose type click has no words for.
      defaults: That differ from the configuration's.
      helps: Where a flag needs other words than the field.
      make: What builds the configuration, if it is not its class.
      prefix: Before each help, such as ``ranking: `` where a command has flags of several kinds.
    """

    kind: type[T]
    fields: tuple[str, ...]
    names: Mapping[str, str] = dataclasses.field(default_factory=dict)
    types: Mapping[str, click.ParamType] = dataclasses.field(default_factory=dict)
    defaults: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    helps: Mapping[str, str] = dataclasses.field(default_factory=dict)
    make: Callable[..., T] | None = None
    prefix: str = ""

    def __call__(self, command: Command) -> Command:
        """The command with these flags."""
        for field in reversed(self.fields):
            command = self._option(field)(command)
        return command

    def flag(self, field: str) -> str:
        """The flag of a field."""
        return self.names.get(field, "--" + field.replace("_", "-"))

    def build(self, values: Mapping[str, Any], **others: Any) -> T:
        """The configuration of a command's values.

        Args:
          values: Of all flags of the command, by field.
          **others: Fields without a flag.

        Raises:
          UserError: naming the flag, if a value does not suit.
        """
        try:
            return (self.make or self.kind)(**self.taken(values), **others)
        except ValueError as error:
            raise UserError(self._named(str(error))) from error

    def taken(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The values of these flags, by field."""
        return {field: values[field] for field in self.fields}

    def _named(self, message: str) -> str:
        """An error's message about a field as one about its flag."""
        field, space, rest = message.partition(" ")
        if field not in self.fields:
            return message
        return self.flag(field).partition("/")[0] + space + rest

    def _option(self, field: str) -> Callable[[Command], Command]:
        [known] = [
            one for one in dataclasses.fields(typing.cast(Any, self.kind)) if one.name == field
        ]
        kind, default = _not_none(kinds_of(self.kind)[field]), _default(known)
        if field in self.defaults:
            default = self.defaults[field]
        required = default is dataclasses.MISSING
        many = _is_pairs(kind)
        words = self.helps.get(field) or field_help(self.kind).get(field, "")
        words = words.replace("``", "")
        if self.prefix:
            words = self.prefix + words[:1].lower() + words[1:]
        if choices := _names_of(kind):
            words += f" There are: {', '.join(choices)}."
        if default is not None and not required and default not in ((), "") and kind is not bool:
            words += f"  [default: {_shown(default)}]"
        extra: dict[str, Any] = {} if required else {"default": default}
        flag = self.flag(field)
        if kind is bool:
            off = f"{flag}/--no-{flag.removeprefix('--')}"
            flag = flag if "/" in flag else off
        else:
            extra["type"] = self.types.get(field) or _param_type(kind)
        return click.option(flag, field, help=words, required=required, multiple=many, **extra)


def _default(field: dataclasses.Field) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default


def _shown(default: Any) -> str:
    if isinstance(default, tuple):
        return ",".join(map(str, default))
    return f"{default:g}" if isinstance(default, float) else str(default)


def _is_pairs(kind: Any) -> bool:
    """Whether a field holds names with values, given one at a time."""
    inner = typing.get_args(kind)
    return typing.get_origin(kind) is tuple and typing.get_origin(inner[0]) is tuple


def _not_none(kind: Any) -> Any:
    """The type of a value that is given, of a field that may be None."""
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        [kind] = [one for one in typing.get_args(kind) if one is not type(None)]
    return kind


def _names_of(kind: Any) -> Collection[str]:
    """The only items of a field that holds several, of which click shows no list."""
    inner = typing.get_args(kind)[0] if typing.get_origin(kind) is typing.Annotated else None
    return kind.__metadata__[0].choices if typing.get_origin(inner) is tuple else ()


def _param_type(kind: Any) -> click.ParamType | type:
    """The type of click for a field's."""
    if typing.get_origin(kind) is typing.Annotated:
        base, *notes = typing.get_args(kind)
        [one_of] = [note for note in notes if isinstance(note, OneOf)]
        return Names() if typing.get_origin(base) is tuple else click.Choice(tuple(one_of.choices))
    if typing.get_origin(kind) is typing.Literal:
        return click.Choice(typing.get_args(kind))
    plain: dict[Any, click.ParamType | type] = {
        int: int,
        float: float,
        str: str,
        Path: click.Path(path_type=Path),
        tuple[str, ...]: Names(),
        tuple[int, ...]: Numbers(),
        tuple[tuple[str, Any], ...]: HyperParameter(),
    }
    return plain[kind]
