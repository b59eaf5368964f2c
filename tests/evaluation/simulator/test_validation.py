"""The log's side of the comparison, and that a right response model passes and a wrong one not."""

import dataclasses

import numpy as np
import polars as pl
import pytest
from scipy import stats

from mtfx.datasets.feature_roles import user_requests
from mtfx.datasets.logs.impressions import SESSION
from mtfx.datasets.spec import SessionRule
from mtfx.environments.simulator.fitted_response import FittedResponse, FittedSettings
from mtfx.environments.simulator.fitting.config import WorldConfig
from mtfx.environments.simulator.fitting.pools import Pools
from mtfx.evaluation.simulator.validation import validate_world
from tests.planted_log import ITEMS, LEAVES, click_probability, planted_data

CONFIG = WorldConfig("planted", "", max_views=15, seed=3)
FIT = {
    "response_model": "fitted",
    "response": {"source": "a planted model"},
    "retrieval": {"hit_rate": None, "chance": 0.1},
    "notes": (),
    "config": {},
}


@pytest.fixture(scope="module")
def data():
    return planted_data(sessions=2500, exposures=900)


@pytest.fixture(scope="module")
def users(data):
    requests = user_requests(data.splits["test"], data.roles, users=100, seed=0)
    return Pools(requests, np.zeros((requests.height, 1), int), (), 0.0, 0.0)


def planted_response(data, click=1.0, leave=LEAVES):
    """The model behind the planted log, its clicks or departures made rarer or more frequent."""

    def respond(pools):
        owners = pools.requests["user_id"].to_numpy()[:, None]
        items = data.catalogue["item_id"].to_numpy()[pools.items]
        chance = click * click_probability(owners, items)
        like = 0.1 * chance
        duration = 10 + 0.5 * items
        # A bin for each item: log(1 + seconds) is normal, as planted.
        deviates = stats.norm.ppf(np.linspace(0.002, 0.998, 65))
        clicked = np.log1p(10 + 0.5 * np.arange(ITEMS))[:, None] + 0.3 * deviates
        skipped = np.full((ITEMS, 1), np.log(2)) + 0.15 * deviates
        normal = np.stack([clicked, skipped])
        return FittedResponse(
            {
                "logits": np.stack([np.log(p / (1 - p)) for p in (chance, like)], axis=-1),
                "watch_bin": np.stack([items, np.zeros(items.shape)], axis=-1),
                "watch_quantiles": np.expm1(normal),
                "duration_s": duration,
                "mood": np.full(len(owners), 0.5),
                "leave_logits": np.full(len(owners), np.log(leave / (1 - leave))),
            },
            FittedSettings(
                ("click", "like"),
                slopes=(0.0, 0.0),
                share_with_primary=(1.0, 1.0),
                satisfaction_weights=(0.5, 0.5),
                reward_shift=0.5,
            ),
        )

    return respond


@pytest.fixture(scope="module")
def right(data, users):
    return validate_world(data, CONFIG, users, planted_response(data), FIT)


def test_the_planted_model_passes(data, right):
    found = right
    for row in (*found.quantities, *found.rates):
        chance = np.hypot(row.log.half_width, row.simulation.half_width)
        # Twice the 95% interval: seven comparisons, one of them of a hundred likes.
        assert abs(row.simulation.mean - row.log.mean) < 2 * chance, row.name
    assert len(found.log.lengths) == data.splits["test"][SESSION].n_unique()
    assert len(found.simulation.lengths) >= 3500
    assert found.response_model == "fitted on a planted model"
    length, _, view = found.quantities
    assert length.ks < 0.08
    assert view.ks < 0.2


@pytest.mark.parametrize(
    ("changes", "name"), [({"click": 0.7}, "rate of click"), ({"leave": 0.1}, "session length")]
)
def test_a_wrong_model_is_found(data, users, changes, name):
    found = validate_world(data, CONFIG, users, planted_response(data, **changes), FIT)
    assert any(line.startswith(name) for line in found.findings)


def test_both_sides_end_at_the_cap_and_the_page_says_so(data, users):
    config = dataclasses.replace(CONFIG, max_views=4)
    found = validate_world(data, config, users, planted_response(data, leave=0.05), FIT)
    assert found.log.lengths.max() == found.simulation.lengths.max() == 4
    assert any("Views beyond 4" in term for term in found.terms)


def test_random_exposures_that_the_log_lacks_are_left_out_of_the_simulation(data, users, right):
    test = data.splits["test"]
    time = test["timestamp_ms"]
    frame = data.exposures.frame
    meanwhile = frame.filter(pl.col("timestamp_ms").is_between(time.min(), time.max()))
    assert meanwhile.height == 0
    # The same exposures at the time of the test split.
    shifted = frame.with_columns(timestamp_ms=pl.lit(time.min()))
    exposures = dataclasses.replace(data.exposures, frame=shifted)
    busy = dataclasses.replace(data, exposures=exposures)
    found = validate_world(busy, CONFIG, users, planted_response(data), FIT)
    share = shifted.height / (shifted.height + test.height)
    assert f"{share:.1%}" in found.logging_policy
    # Of sessions of geometric length, those left whole are shorter than without.
    assert found.simulation.lengths.mean() < 0.85 * right.simulation.lengths.mean()


def test_later_parts_of_split_sessions_are_no_sessions(data, users):
    """With at most 3 views per session, the log of the same events has parts of longer ones."""
    rule = SessionRule(max_length=3)
    parts = {}
    for name, frame in data.splits.items():
        part = pl.int_range(pl.len()).over("session_id") // 3
        identity = pl.when(part > 0).then(pl.format("{}.{}", "session_id", part))
        split = frame.with_columns(session_id=identity.otherwise(pl.col("session_id")))
        parts[name] = split.with_columns(split["session_id"].rle_id().cast(pl.Int64).alias(SESSION))
    cut = dataclasses.replace(
        data, splits=parts, spec=dataclasses.replace(data.spec, session_rule=rule)
    )
    found = validate_world(cut, CONFIG, users, planted_response(data), FIT)
    assert len(found.log.lengths) == data.splits["test"][SESSION].n_unique()
    assert found.log.lengths.max() == 3
    assert any("Later parts" in term for term in found.terms)
    assert not any(line.startswith("session length") for line in found.findings)


def test_of_many_users_some_are_compared(data, users, monkeypatch):
    monkeypatch.setattr("mtfx.evaluation.simulator.validation._MOST_USERS", 4)
    monkeypatch.setattr("mtfx.evaluation.simulator.validation._MOST_SESSIONS", 50)
    found = validate_world(data, CONFIG, users, planted_response(data), FIT)
    assert len(found.log.lengths) == 50
    assert any("4 of the simulator's users" in term for term in found.terms)
