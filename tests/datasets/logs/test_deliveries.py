"""A log cut into days is the whole log again, and each day a data set of its own."""

import json

import polars as pl
import pytest

from mtfx.datasets.logs.deliveries import deliver_by_day
from mtfx.datasets.registry import load_dataset
from mtfx.datasets.synthetic import SyntheticConfig, synthesize
from mtfx.datasets.synthetic.manifest import read_manifest
from mtfx.errors import DataError


@pytest.fixture(scope="module", params=["video", "shop"])
def delivered(request, tmp_path_factory):
    directory = tmp_path_factory.mktemp(request.param)
    synthesize(SyntheticConfig(profile=request.param, impressions=3000), directory / "data")
    spec = load_dataset(f"synthetic-{request.param}")
    return spec, directory, deliver_by_day(spec, directory / "data", directory / "days")


def test_days_are_the_whole_log_and_hold_one_day_each(delivered):
    spec, directory, days = delivered
    [time] = (column.source for column in spec.columns if column.role == "timestamp")
    for pattern in spec.log_files:
        for path in sorted((directory / "data").glob(pattern)):
            whole = pl.read_csv(path, infer_schema_length=None)
            parts = [
                pl.read_csv(part, schema=whole.schema)
                for day in days
                if (part := directory / "days" / f"day-{day}" / path.name).exists()
            ]
            assert pl.concat(parts).sort(whole.columns).equals(whole.sort(whole.columns))
            for part in parts:
                local = (part[time] + spec.utc_offset_hours * 3_600_000) // 86_400_000
                assert local.n_unique() == 1


def test_every_day_has_the_side_tables(delivered):
    spec, directory, days = delivered
    for day in days:
        folder = directory / "days" / f"day-{day}"
        for table in spec.side_tables:
            assert any(list(folder.glob(pattern)) for pattern in table.files)


def test_the_truth_of_a_day_is_still_known(delivered):
    _, directory, days = delivered
    for day in days:
        folder = directory / "days" / f"day-{day}"
        config = json.loads((folder / "synthetic.json").read_text())["config"]
        assert read_manifest(folder, SyntheticConfig(**config)) is not None


def test_what_is_there_is_not_overwritten(delivered):
    spec, directory, _ = delivered
    with pytest.raises(ValueError, match="not empty"):
        deliver_by_day(spec, directory / "data", directory / "days")


LOG = "log_standard_a_to_b_pure.csv"


def _log(directory, rows):
    directory.mkdir()
    (directory / LOG).write_text("date,time_ms,user_id\n" + "".join(f"{r}\n" for r in rows))
    return load_dataset("kuairand"), directory


def test_days_of_a_column_are_named_by_their_dates(tmp_path):
    """Its rows of just after midnight carry the day before in `time_ms`: the column decides."""
    spec, data = _log(
        tmp_path / "data",
        ["20220425,1650812741436,1", "2022-04-25,1650817213606,2", "20220427,1650997213606,01"],
    )
    days = deliver_by_day(spec, data, tmp_path / "days", dates=True, day_column="date")
    assert days == (20220425, 20220427)
    assert len((tmp_path / "days" / "day-20220425" / LOG).read_text().splitlines()) == 3
    assert (tmp_path / "days" / "day-20220427" / LOG).read_text().endswith(",01\n")
    by_time = deliver_by_day(spec, data, tmp_path / "by_time", dates=True)
    assert by_time == (20220424, 20220425, 20220427)


def test_a_row_without_a_day_is_named_and_nothing_is_written(tmp_path):
    spec, data = _log(tmp_path / "data", ["20220425,1650817213606,2", "20229999,soon,1"])
    for column, words in (("date", "'date'"), ("", "'time_ms'")):
        with pytest.raises(DataError, match=f"1 row.*{words}.*row 2"):
            deliver_by_day(spec, data, tmp_path / "days", day_column=column)
    with pytest.raises(DataError, match="no column 'day'"):
        deliver_by_day(spec, data, tmp_path / "days", day_column="day")
    assert not (tmp_path / "days").exists()
