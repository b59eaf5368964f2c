"""Configurations: frozen dataclasses that all are written, read, changed and explained in one way.

The types, their nesting and the refusal of what does not fit are pydantic's; here are the words of
its errors, the settings of a command line, and the help that is taken from the docstrings.
"""

from __future__ import annotations

import ast
import dataclasses
import functools
import json
import typing
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, TypeVar

C = TypeVar("C", bound="Config")


class Config:
    """Base of all configurations; each is a frozen dataclass, and imports without TensorFlow."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}

    def to_dict(self) -> dict[str, Any]:
        """A dictionary of JSON types, such as TFX's ``custom_config``; tuples stay tuples."""
        return dataclasses.asdict(typing.cast(Any, self))

    def to_json(self) -> str:
        """JSON with sorted keys, so that equal configurations have equal texts."""
        return json.dumps(self.to_dict(), sort_keys=True)

    @classmethod
    def from_dict(cls: type[C], values: Mapping[str, Any]) -> C:
        """The inverse of :meth:`to_dict`, also after a round trip through JSON.

        Raises:
          ValueError: in one line that names the field, if it is unknown, or its value is of
            another type or out of range.
        """
        return cls.from_json(json.dumps(dict(values)))

    @classmethod
    def from_json(cls: type[C], text: str) -> C:
        """The inverse of :meth:`to_json`.

        Raises:
          ValueError: as :meth:`from_dict`, or if the text is no JSON object.
        """
        import pydantic

        values = json.loads(text)
        if not isinstance(values, dict):
            raise ValueError(f"{cls.__name__} is read from a JSON object, not from {text[:60]}")
        chosen = {
            name: kind.from_dict(values.pop(name))
            for name, kind in cls.config_types(values).items()
            if isinstance(values.get(name), dict)
        }
        try:
            config = _adapter(cls).validate_json(json.dumps(values), strict=True)
        except pydantic.ValidationError as error:
            raise ValueError(_in_words(cls, error)) from None
        return dataclasses.replace(config, **chosen) if chosen else config

    @classmethod
    def config_types(cls, values: Mapping[str, Any]) -> Mapping[str, type[Config]]:
        """Classes of the fields whose class another field names, such as an agent's config.

        Args:
          values: By field, as read.
        """
        del values
        return {}


@dataclasses.dataclass(frozen=True)
class Setting:
    """A value that can be set by ``NAME=VALUE``.

    Attributes:
      name: Of the field; ``outer.inner`` is the field ``inner`` of the field ``outer``.
      default: What it is if nobody sets it.
      kind: Its type.
      help: What the docstring says of it.
    """

    name: str
    default: Any
    kind: Any
    help: str


def settings_of(config: Config) -> dict[str, Setting]:
    """All values of a configuration, nested ones too, by name and in order."""
    found: dict[str, Setting] = {}
    helps, kinds = field_help(type(config)), _kinds(type(config))
    for field in dataclasses.fields(typing.cast(Any, config)):
        value = getattr(config, field.name)
        if isinstance(value, Config):
            for name, inner in settings_of(value).items():
                found[f"{field.name}.{name}"] = dataclasses.replace(
                    inner, name=f"{field.name}.{name}"
                )
        else:
            help_text = helps.get(field.name, "")
            found[field.name] = Setting(field.name, value, kinds[field.name], help_text)
    return found


def override(config: C, settings: Mapping[str, Any]) -> C:
    """The configuration with some values replaced; they are checked together.

    Args:
      config: Is left as it is.
      settings: New values by name, see :class:`Setting`; a text is read by the field's type, as a
        command line has nothing else.

    Raises:
      ValueError: naming the setting, if there is none of this name or the value does not suit.
    """
    known = settings_of(config)
    if unknown := [name for name in settings if name not in known]:
        raise ValueError(f"there is no setting {unknown[0]!r}; there are: {', '.join(known)}")
    values = {name: read_value(known[name], value) for name, value in settings.items()}
    return _replaced(config, values)


def read_value(setting: Setting, value: Any) -> Any:
    """A value in a setting's type.

    A text is a Python literal, ``(64,64)`` or ``1e-3``, or a word, which needs no quotes, as a
    shell would take them away; ``yes`` and ``no`` are a truth.

    Raises:
      ValueError: naming the setting and its default.
    """
    import pydantic

    literal = _literal(value) if isinstance(value, str) else value
    if isinstance(literal, str) and literal in ("yes", "no") and isinstance(setting.default, bool):
        literal = literal == "yes"
    try:
        return pydantic.TypeAdapter(setting.kind).validate_json(json.dumps(literal), strict=True)
    except (pydantic.ValidationError, TypeError):
        words = typing.get_args(setting.kind)
        wanted = (
            f"one of {', '.join(map(str, words))}"
            if typing.get_origin(setting.kind) is typing.Literal
            else f"a value such as {setting.default}, its default"
        )
        raise ValueError(f"{setting.name} is {wanted}; got {value!r}") from None


@functools.cache
def field_help(kind: type) -> dict[str, str]:
    """What the docstring of a configuration, or of one of its bases, says of each field."""
    import docstring_parser

    found: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        parsed = docstring_parser.parse(base.__doc__ or "", docstring_parser.Style.GOOGLE)
        found |= {
            part.arg_name: " ".join((part.description or "").split()) for part in parsed.params
        }
    return found


def _replaced(config: C, values: Mapping[str, Any]) -> C:
    own: dict[str, Any] = {}
    nested: dict[str, dict[str, Any]] = {}
    for name, value in values.items():
        outer, dot, inner = name.partition(".")
        if dot:
            nested.setdefault(outer, {})[inner] = value
        else:
            own[name] = value
    for outer, inside in nested.items():
        own[outer] = _replaced(getattr(config, outer), inside)
    return dataclasses.replace(typing.cast(Any, config), **own)


def _literal(text: str) -> Any:
    if text.isidentifier() and text not in ("True", "False", "None"):
        return text
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


@functools.cache
def _adapter(kind: type) -> Any:
    import pydantic

    return pydantic.TypeAdapter(kind)


@functools.cache
def _kinds(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _in_words(kind: type, error: Any) -> str:
    """The first of pydantic's errors in one line."""
    [first, *_] = error.errors(include_url=False)
    place: list[Any] = list(first["loc"])
    if first["type"] == "unexpected_keyword_argument":
        inner = _class_at(kind, place[:-1])
        fields = ", ".join(field.name for field in dataclasses.fields(inner))
        return f"{inner.__name__} has no {place[-1]!r}; it has: {fields}"
    if first["type"] == "value_error":
        return str(first["ctx"]["error"])
    name = ".".join(map(str, place))
    return f"{kind.__name__}: {name}: {first['msg']}, got {first['input']!r}"


def _class_at(kind: type, place: Iterable[Any]) -> type:
    """The dataclass that a path of fields leads to; the last one that can be told."""
    for step in place:
        inner = _kinds(kind).get(step) if dataclasses.is_dataclass(kind) else None
        kinds = [one for one in (inner, *typing.get_args(inner)) if dataclasses.is_dataclass(one)]
        if not kinds:
            return kind
        kind = typing.cast(type, kinds[0])
    return kind
