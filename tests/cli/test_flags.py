"""Flags that are made from the fields of a configuration."""

import dataclasses
from pathlib import Path
from typing import Annotated, Any, Literal

import click
import pytest
from click.testing import CliRunner

from mtfx.cli.flags import Flags
from mtfx.config import Config, OneOf
from mtfx.errors import UserError


@dataclasses.dataclass(frozen=True)
class Cake(Config):
    """A cake.

    Attributes:
      name: Its ``name``.
      layers: How many
        of them.
      weight: In kg; by default what comes out.
      filling: What is between.
      toppings: What is on it.
      shape: Its outline.
      sizes: Of each layer.
      vegan: Without eggs.
      recipe: A file.
      extras: One more thing.
    """

    name: str
    layers: int = 2
    weight: float | None = None
    filling: Annotated[str, OneOf({"jam": 1, "cream": 2})] = "jam"
    toppings: Annotated[tuple[str, ...], OneOf(("nuts", "fruit"))] = ("nuts",)
    shape: Literal["round", "square"] = "round"
    sizes: tuple[int, ...] = ()
    vegan: bool = False
    recipe: Path = Path("book")
    extras: tuple[tuple[str, Any], ...] = ()

    def __post_init__(self) -> None:
        if self.layers < 1:
            raise ValueError(f"layers must be at least 1, got {self.layers}")


ALL = tuple(field.name for field in dataclasses.fields(Cake))


def made(flags, *arguments):
    """What a command with these flags builds of a command line."""
    built = []

    @click.command()
    @flags
    def command(**values):
        built.append(flags.build(values))

    done = CliRunner().invoke(command, arguments, catch_exceptions=False)
    return built[0] if built else done.output


def test_without_flags_all_is_the_configurations_default():
    assert made(Flags(Cake, ALL), "--name", "a") == Cake("a")


def test_every_type_has_its_flag():
    cake = made(
        Flags(Cake, ALL, {"extras": "--set", "vegan": "--vegan/--with-eggs"}),
        *("--name", "a", "--layers", "3", "--weight", "1.5", "--filling", "cream"),
        *("--toppings", "fruit,nuts", "--shape", "square", "--sizes", "3,2", "--vegan"),
        *("--recipe", "x/y", "--set", "glaze=(1,2)", "--set", "card=thanks"),
    )
    assert cake == Cake(
        *("a", 3, 1.5, "cream", ("fruit", "nuts"), "square", (3, 2), True, Path("x/y")),
        (("glaze", (1, 2)), ("card", "thanks")),
    )


def test_help_is_the_docstring_with_the_default_and_the_names():
    text = " ".join(made(Flags(Cake, ALL), "--help").split())
    for words in (
        "--name TEXT Its name. [required]",
        "--layers INTEGER How many of them. [default: 2]",
        "--weight FLOAT In kg; by default what comes out. --filling",
        "--filling [jam|cream] What is between. [default: jam]",
        "What is on it. There are: nuts, fruit. [default: nuts]",
        "--vegan / --no-vegan Without eggs.",
    ):
        assert words in text


def test_a_command_may_have_other_words_defaults_and_a_prefix():
    flags = Flags(
        Cake,
        ("name", "layers"),
        defaults={"name": "b", "layers": 5},
        helps={"layers": "Floors."},
        prefix="cake: ",
    )
    assert made(flags) == Cake("b", 5)
    text = " ".join(made(flags, "--help").split())
    assert "cake: floors. [default: 5]" in text
    assert "cake: its name. [default: b]" in text


def test_a_wrong_value_is_named_by_its_flag():
    with pytest.raises(UserError, match=r"^--floors must be at least 1, got 0$"):
        made(Flags(Cake, ALL, {"layers": "--floors"}), "--name", "a", "--floors", "0")
    assert "'jelly' is not one of 'jam', 'cream'" in made(Flags(Cake, ALL), "--filling", "jelly")


def test_fields_without_a_flag_are_given_by_the_command():
    flags = Flags(Cake, ("layers",))
    assert flags.build({"layers": 3}, name="c") == Cake("c", 3)
    assert flags.taken({"layers": 3, "other": 1}) == {"layers": 3}
