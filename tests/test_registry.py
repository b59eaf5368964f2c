"""Names, what they stand for, and that nothing is imported before it is used."""

import collections
import dataclasses

import pytest

from mtfx.config import Config
from mtfx.registry import Entry, Registry


@dataclasses.dataclass(frozen=True)
class One(Config):
    """Of the first."""


@dataclasses.dataclass(frozen=True)
class Two(One):
    """Of the second."""


THINGS = Registry(
    "thing",
    {
        "one": Entry("registry:Entry", One, "the first"),
        "two": Entry("nowhere:Thing", Two, "the second"),
    },
)


def test_names_come_in_order_and_an_unknown_one_is_told_them():
    assert tuple(THINGS) == ("one", "two")
    assert len(THINGS) == 2
    assert "two" in THINGS
    assert "three" not in THINGS
    with pytest.raises(ValueError, match="no thing 'three'; there are: one, two"):
        THINGS["three"]


def test_an_entry_is_imported_when_it_is_loaded():
    assert THINGS["one"].load() is Entry
    with pytest.raises(ModuleNotFoundError, match="nowhere"):
        THINGS["two"].load()


def test_what_is_registered_from_outside_is_itself_the_target():
    things = Registry("thing", THINGS)
    things.register("three", Entry(dict, One, "the third"))
    assert things["three"].load() is dict
    assert "three" not in THINGS
    with pytest.raises(ValueError, match="there is a thing 'one' already"):
        things.register("one", Entry(dict, One, "another"))


def test_a_configuration_is_of_exactly_the_entrys_class():
    assert THINGS.config("one", None) == One()
    assert THINGS.config("two", Two()) == Two()
    with pytest.raises(ValueError, match="thing 'one' is configured by One, not by Two"):
        THINGS.config("one", Two())


def test_a_registry_is_a_mapping():
    assert isinstance(THINGS, collections.abc.Mapping)
    assert {name: entry.summary for name, entry in THINGS.items()} == {
        "one": "the first",
        "two": "the second",
    }
