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
from collections.abc import Collection, Mapping
from typing import Any, TypeVar

C = TypeVar("C", bound="Config")


class Config:
    """Base of all configurations; each is a frozen dataclass, and imports without TensorFlow."""

    def to_dict(self) -> dict[str, Any]:
        """A dictionary of JSON types, such as TFX's ``custom_config``; tuples stay tuples."""
        fields = dataclasses.fields(typing.cast(Any, self))
        return {field.name: _plain(getattr(self, field.name)) for field in fields}

    def to_json(self) -> str:
        """JSON with sorted keys, so that equal configurations have equal texts."""
        return json.dumps(self.to_dict(), sort_keys=True)

    @classmethod
    def from_dict(cls: type[C], values: Mapping[str, Any]) -> C:
        """The inverse of :meth:`to_dict`, also after a round trip through JSON.

        Raises:
          ValueError: in one line that names the field, if it is unknown or lacking, or its value is
            of another type or out of range.
        """
        if not isinstance(values, Mapping):
            raise ValueError(f"{cls.__name__} is read from a JSON object, not from {values!r:.60}")
        fields = {field.name: field for field in dataclasses.fields(typing.cast(Any, cls))}
        if unknown := [name for name in values if name not in fields]:
            raise ValueError(f"{cls.__name__} has no {unknown[0]!r}; it has: {', '.join(fields)}")
        if lacking := [name for name in fields if name not in values and _required(fields[name])]:
            raise ValueError(f"{cls.__name__} lacks {', '.join(lacking)}")
        chosen = cls.config_types(values)
        kinds = kinds_of(cls) | {
            name: chosen[name] for name in chosen if values.get(name) is not None
        }
        read = {name: _read(cls, name, kinds[name], value) for name, value in values.items()}
        return cls(**read)

    @classmethod
    def from_json(cls: type[C], text: str) -> C:
        """The inverse of :meth:`to_json`.

        Raises:
          ValueError: as :meth:`from_dict`, or if the text is no JSON object.
        """
        return cls.from_dict(json.loads(text))

    @classmethod
    def config_types(cls, values: Mapping[str, Any]) -> Mapping[str, Any]:
        """Types of the fields whose type another value decides, such as an agent's config.

        Args:
          values: By field, as read.

        Returns:
          By field; one that is absent or None is read by its annotation.
        """
        del values
        return {}

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        # Also inside a tuple or a union a configuration is read by its own class.
        from pydantic_core import core_schema

        del source, handler
        return core_schema.no_info_plain_validator_function(cls.from_dict)


@dataclasses.dataclass(frozen=True, eq=False)
class OneOf:
    """In ``Annotated[str, OneOf(REGISTRY)]``: the only values of a field, or of each of its items.

    Attributes:
      choices: The values, in the order of a help text.
    """

    choices: Collection[str]


def wrong_choice(config: Config) -> tuple[str, str] | None:
    """The first field annotated by :class:`OneOf` whose value is none of those, if there is one.

    Returns:
      The field, and what is wrong: "'x' is not one of a, b".
    """
    for name, kind in kinds_of(type(config)).items():
        for note in getattr(kind, "__metadata__", ()):
            value = getattr(config, name)
            for one in value if isinstance(value, tuple) else (value,):
                if one not in note.choices:
                    return name, f"{one!r} is not one of {', '.join(note.choices)}"
    return None


@dataclasses.dataclass(frozen=True)
class Setting:
    """A value that can be set by ``NAME=VALUE``.

    Attributes:
      name: Of the field; ``outer.inner`` is the field ``inner`` of the field ``outer``. The field
        ``lambda_``, whose name would be a keyword of Python, is the setting ``lambda``.
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
    helps, kinds = field_help(type(config)), kinds_of(type(config))
    for field in dataclasses.fields(typing.cast(Any, config)):
        value, name = getattr(config, field.name), field.name.removesuffix("_")
        if isinstance(value, Config):
            for inner_name, inner in settings_of(value).items():
                full_name = f"{name}.{inner_name}"
                found[full_name] = dataclasses.replace(inner, name=full_name)
        else:
            help_text = helps.get(field.name, "")
            kind = kinds[field.name]
            # Without what it is annotated by.
            kind = kind.__origin__ if hasattr(kind, "__metadata__") else kind
            found[name] = Setting(name, value, kind, help_text)
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
    shell would take them away; ``yes`` and ``no`` are a truth, and ``1e4`` is a whole number too.

    Raises:
      ValueError: naming the setting and its default.
    """
    import pydantic

    literal = literal_of(value) if isinstance(value, str) else value
    if isinstance(literal, str) and literal in ("yes", "no") and isinstance(setting.default, bool):
        literal = literal == "yes"
    if isinstance(literal, float) and literal.is_integer() and setting.kind is int:
        literal = int(literal)
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


def literal_of(text: str) -> Any:
    """A Python literal's value; the text itself if it is a word, which needs no quotes, or none."""
    if text.isidentifier() and text not in ("True", "False", "None"):
        return text
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


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
            # The field whose name would be a keyword.
            own[name if hasattr(config, name) else f"{name}_"] = value
    for outer, inside in nested.items():
        own[outer] = _replaced(getattr(config, outer), inside)
    return dataclasses.replace(typing.cast(Any, config), **own)


def _plain(value: Any) -> Any:
    if isinstance(value, Config):
        return value.to_dict()
    if isinstance(value, tuple | list):
        return type(value)(_plain(one) for one in value)
    if isinstance(value, Mapping):
        return {name: _plain(one) for name, one in value.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    return value


def _required(field: dataclasses.Field[Any]) -> bool:
    missing = dataclasses.MISSING
    return field.default is missing and field.default_factory is missing


def _read(cls: type, name: str, kind: Any, value: Any) -> Any:
    """A value of JSON types in a field's type."""
    import pydantic

    if isinstance(kind, type) and issubclass(kind, Config):
        return kind.from_dict(value)
    try:
        return _adapter(kind).validate_json(json.dumps(value), strict=True)
    except pydantic.ValidationError as error:
        [first, *_] = error.errors(include_url=False)
    if first["type"] == "value_error":
        raise ValueError(str(first.get("ctx", {})["error"]))
    place = ".".join(map(str, (name, *first["loc"])))
    raise ValueError(f"{cls.__name__}: {place}: {first['msg']}, got {first['input']!r}")


@functools.cache
def _adapter(kind: Any) -> Any:
    import pydantic

    return pydantic.TypeAdapter(kind)


@functools.cache
def kinds_of(kind: type) -> dict[str, Any]:
    """The types of a configuration's fields, with what they are annotated by."""
    return typing.get_type_hints(kind, include_extras=True)
