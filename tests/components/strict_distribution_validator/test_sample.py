"""The effective sample of correlated users, and distributions from quantiles."""

import numpy as np
import pytest
from tensorflow_metadata.proto.v0 import statistics_pb2

from mtfx.components.strict_distribution_validator.sample import Distribution, Sample


def _log(rng, users=3000, correlation=0.2):
    """Sessions of users, of whom some come often; clicks are correlated within a user."""
    sessions = rng.geometric(0.4, users)
    owner = np.repeat(np.arange(users), sessions)
    lengths = rng.geometric(0.7, len(owner))
    # A beta mixture of rates has this correlation between two views of a user.
    total = 1 / correlation - 1
    rate = rng.beta(0.4 * total, 0.6 * total, users)
    clicks = [
        (rng.random(n) < rate[user]).astype(int) for user, n in zip(owner, lengths, strict=True)
    ]
    return {
        "user_id": [[int(user)] for user in owner],
        "step": [np.arange(n).tolist() for n in lengths],
        "click": [c.tolist() for c in clicks],
    }


def test_the_effective_sample_is_what_the_spread_of_rates_shows(statistics_of):
    rates = []
    for seed in range(150):
        clicks = np.concatenate(_log(np.random.default_rng(seed))["click"])
        rates.append(clicks.mean())
    shown = 0.4 * 0.6 / np.var(rates)
    log = _log(np.random.default_rng(0))
    sample = statistics_of(log, ("user_id", "click"))
    assert sample.impressions == sum(map(len, log["click"]))
    assert sample.sessions == len(log["click"])
    assert sample.label("click") == (1.0, pytest.approx(np.concatenate(log["click"]).mean()))
    # No larger than it is, and not needlessly small.
    assert 0.6 * shown < sample.size(False, 0.2) < 1.15 * shown
    # Rows are not the sample: they promise far more than there is.
    assert sample.impressions > 1.3 * shown


def test_a_users_attribute_counts_each_user_once(statistics_of):
    """Kish's effective size exactly, where all users are named."""
    log = _log(np.random.default_rng(0), users=900)
    owners = np.concatenate(log["user_id"])
    counts = np.bincount(owners)
    exact = counts.sum() ** 2 / np.square(counts).sum()
    assert statistics_of(log, ("user_id",)).size(True, 0.2) == pytest.approx(exact)


def test_users_who_are_not_named_make_the_sample_smaller_not_larger(statistics_of):
    log = _log(np.random.default_rng(0), users=5000)
    counts = np.bincount(np.concatenate(log["user_id"]))
    exact = counts.sum() ** 2 / np.square(counts).sum()
    assert statistics_of(log, ("user_id",)).size(True, 0.2) == pytest.approx(exact)
    assert 0.2 * exact < statistics_of(log, ("user_id",), named=1000).size(True, 0.2) < exact


def test_users_who_were_not_counted_leave_each_session_its_own(statistics_of):
    log = _log(np.random.default_rng(0), users=50)
    sample = statistics_of({"step": log["step"]})
    assert sample.size(True, 0.2) == sample.sessions
    assert statistics_of({"x": [[1.0], [2.0]]}).size(False, 0.3) == 2
    assert Sample(statistics_pb2.DatasetFeatureStatistics()).size(False, 0.3) == 1


def test_a_distribution_with_atoms_and_a_tail_is_read_from_quantiles(statistics_of):
    rng = np.random.default_rng(0)
    values = np.concatenate([np.zeros(1000), rng.lognormal(8, 2, 9000)])
    found = statistics_of({"x": [[float(v)] for v in values]}).distribution("x")
    at = np.array([-1.0, 0.0, 100.0, 3000.0, 1e5, 1e9])
    exact = (values[:, None] <= at).mean(0)
    assert found.below(at) == pytest.approx(exact, abs=0.01)
    assert found.quantile(0.05) == 0.0
    assert found.quantile(0.5) == pytest.approx(np.median(values), rel=0.05)
    constant = Distribution(np.array([3.0]), np.array([3.0]), np.array([1.0]))
    assert constant.below(np.array([2.9, 3.0, 3.1])).tolist() == [0.0, 1.0, 1.0]


def test_missing_statistics_are_none(statistics_of):
    sample = statistics_of({"x": [[1], [0], [0], [5]], "text": [[b"a"], [b"a"], [b""], [b"b"]]})
    assert sample.zeros("x") == 0.5
    assert sample.counts("text") == {"a": 2.0, "": 1.0, "b": 1.0}
    assert statistics_of({"x": [[1.5], [0.0]]}).counts("x") is None
    for none in (
        sample.zeros("text"),
        sample.zeros("y"),
        sample.distribution("text"),
        sample.label("y"),
        sample.label("x"),
    ):
        assert none is None


def test_the_rate_of_a_label_is_that_of_its_known_values(statistics_of):
    labels = {"click": [[1, 0], [-1, 0], [-1, 0]], "pay": [[-1, -1]] * 3}
    sample = statistics_of(labels, ("click", "pay"))
    assert sample.label("click") == (pytest.approx(4 / 6), 0.25)
    assert sample.label("pay") == (0.0, None)
