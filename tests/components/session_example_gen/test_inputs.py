"""What SessionExampleGen reads is exactly what its cache key looks at, by content."""

import dataclasses
import os

import pytest
from tfx.utils import proto_utils

from mtfx.components.content_driver import ContentDriver
from mtfx.components.session_example_gen import executor
from mtfx.components.session_example_gen.component import SessionExampleGen
from mtfx.components.session_example_gen.config import SessionExampleGenConfig
from mtfx.components.session_example_gen.inputs import Driver, input_files
from mtfx.datasets.logs import readers
from mtfx.datasets.registry import load_dataset
from mtfx.errors import DataError


def properties(data_dir, *, pattern="*", **config):
    """Execution properties of the component, as its driver gets them."""
    made = SessionExampleGenConfig("retailrocket", "quarantine", **config)
    component = SessionExampleGen(str(data_dir), made, pattern)
    return {
        key: proto_utils.proto_to_json(value) if hasattr(value, "DESCRIPTOR") else value
        for key, value in component.spec.exec_properties.items()
    }


def touch_everything(folder):
    for path in folder.rglob("*"):
        os.utime(path, (10, 10))


@pytest.fixture
def delivered(shop):
    """The shop's log with side tables, and files that nobody reads."""
    (shop / "category_tree.csv").write_text("categoryid,parentid\n1,2\n")
    (shop / "item_properties_part1.csv").write_text(
        "timestamp,itemid,property,value\n1430600000000,10,785,x\n"
    )
    (shop / "notes.txt").write_text("nobody reads this")
    (shop / "events.csv.backup").write_text("nor this")
    touch_everything(shop)
    return shop


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("events.csv", "view,10", "view,11"),
        ("category_tree.csv", "1,2", "1,3"),
        ("item_properties_part1.csv", "785,x", "785,y"),
    ],
)
def test_an_edit_that_keeps_size_and_time_is_read(delivered, name, before, after):
    found = Driver.fingerprint(properties(delivered))
    path = delivered / name
    text = path.read_text()
    path.write_text(text.replace(before, after))
    assert len(path.read_text()) == len(text)
    assert path.read_text() != text
    touch_everything(delivered)
    assert Driver.fingerprint(properties(delivered)) != found
    path.write_text(text)
    assert Driver.fingerprint(properties(delivered)) == found


def test_what_is_not_read_is_not_looked_at(delivered):
    found = Driver.fingerprint(properties(delivered))
    (delivered / "notes.txt").write_text("another text")
    (delivered / "more.csv").write_text("a,b\n")
    assert Driver.fingerprint(properties(delivered)) == found


def test_the_executor_opens_just_the_files_of_the_fingerprint(delivered, generate, monkeypatch):
    opened = set()
    for name in ("_open_text", "_open_parquet"):
        inner = getattr(readers, name)
        monkeypatch.setattr(
            readers, name, lambda path, inner=inner: opened.add(path) or inner(path)
        )
    generate(delivered)
    assert opened == set(Driver.input_paths(str(delivered), "*", properties(delivered)))
    assert {os.path.basename(path) for path in opened} == {
        "events.csv",
        "category_tree.csv",
        "item_properties_part1.csv",
    }


def test_files_in_folders_below_the_data_directory_are_looked_at(tmp_path):
    spec = dataclasses.replace(load_dataset("retailrocket"), log_files=("part-*/events.csv",))
    for part in (1, 2):
        (tmp_path / f"part-{part}").mkdir()
        (tmp_path / f"part-{part}" / "events.csv").write_text("timestamp\n")
    found = input_files(spec, str(tmp_path), [""]).all
    assert [os.path.relpath(path, tmp_path) for path in found] == [
        "part-1/events.csv",
        "part-2/events.csv",
    ]


@pytest.mark.parametrize("kind", ["earlier", "history_deliveries"])
def test_of_a_window_every_log_counts_and_the_newest_table(tmp_path, kind):
    for day in (1, 2):
        folder = tmp_path / f"day-{day}"
        folder.mkdir()
        (folder / "events.csv").write_text(f"{day}\n")
        (folder / "category_tree.csv").write_text(f"{day}\n")
    given = {"pattern": "day-2/*", kind: ("day-1",)}
    found = Driver.fingerprint(properties(tmp_path, **given))
    (tmp_path / "day-1" / "category_tree.csv").write_text("9\n")
    assert Driver.fingerprint(properties(tmp_path, **given)) == found
    (tmp_path / "day-2" / "category_tree.csv").write_text("9\n")
    table = Driver.fingerprint(properties(tmp_path, **given))
    (tmp_path / "day-1" / "events.csv").write_text("9\n")
    assert len({found, table, Driver.fingerprint(properties(tmp_path, **given))}) == 3


def test_a_file_that_changes_while_it_is_read_ends_the_stage(shop, generate, monkeypatch):
    monkeypatch.setattr(executor._Plan, "build", _changing(executor._Plan.build, shop))
    with pytest.raises(DataError, match="were changed while they were read: run again"):
        generate(shop)


def _changing(build, shop):
    """The pipeline, built after a row has arrived that the driver has not seen."""

    def changed(self, *arguments):
        build(self, *arguments)
        with open(shop / "events.csv", "a") as file:
            file.write("1430600000000,1,view,10,\n")

    return changed


def test_the_drivers_fingerprint_enters_the_key(shop):
    """TFX's launcher takes the execution properties, with the driver's, into the cache key."""
    resolved = Driver(None).resolve_exec_properties(properties(shop), None, None)  # type: ignore
    assert resolved["input_fingerprint"] == Driver.fingerprint(properties(shop))
    assert issubclass(SessionExampleGen.DRIVER_CLASS, ContentDriver)
