"""What the response model is fitted on, and its tables for users and their pools."""

import dataclasses

import numpy as np
import pytest

from mtfx.environments.simulator.fitting.config import (
    ResponseTrainingConfig,
    RetrievalTrainingConfig,
    WorldConfig,
)
from mtfx.environments.simulator.fitting.pools import make_pools
from mtfx.environments.simulator.fitting.world_response import fit_response_model, response_tables
from mtfx.models.config import ResponseNetworkConfig, TwoTowerConfig
from tests.planted_log import CLICKS, GOOD_FROM, click_probability, planted_data

CONFIG = WorldConfig(
    "planted",
    "",
    users=8,
    pool=12,
    retrieval=RetrievalTrainingConfig(
        TwoTowerConfig(embedding_dim=4, feature_dim=4, hidden_units=(4,)), epochs=1, batch_size=64
    ),
    response_training=ResponseTrainingConfig(
        network=ResponseNetworkConfig(8, 16, "shared_bottom", (16,), (8,), dropout=0.0),
        epochs=8,
        batch_size=128,
        learning_rate=0.02,
        min_random_rows=500,
    ),
)


def silent(epoch, loss):
    del epoch, loss


@pytest.fixture(scope="module")
def data():
    return planted_data(sessions=500, exposures=800)


@pytest.fixture(scope="module")
def fit(data):
    return fit_response_model(data, CONFIG, silent)


@pytest.fixture(scope="module")
def pools(data):
    return make_pools(data, CONFIG, silent)


def test_enough_random_exposures_are_fitted_on(data, fit):
    rows = data.exposures.frame.height
    before = data.splits["train"].height
    text = f"{rows:,} random exposures, after {before:,} impressions of the training split"
    assert fit.source == text
    assert sum(fit.rows) == rows
    assert fit.rows[0] == int(0.6 * rows)
    assert fit.pretraining_rows == before
    assert 0 < fit.network.pretraining_epochs < len(fit.network.losses)


@pytest.mark.slow
def test_otherwise_the_training_split_is_and_it_says_why(data):
    quick = dataclasses.replace(CONFIG.response_training, epochs=1, min_random_rows=10**6)
    config = dataclasses.replace(CONFIG, response_training=quick)
    few = fit_response_model(data, config, silent)
    assert "the training split" in few.source
    assert "fewer than 1,000,000" in few.source
    assert few.pretraining_rows == few.network.pretraining_epochs == 0
    assert few.rows[0] == data.splits["train"].height
    none = fit_response_model(dataclasses.replace(data, exposures=None), config, silent)
    assert "there are no random exposures" in none.source


def test_the_tables_hold_the_planted_quality(data, fit, pools):
    response = response_tables(data, fit, pools)
    users = pools.requests["user_id"].to_numpy()[:, None]
    items = data.catalogue["item_id"].to_numpy()[pools.items]
    tables = response.arrays()
    chance = 1 / (1 + np.exp(-tables["logits"][..., 0]))
    # A user's taste takes more than these few passes; an item's quality does not.
    planted = click_probability(users, items)
    good = items >= GOOD_FROM
    gap = np.mean(CLICKS[:, 1] - CLICKS[:, 0])
    assert chance[good].mean() - chance[~good].mean() == pytest.approx(gap, abs=0.1)
    assert chance.mean() == pytest.approx(planted.mean(), abs=0.12)
    np.testing.assert_allclose(tables["duration_s"], 10 + 0.5 * items, rtol=1e-5)
    # A click is watched for about as long as the video lasts, 20 s, and no click for a second.
    medians = tables["watch_quantiles"][..., 32]
    bins = tables["watch_bin"]
    found = [np.interp(bins[..., k], np.arange(len(medians[k])), medians[k]).mean() for k in (0, 1)]
    np.testing.assert_allclose(found, [20.0, 1.0], rtol=0.15)


def test_users_leave_as_often_as_planted(data, fit, pools):
    tables = response_tables(data, fit, pools).arrays()
    assert (1 / (1 + np.exp(-tables["leave_logits"]))).mean() == pytest.approx(0.2, abs=0.05)


def test_where_the_session_stands_is_no_input(fit):
    assert [feature.name for feature in fit.network.inputs] == ["user_id", "item_id", "duration_ms"]


def test_the_summary_is_json(fit):
    summary = fit.summary()
    assert summary["rows"] == dict(zip(("fit", "calibrate", "check"), fit.rows, strict=True))
    assert [row["name"] for row in summary["calibration"]] == ["click", "like"]
    assert "moods" not in summary["sessions"]
