"""Two samples of one heavy-tailed world pass at any size; what moved is named, and its bar."""

import dataclasses
import itertools
import math

import numpy as np
import pytest
import tensorflow_data_validation as tfdv
from tensorflow_metadata.proto.v0 import statistics_pb2

from mtfx.components.strict_distribution_validator.comparison import (
    CheckedFigure,
    cell_shares,
    compare,
    divergence,
)
from mtfx.components.strict_distribution_validator.config import ComparisonPlan, DriftThresholds

PLAN = ComparisonPlan(
    {"watch": "number", "hour": "hour", "click": "label", "like": "label", "author_id": "id"}
)
DAY_MS = 86_400_000


@pytest.fixture(scope="module")
def day(statistics_of):
    """A day of a world: views that a tenth of the users skip, and a lognormal tail."""

    def make(seed, sessions=2000, change=None, shift_ms=0):
        rng = np.random.default_rng(seed)
        skipped = rng.random(sessions) < 0.1
        columns = {
            "step": np.zeros(sessions, int),
            "watch": np.where(skipped, 0.0, rng.lognormal(9, 2, sessions)),
            "hour": rng.choice(24, sessions, p=np.arange(1, 25) / 300),
            "click": (rng.random(sessions) < 0.45).astype(int),
            "like": (rng.random(sessions) < 0.02).astype(int),
            "author_id": rng.integers(1, 500, sessions),
            "timestamp_ms": rng.integers(0, DAY_MS, sessions) + seed * DAY_MS + shift_ms,
        }
        if change is not None:
            columns |= change(columns)
        lists = {name: values[:, None].tolist() for name, values in columns.items()}
        return statistics_of(lists, ("hour", "click", "like"))

    return make


def _refused(plan, now, before):
    return {comparison.column for comparison in compare(plan, now, before) if comparison.refused}


@pytest.mark.parametrize("sessions", [5, 30, 300, 2000, 20_000])
def test_two_ordinary_days_of_any_size_pass(day, sessions):
    days = [day(seed, sessions) for seed in range(8)]
    for before, now in itertools.pairwise(days):
        found = compare(PLAN, now, before)
        assert {comparison.column for comparison in found} == {
            *PLAN.columns,
            "number of impressions",
            "timestamp_ms",
        }
        assert not [comparison for comparison in found if comparison.refused]


def test_the_hours_of_long_sessions_are_a_sample_of_sessions(statistics_of):
    def make(seed):
        hours = np.random.default_rng(seed).integers(0, 24, 200)
        lists = {"step": [list(range(50))] * 200, "hour": [[int(h)] * 50 for h in hours]}
        return statistics_of(lists, ("hour",))

    plan = dataclasses.replace(PLAN, columns={"hour": "hour"}, volume=False)
    strict = dataclasses.replace(DriftThresholds(), jensen_shannon=1e-6)
    days = [make(seed) for seed in range(12)]
    for before, now in itertools.pairwise(days):
        assert _refused(dataclasses.replace(plan, thresholds=strict), now, before) == set()


def test_the_largest_value_of_a_day_does_not_move_its_cells(day):
    """It is what TFDV's cells of equal width hang on: here by far more than the margin."""
    before = day(0)
    now = day(1, change=lambda c: {"watch": np.append(c["watch"][1:], c["watch"].max() * 30)})
    shares = cell_shares(now, before, "watch")
    assert divergence(*shares) < 0.01
    schema = tfdv.infer_schema(_list(before))
    for feature in schema.feature:
        if feature.name == "watch":
            feature.drift_comparator.jensen_shannon_divergence.threshold = 0.1
    anomalies = tfdv.validate_statistics(_list(now), schema, previous_statistics=_list(before))
    assert "watch" in anomalies.anomaly_info


def _list(sample):
    return statistics_pb2.DatasetFeatureStatisticsList(datasets=[sample.statistics])


