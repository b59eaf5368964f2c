"""Agreement of feedbacks against an independent NumPy twin, and on logs with known correlations."""

import numpy as np
import polars as pl
import pytest

from mtfx.datasets.logs.agreement import (
    LEAST_ENTITIES,
    agreement,
    means_by_duration,
    quantiles,
    rates_by_condition,
)


def planted(correlation, items=600, rows=200, seed=3):
    """A log whose true rates of click and like have a known correlation about items."""
    rng = np.random.default_rng(seed)
    normal = rng.multivariate_normal([0, 0], [[1, correlation], [correlation, 1]], items)
    truth = 0.5 + 0.1 * normal.clip(-3, 3)
    item = np.repeat(np.arange(items), rows)
    labels = rng.random((items * rows, 2)) < truth[item]
    log = pl.DataFrame(
        {
            "item_id": item,
            "user_id": rng.integers(0, 50, len(item)),
            "click": labels[:, 0].astype(np.int64),
            "like": labels[:, 1].astype(np.int64),
        }
    )
    return log, truth


def twin(log, key, names, least, seed=0):
    """The same by loops over entities; no shared code."""
    half = np.random.default_rng(seed).integers(0, 2, log.height)
    keys = log[key].to_numpy()
    values = log.select(names).to_numpy().astype(float)
    means = []
    for entity in np.unique(keys):
        mine = keys == entity
        parts = [mine & (half == part) for part in (0, 1)]
        if min(part.sum() for part in parts) >= least:
            means.append([values[part].mean(axis=0) for part in parts])
    one, other = np.array(means).transpose(1, 0, 2)
    cross = np.cov(one.T, other.T)[: len(names), len(names) :]
    cross = (cross + cross.T) / 2
    spread = np.sqrt(np.diag(cross))
    return len(means), one.mean(axis=0), spread, cross / np.outer(spread, spread)


@pytest.mark.parametrize(("key", "least"), [("item_id", 80), ("user_id", 100)])
def test_figures_are_those_of_a_plain_numpy_version(key, least):
    log, _ = planted(0.4, items=120)
    # The users of the planted log do not differ: these do.
    log = log.with_columns(
        click=pl.col("click") * (pl.col("user_id") % 3 > 0), like=1 - pl.col("click")
    )
    found = agreement(log, key, ("click", "like"), least)
    entities, means, spreads, correlations = twin(log, key, ["click", "like"], least)
    assert found.entities == entities > LEAST_ENTITIES
    np.testing.assert_allclose(found.means, means)
    np.testing.assert_allclose(found.spreads, spreads)
    np.testing.assert_allclose(found.correlations, correlations)


@pytest.mark.parametrize("correlation", [-0.6, 0.0, 0.8])
def test_a_planted_correlation_is_found_without_the_noise_that_hides_it(correlation):
    log, truth = planted(correlation)
    found = agreement(log, "item_id", ("click", "like"), 60)
    assert found.correlations[0, 1] == pytest.approx(np.corrcoef(truth.T)[0, 1], abs=0.08)
    np.testing.assert_allclose(found.spreads, truth.std(axis=0), rtol=0.08)
    # The correlation of the observed rates is pulled towards 0.
    observed = log.group_by("item_id").agg(pl.col("click", "like").mean())
    pulled = np.corrcoef(observed["click"], observed["like"])[0, 1]
    assert abs(pulled) < max(abs(correlation), 0.1)


def test_feedback_that_does_not_differ_between_entities_has_no_correlation():
    rng = np.random.default_rng(1)
    log, _ = planted(0.0, items=100)
    log = log.with_columns(like=pl.Series((rng.random(log.height) < 0.001).astype(np.int64)))
    found = agreement(log, "item_id", ("click", "like"), 60)
    assert np.isfinite(found.spreads[0])
    assert np.isnan(found.spreads[1])
    assert np.isnan(found.correlations[0, 1])


def test_too_few_entities_give_no_figures():
    log, _ = planted(0.0, items=LEAST_ENTITIES - 1)
    found = agreement(log, "item_id", ("click", "like"), 60)
    assert not found.enough
    assert found.entities == LEAST_ENTITIES - 1
    assert np.isnan(found.correlations).all()


def test_unknown_labels_count_for_nothing():
    log, truth = planted(0.5)
    hidden = np.random.default_rng(5).random(log.height) < 0.3
    log = log.with_columns(like=pl.when(~pl.Series(hidden)).then("like"))
    found = agreement(log, "item_id", ("click", "like"), 60)
    assert found.correlations[0, 1] == pytest.approx(np.corrcoef(truth.T)[0, 1], abs=0.08)
    assert found.means[1] == pytest.approx(0.5, abs=0.02)


def test_watch_time_is_compared_with_the_duration_by_rank():
    log, _ = planted(0.0, items=50)
    duration = 1_000.0 * (1 + pl.col("item_id"))
    log = log.with_columns(duration_ms=duration, watch_time_ms=duration.sqrt())
    found = agreement(log, "item_id", ("click",), 60, watch="watch_time_ms", duration="duration_ms")
    assert found.with_duration == pytest.approx(1.0)


def test_rates_with_and_without_another_feedback():
    log = pl.DataFrame({"click": [1, 1, 1, 0], "like": [1, 0, 0, 0]})
    rates = rates_by_condition(log, ("click", "like"))
    np.testing.assert_allclose(rates[0, :, 1], [0.0, 1 / 3])
    np.testing.assert_allclose(rates[1, :, 0], [2 / 3, 1.0])


def test_parts_of_duration_have_equally_many_impressions():
    log = pl.DataFrame(
        {"duration_ms": np.repeat(np.arange(12.0), 10), "click": np.repeat([0, 1] * 6, 10)}
    )
    longest, means = means_by_duration(log, "duration_ms", ["click", "duration_ms"])
    np.testing.assert_allclose(longest, [1, 3, 5, 7, 9, 11])
    np.testing.assert_allclose(means[:, 0], 0.5)
    np.testing.assert_allclose(means[:, 1], [0.5, 2.5, 4.5, 6.5, 8.5, 10.5])


def test_quantiles_are_values_of_the_column():
    assert quantiles(pl.Series(range(101)))[2] == 50
