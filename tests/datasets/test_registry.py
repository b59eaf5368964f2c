"""Data sets by name, and one that is added by one module and one line."""

import os
import subprocess
import sys

import pytest
from click.testing import CliRunner

import mtfx.datasets
from mtfx.cli.choices import datasets_command
from mtfx.config import Config
from mtfx.datasets.registry import DATASETS, load_dataset
from mtfx.datasets.spec import DatasetSpec
from mtfx.registry import Entry

MODULE = """
from mtfx.datasets.spec import Column, DatasetSpec, Feature, Task

SPEC = DatasetSpec(
    name="books",
    title="Readers of books",
    log_files=("log.csv",),
    columns=(
        Column("user_id", "reader", "user"),
        Column("item_id", "book", "item"),
        Column("timestamp_ms", "ms", "timestamp"),
        Column("read", "read", "label"),
    ),
    features=(Feature("item_id", "categorical"),),
    tasks=(Task("read"),),
)
"""


@pytest.mark.parametrize("name", DATASETS)
def test_every_name_stands_for_a_description(name):
    assert isinstance(load_dataset(name), DatasetSpec)


def test_a_new_data_set_is_one_module_and_one_line(tmp_path, monkeypatch):
    (tmp_path / "books.py").write_text(MODULE)
    monkeypatch.setattr(mtfx.datasets, "__path__", [*mtfx.datasets.__path__, str(tmp_path)])
    line = Entry("datasets.books:SPEC", Config, "a dummy")
    monkeypatch.setitem(DATASETS._entries, "books", line)
    assert load_dataset("books").title == "Readers of books"
    shown = CliRunner().invoke(datasets_command, ["--dataset", "books"])
    assert shown.exit_code == 0, shown.output
    assert "Readers of books" in shown.output


@pytest.mark.parametrize("taken", [False, True])
def test_a_description_with_the_former_names_is_told_the_present_ones(tmp_path, taken):
    """As plain ``datasets``, which may also be another package that is installed."""
    if taken:
        (tmp_path / "datasets").mkdir()
        (tmp_path / "datasets" / "__init__.py").touch()
    (tmp_path / "my_log.py").write_text("from datasets.spec import DatasetSpec\nSPEC = 1\n")
    done = subprocess.run(
        [sys.executable, "-c", "from mtfx.datasets.registry import *; load_dataset('my_log:SPEC')"],
        cwd=tmp_path,
        # Commands that other tests run add the checkout, where the former names are folders.
        env={**os.environ, "PYTHONPATH": ""},
        capture_output=True,
        text=True,
    )
    last = done.stderr.strip().splitlines()[-1]
    assert "ValueError: cannot load data set 'my_log:SPEC': No module named 'datasets" in last
    assert "are imported as mtfx.datasets, such as mtfx.datasets.spec" in last