POISONS = {
    "flipped": (lambda c: {"click": 1 - c["click"]}, "click"),
    "gone": (lambda c: {"like": 0 * c["like"]}, "like"),
    "everywhere": (lambda c: {"like": 0 * c["like"] + 1}, "like"),
    "in us": (lambda c: {"watch": c["watch"] * 1000}, "watch"),
    "in s": (lambda c: {"watch": c["watch"] / 1000}, "watch"),
    "zeroed": (lambda c: {"watch": c["watch"] * 0}, "watch"),
    "constant": (lambda c: {"watch": c["watch"] * 0 + 8000}, "watch"),
    "other zone": (lambda c: {"hour": (c["hour"] + 8) % 24}, "hour"),
    "missing": (lambda c: {"author_id": c["author_id"] * 0}, "author_id"),
    "unknown": (lambda c: {"click": 0 * c["click"] - 1}, "click"),
    "half unknown": (lambda c: {"like": np.where(c["click"], -1, c["like"])}, "like"),
    "half missing": (lambda c: {"author_id": c["author_id"] * (c["click"])}, "author_id"),
}


@pytest.mark.parametrize("name", POISONS)
def test_what_is_poisoned_and_nothing_else_is_refused(day, name):
    change, column = POISONS[name]
    assert _refused(PLAN, day(1, 20_000, change), day(0, 20_000)) == {column}
    assert _refused(PLAN, day(2, 20_000), day(1, 20_000, change)) == {column}


def test_unknown_labels_on_both_days_leave_the_rate_of_the_known(day):
    def half(columns):
        known = columns["hour"] % 2 == 0
        return {"click": np.where(known, columns["click"], -1)}

    assert _refused(PLAN, day(1, 20_000, half), day(0, 20_000, half)) == set()
    flipped = day(1, 20_000, lambda c: half({**c, "click": 1 - c["click"]}))
    assert _refused(PLAN, flipped, day(0, 20_000, half)) == {"click"}
    nothing = day(1, 20_000, lambda c: {"click": 0 * c["click"] - 1})
    assert _refused(PLAN, nothing, nothing) == {"timestamp_ms"}


def test_days_of_other_sizes_and_times_are_refused(day):
    before = day(0)
    rows = {"number of impressions"}
    assert _refused(PLAN, day(1, 1000), before) == rows
    assert _refused(PLAN, day(1, 4000), before) == rows
    assert _refused(PLAN, day(0), before) == {"timestamp_ms"}
    assert _refused(PLAN, day(1, shift_ms=-DAY_MS), before) == {"timestamp_ms"}
    dated = dataclasses.replace(PLAN, day_ms=(DAY_MS, 2 * DAY_MS))
    assert _refused(dated, day(1), before) == set()
    assert _refused(dated, day(1, shift_ms=DAY_MS), before) == {"timestamp_ms"}
    still = dataclasses.replace(PLAN, volume=False)
    assert _refused(still, day(0, 300), before) == set()


def test_a_wider_threshold_lets_it_pass(day):
    before, now = day(0), day(1, 4000, lambda c: {"click": c["click"] * 0 + 1})
    wide = DriftThresholds(label_odds=1e9, rows=4.0)
    assert _refused(dataclasses.replace(PLAN, thresholds=wide), now, before) == set()


def test_columns_without_statistics_are_left_out(day):
    plan = dataclasses.replace(PLAN, columns={"video": "number", "tab": "label", "lang": "hour"})
    assert {c.column for c in compare(plan, day(1), day(0))} == {
        "number of impressions",
        "timestamp_ms",
    }


def test_a_comparison_says_how_near_it_came():
    half = CheckedFigure("x", "Jensen-Shannon divergence", 0.05, 0.1, False, "why", "--flag")
    assert half.nearness == 0.5
    assert half.describe() == (
        "'x': Jensen-Shannon divergence 0.05, bar 0.1; why; --flag allows more"
    )
    odds = CheckedFigure("x", "factor of the odds", 1.5, 2.25, False)
    assert odds.nearness == pytest.approx(0.5)
    assert dataclasses.replace(odds, bar=math.inf).nearness == 0
    assert dataclasses.replace(odds, value=math.inf).nearness == math.inf


def test_the_plan_survives_its_json():
    plan = dataclasses.replace(PLAN, day_ms=(1, 2), session_level=("user_id",))
    assert ComparisonPlan.from_json(plan.to_json()) == plan
    assert ComparisonPlan.from_json(PLAN.to_json()) == PLAN
