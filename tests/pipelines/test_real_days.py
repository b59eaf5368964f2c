"""Ordinary days of a real log pass the daily checks with their defaults; poisoned ones do not."""

import shutil

import polars as pl
import pytest

from mtfx.components.strict_distribution_validator.config import DriftThresholds
from mtfx.datasets.logs.deliveries import deliver_by_day
from mtfx.datasets.registry import load_dataset
from mtfx.errors import StageError
from mtfx.pipelines.beam_args import local_beam_args
from mtfx.pipelines.day_check import check_day, create_check
from mtfx.pipelines.local_runner import SilentObserver
from mtfx.pipelines.options import DataOptions

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

LOG = "log_standard_4_25_to_5_08_pure.parquet"
#: Of all days the one whose clicks, flipped, differ least from those of the day before.
DAY, BEFORE = 20220502, 20220501
_HOUR_MS = 3_600_000


@pytest.fixture(scope="module")
def days(shared_data, tmp_path_factory):
    """Folders of the days, by the log's own column of dates."""
    target = tmp_path_factory.mktemp("real") / "days"
    deliver_by_day(
        load_dataset("kuairand"),
        shared_data / "kuairand_pure",
        target,
        dates=True,
        day_column="date",
    )
    return target


@pytest.fixture(scope="module")
def check(tmp_path_factory):
    """Checks a day in a directory of days, by the statistics of an earlier one."""
    output = tmp_path_factory.mktemp("checks")

    def run(directory, span, baseline):
        data = DataOptions("kuairand", str(directory), pattern="day-{SPAN}/*", span=span)
        pipeline = create_check(data, str(output), DriftThresholds(), baseline, local_beam_args(1))
        return check_day(pipeline, SilentObserver())

    return run


@pytest.fixture(scope="module")
def passed(days, check):
    """The days as they are, each compared with the one before."""
    found, baseline = {}, ""
    for folder in sorted(days.iterdir()):
        span = int(folder.name.removeprefix("day-"))
        found[span] = check(days, span, baseline)
        baseline = found[span].statistics
    return found


@pytest.fixture(scope="module")
def before(days, check):
    """Statistics of the day before the one that is poisoned."""
    return check(days, BEFORE, "").statistics


def test_no_real_day_is_refused(passed):
    assert len(passed) == 14
    for day in list(passed.values())[1:]:
        assert len(day.comparisons) > 40
        assert all(comparison.nearness < 1 for comparison in day.comparisons)


def test_watch_time_of_real_days_lies_far_below_its_bar(passed):
    """TFDV's cells of equal width put two of these days 0.12 apart."""
    for day in list(passed.values())[1:]:
        [watch] = [c for c in day.comparisons if c.column == "watch_time_ms"]
        assert watch.value < 0.01


def _scaled(factor):
    return lambda rows, days: rows.with_columns((pl.col("play_time_ms") * factor).cast(pl.Int64))


def _constant(column):
    return lambda rows, days: rows.with_columns(pl.lit(0, pl.Int64).alias(column))


def _shifted(hours):
    return lambda rows, days: rows.with_columns(pl.col("time_ms") + hours * _HOUR_MS)


def _yesterday(rows, days):
    return pl.read_parquet(days / f"day-{BEFORE}" / LOG)


def _again(rows, days):
    return pl.concat([rows, rows.with_columns(pl.col("time_ms") + 1)])


def _other_users(rows, days):
    """Every user in place of one of the most active: the log of another service."""
    users = pl.read_csv(days / f"day-{DAY}" / "user_features_pure.csv", infer_schema=False)
    active = users.filter(pl.col("user_active_degree") == "high_active")["user_id"].cast(pl.Int64)
    return rows.with_columns(
        pl.col("user_id").map_elements(lambda u: active[u % len(active)], return_dtype=pl.Int64)
    )


POISONS = {
    "clicks flipped": (
        lambda rows, days: rows.with_columns(is_click=1 - pl.col("is_click")),
        "'click'",
    ),
    "no clicks": (_constant("is_click"), "'click'"),
    "no long views": (_constant("long_view"), "'long_view'"),
    "no likes": (_constant("is_like"), "'like'"),
    "no comments": (_constant("is_comment"), "'comment'"),
    "clicks as likes": (
        lambda rows, days: rows.with_columns(is_like=pl.col("is_click")),
        "'like'",
    ),
    "watch time in us": (_scaled(1000), "'watch_time_ms'"),
    "watch time in s": (_scaled(0.001), "'watch_time_ms'"),
    "watch time doubled": (_scaled(2), "'watch_time_ms'"),
    "no durations": (_constant("duration_ms"), "'duration_ms'"),
    "no tabs": (lambda rows, days: rows.drop("tab"), "'tab'"),
    "yesterday again": (_yesterday, "'timestamp_ms'"),
    "each row twice": (_again, "'number of impressions'"),
    "yesterday and today": (
        lambda rows, days: pl.concat([_yesterday(rows, days), rows]),
        "'number of impressions'",
    ),
    "half of the rows": (
        lambda rows, days: rows.sample(fraction=0.5, seed=0),
        "'number of impressions'",
    ),
    "log cut at noon": (
        lambda rows, days: rows.filter(pl.col("hourmin") < 1200),
        "'hour'",
    ),
    "times of UTC": (_shifted(-8), "'hour'"),
    "times a day late": (_shifted(-24), "'timestamp_ms'"),
    "times of tomorrow": (_shifted(24), "'timestamp_ms'"),
    "other users": (_other_users, "'user_active_degree'"),
}


@pytest.mark.parametrize("name", POISONS)
def test_a_poisoned_day_is_refused_by_name(name, days, check, before, tmp_path):
    poison, words = POISONS[name]
    folder = tmp_path / f"day-{DAY}"
    shutil.copytree(days / folder.name, folder)
    poison(pl.read_parquet(folder / LOG), days).write_parquet(folder / LOG)
    with pytest.raises(StageError, match=words):
        check(tmp_path, DAY, before)


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("video_features_basic_pure.csv", "'tag'.*|.*'author_id'"),
        ("user_features_pure.csv", "'user_active_degree'"),
    ],
)
def test_a_day_without_a_table_is_refused(table, words, days, check, before, tmp_path):
    folder = tmp_path / f"day-{DAY}"
    shutil.copytree(days / folder.name, folder)
    (folder / table).unlink()
    with pytest.raises(StageError, match=words):
        check(tmp_path, DAY, before)
