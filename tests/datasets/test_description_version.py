"""Any edit of a user's description of a data set, or of what it imports, is another version."""

import importlib
import os
import py_compile
import sys

import pytest

from mtfx.datasets.description_version import description_version
from mtfx.datasets.registry import DATASETS, load_dataset
from mtfx.datasets.user_modules import imported_names, user_modules

SHOP = """
import os
from mtfx.datasets.spec import Column, DatasetSpec, Feature, SessionRule, Task
import labels
from helpers import {helper} as hours
{imports}

def to_impressions(events):
    from lazily import rename
    return rename(events)

SPEC = DatasetSpec(
    name="my-shop",
    title="My shop",
    log_files=("log_*.csv",),
    columns=(
        Column("user_id", "customer", "user"),
        Column("item_id", "product", "item"),
        Column("timestamp_ms", "when", "timestamp", unit={unit}),
        Column("bought", labels.SOURCE, "label"),
    ),
    features=(Feature("item_id", "categorical"),),
    tasks=(Task("bought"),),
    session_rule=SessionRule(gap_minutes={gap}),
    utc_offset_hours=hours.OFFSET,
    to_impressions={function},
)
"""
VALUES = {
    "helper": "zone",
    "imports": "",
    "unit": '"s"',
    "gap": "30.0",
    "function": "to_impressions",
}


class Shop:
    """A user's project: a description with helpers in the same folder, a package and lazy ones."""

    def __init__(self, folder):
        self.folder, self.values = folder, dict(VALUES)
        self.write("labels.py", "SOURCE = 'paid'\n")
        self.write("helpers/__init__.py", "")
        self.write("helpers/zone.py", "from ._offset import OFFSET\n")
        self.write("helpers/_offset.py", "OFFSET = 1.0\n")
        self.write("lazily.py", "def rename(events):\n    return events\n")
        self.write("unrelated.py", "A = 1\n")

    def write(self, name, text):
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        # As if every edit fell into one second.
        os.utime(path, (1_700_000_000, 1_700_000_000))

    def version(self, **values):
        """Of the description in a process that begins now."""
        self.values |= values
        self.write("my_shop.py", SHOP.format(**self.values))
        for name in [*user_modules("my_shop"), "my_shop"]:
            sys.modules.pop(name, None)
        importlib.invalidate_caches()
        description_version.cache_clear()
        return description_version("my_shop:SPEC")


@pytest.fixture
def shop(tmp_path, monkeypatch):
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.chdir(folder)
    made = Shop(folder)
    yield made
    for name in user_modules("my_shop"):
        sys.modules.pop(name, None)
    description_version.cache_clear()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("labels.py", "SOURCE = 'cart'\n"),
        ("helpers/__init__.py", "A = 1\n"),
        ("helpers/zone.py", "from ._offset import OFFSET\nOFFSET = -OFFSET\n"),
        ("helpers/_offset.py", "OFFSET = 2.0\n"),
        ("lazily.py", "def rename(events):\n    return events.head(1)\n"),
    ],
)
def test_an_edit_of_any_module_that_it_imports_counts(shop, name, text):
    before = shop.version()
    assert shop.version() == before
    shop.write(name, text)
    assert shop.version() != before


def test_what_it_does_not_import_does_not_count(shop):
    before = shop.version()
    shop.write("unrelated.py", "A = 2\n")
    assert shop.version() == before


@pytest.mark.parametrize(
    ("name", "value"),
    [("unit", '"ms"'), ("gap", "31.0"), ("function", "None"), ("function", "lambda e: e.head(2)")],
)
def test_an_edit_of_a_value_counts(shop, name, value):
    before = shop.version()
    assert shop.version(**{name: value}) != before


@pytest.mark.parametrize(
    "imports",
    [
        'OFFSET_FILE = float(open("offset.txt").read())',
        'from functools import partial\nOFFSET_FILE = [float(open("offset.txt").read())]',
    ],
)
@pytest.mark.parametrize(
    "function",
    [
        "lambda e: e.head(OFFSET_FILE)",
        "(lambda n: lambda e: e.head(n))(OFFSET_FILE)",
        "__import__('functools').partial(to_impressions, OFFSET_FILE)",
    ],
)
def test_what_a_function_refers_to_counts_wherever_it_came_from(shop, imports, function):
    (shop.folder / "offset.txt").write_text("1")
    before = shop.version(imports=imports, function=function)
    assert shop.version() == before
    (shop.folder / "offset.txt").write_text("2")
    assert shop.version() != before


def test_a_variable_of_the_environment_counts_where_it_is_read(shop, monkeypatch):
    monkeypatch.setenv("SHOP_HEAD", "1")
    shop.write(
        "lazily.py",
        "import os\ndef rename(events):\n    return events.head(int(os.environ['SHOP_HEAD']))\n",
    )
    before = shop.version()
    monkeypatch.setenv("OTHER", "2")
    assert shop.version() == before
    monkeypatch.setenv("SHOP_HEAD", "2")
    assert shop.version() != before


def test_a_module_that_is_imported_by_a_computed_name_counts(shop):
    imports = "import importlib\nfound = importlib.import_module('unre' + 'lated')"
    before = shop.version(imports=imports)
    shop.write("unrelated.py", "A = 2\n")
    sys.modules.pop("unrelated", None)
    assert shop.version() != before


def test_code_that_was_compiled_of_another_source_is_not_run(shop):
    """Python takes a compiled file whose source has the same size and second."""
    shop.version()
    shop.write("labels.py", "SOURCE = 'paid'\n")
    py_compile.compile(str(shop.folder / "labels.py"))
    shop.write("labels.py", "SOURCE = 'cart'\n")
    shop.version()
    label = load_dataset("my_shop:SPEC").columns_of("label")[0]
    assert label.source == "cart"


def test_neither_mtfx_nor_what_is_installed_is_the_users(shop):
    shop.write(
        "labels.py",
        "import polars, json, os.path\nfrom mtfx.datasets.logs import readers\nSOURCE = ''\n",
    )
    shop.version()
    assert sorted(user_modules("my_shop")) == [
        "helpers",
        "helpers._offset",
        "helpers.zone",
        "labels",
        "lazily",
        "my_shop",
    ]
    assert user_modules("mtfx.datasets.kuairand") == {} == user_modules("polars")
    assert [description_version(name) for name in DATASETS] == [""] * len(DATASETS)


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("import a.b as c", {"a.b"}),
        ("from . import sibling", {"pack", "pack.sibling"}),
        ("from .sibling import name", {"pack.sibling", "pack.sibling.name"}),
        ("from ..other import name", {"other", "other.name"}),
        ("def f():\n    import late", {"late"}),
        ("this is no Python", set()),
    ],
)
def test_every_way_to_import_is_read(tmp_path, line, names):
    from mtfx.datasets.user_modules import UserModule

    module = UserModule("pack.module", tmp_path / "module.py", line.encode())
    assert set(imported_names(module)) == names
