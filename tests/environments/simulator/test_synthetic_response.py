"""The synthetic truth in TensorFlow, against the NumPy world that wrote the logs."""

import dataclasses
import json

import numpy as np
import polars as pl
import pytest
import tensorflow as tf

from mtfx.datasets.synthetic import SyntheticConfig, synthesize
from mtfx.datasets.synthetic.blocks import split_into_blocks
from mtfx.datasets.synthetic.calibration import calibrate
from mtfx.datasets.synthetic.schedule import Schedule
from mtfx.datasets.synthetic.simulation import simulate
from mtfx.datasets.synthetic.video import TABS, VideoWorld
from mtfx.environments.simulator import draws
from mtfx.environments.simulator.config import SimulatorConfig
from mtfx.environments.simulator.dynamics import Simulator
from mtfx.environments.simulator.synthetic_response import SyntheticResponse
from mtfx.environments.simulator.synthetic_tables import MAIN_TAB, synthetic_tables
from mtfx.environments.simulator.user_requests import UserRequests
from mtfx.environments.simulator.value import session_figures
from mtfx.environments.simulator.world import World, load_world, save_world
from mtfx.errors import DataError
from mtfx.models.action_policy import ActionSample
from mtfx.models.fusion.base import FusionFunction

CONFIG = SyntheticConfig(impressions=3_000, users=60, items=80, seed=11, with_truth=True)


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    path = tmp_path_factory.mktemp("synthetic") / "data"
    synthesize(CONFIG, path)
    return path


@pytest.fixture(scope="module")
def truth(directory):
    logs = ("standard_4_08_to_4_21", "standard_4_22_to_5_08", "random_4_22_to_5_08")
    log = pl.concat(pl.read_csv(directory / f"log_{name}_synthetic.csv") for name in logs)
    frames = [pl.read_csv(directory / f"truth_{name}_synthetic.csv") for name in logs]
    return pl.concat(frames).with_columns(log["tab"]).filter(pl.col("tab") == MAIN_TAB)


@pytest.fixture(scope="module")
def numpy_world():
    world = VideoWorld(CONFIG)
    return world, calibrate(CONFIG.seed, world, split_into_blocks(CONFIG))


@pytest.fixture(scope="module")
def response(directory):
    """Every user's pool is all items, in the order of their ids."""
    items = np.tile(np.arange(80), (60, 1))
    return SyntheticResponse(synthetic_tables(directory, np.arange(60), items))


def test_probabilities_are_those_in_the_truth_files(truth, response):
    arguments = (
        tf.constant(truth["user_id"].to_numpy(), tf.int32),
        tf.constant(truth["video_id"].to_numpy(), tf.int32),
        tf.constant(truth["satisfaction"].to_numpy(), tf.float32),
    )
    assert len(truth) > 1_000
    found = response.probabilities(*arguments).numpy()
    expected = truth.select(pl.col("^p_.*$")).to_numpy()
    np.testing.assert_allclose(found, expected, atol=1e-5)


class FixedDraws:
    """Stands in for a generator: the first call gets these numbers, later ones zeros."""

    def __init__(self, values):
        self.values = values

    def random(self, shape, dtype):
        values, self.values = self.values, None
        return np.zeros(shape, dtype) if values is None else values


def numpy_scores(world, intercepts, users, items, satisfaction):
    """As in ``mtfx.datasets.synthetic.simulation``; items are indices, not ids."""
    latents = world.users(split_into_blocks(CONFIG)[0])
    affinity = (world.items.factors[items] * latents.factors[users]).sum(axis=1) / 8**0.5
    context = np.full(len(users), TABS.index(MAIN_TAB), np.int8)
    shift, side = world.circumstances(items, np.zeros(len(users), int), context)
    rolled = np.concatenate([world.items.factors[:, -1:], world.items.factors[:, :-1]], axis=1)
    interest = (rolled[items] * latents.factors[users]).sum(axis=1) / 8**0.5
    model = world.model
    utility = model.affinity * affinity + shift
    distance = model.satisfaction * (satisfaction - 0.3)
    scores = latents.scores[users] + world.items.scores[items]
    scores = scores + utility[:, None] * np.array(model.utility_weights, np.float32)
    scores = scores + interest[:, None] * np.array(model.interest_weights, np.float32)
    scores = scores + distance[:, None] * np.array(model.satisfaction_weights, np.float32)
    return (scores + intercepts.tasks).astype(np.float32), side


def test_responses_are_those_of_the_numpy_world_for_the_same_draws(numpy_world, response):
    world, intercepts = numpy_world
    rng = np.random.default_rng(0)
    size = 4_000
    users = rng.integers(0, 60, size).astype(np.int32)
    ids = rng.integers(0, 80, size).astype(np.int32)
    items = np.argsort(world.items.ids)[ids]
    satisfaction = rng.uniform(0.1, 0.8, size).astype(np.float32)
    scores, side = numpy_scores(world, intercepts, users, items, satisfaction)
    seeds = draws.session_seeds(tf.constant([1, 2]), size)
    uniform = draws.uniforms(seeds, 7).numpy()
    expected = world.respond(FixedDraws(uniform), items, scores, side)
    found = response.respond(users, ids, satisfaction, tf.constant([1, 2]))
    # A draw within rounding of its probability may fall on either side.
    agree = (found.feedback.numpy() == expected.labels).all(axis=1)
    assert agree.mean() > 0.999
    np.testing.assert_allclose(
        found.watch_s.numpy()[agree], expected.extra_ms[agree] / 1e3, rtol=1e-3, atol=2e-3
    )
    np.testing.assert_allclose(
        found.satisfaction_reward.numpy()[agree], expected.reward[agree], atol=1e-6
    )
    np.testing.assert_allclose(
        response.durations_s(users, ids), world.videos.duration_ms[items] / 1e3, rtol=1e-6
    )


def test_expected_watch_time_is_the_mean_of_the_draws(response):
    for user, item, satisfaction in ((0, 3, 0.3), (7, 40, 0.7), (20, 79, 0.15)):
        size = 40_000
        arguments = [tf.fill([size], v) for v in (user, item, satisfaction)]
        watch = response.respond(*arguments, tf.constant([user, 1])).watch_s.numpy()
        mean = float(response.expected_watch_s(*(a[:1] for a in arguments))[0])
        assert watch.mean() == pytest.approx(mean, abs=5 * float(watch.std()) / size**0.5)


class FirstCandidate(FusionFunction):
    """Ranks nothing: the first of a random order is shown."""

    def scores(self, predictions, action, states=None):
        return tf.zeros(tf.shape(predictions)[:2])


class NoAction:
    def actions(self, states, users, seed):
        batch = tf.shape(states)[0]
        return ActionSample(tf.zeros([batch, 1]), tf.zeros([batch]))


def test_sessions_are_as_long_and_as_good_as_the_numpy_simulations(
    numpy_world, response, monkeypatch
):
    """Both show an item at random; ours none twice, of 80, which changes little."""
    world, intercepts = numpy_world
    users = np.arange(60).repeat(100)
    monkeypatch.setattr(
        world, "session_context", lambda rng, n: np.full(n, TABS.index(MAIN_TAB), np.int8)
    )
    monkeypatch.setattr(world, "random_probability", 1.0)
    start = np.full(len(users), world.random_from_ms)
    schedule = Schedule(users, start, np.arange(len(users)))
    latents = world.users(split_into_blocks(CONFIG)[0])
    log, _ = simulate(np.random.default_rng(3), world, latents, schedule, intercepts, False)
    lengths = len(log.user) / len(users)

    simulator = Simulator(
        World(
            requests=UserRequests.of_strangers(np.zeros((60, 1))),
            predictions=np.zeros((60, 80, 1)),
            prediction_names=("none",),
            response=response,
            item_ids=np.tile(np.arange(80), (60, 1)),
            user_ids=np.arange(60),
        ),
        SimulatorConfig(candidates=1, max_views=80),
    )
    figures = session_figures(simulator, FirstCandidate(1, 1), NoAction(), users, 0, 0.9)
    assert figures.views.mean() == pytest.approx(lengths, rel=0.04)
    assert np.quantile(figures.views, 0.9) == pytest.approx(
        np.quantile(np.bincount(_session_of(log, users)), 0.9), rel=0.1
    )
    seconds = figures.watch_s.sum() / figures.views.sum()
    assert seconds == pytest.approx(log.extra_ms.mean() / 1e3, rel=0.04)
    positive = log.labels[:, 2:6].any(axis=1).mean()
    found = (figures.positive_rate * figures.views).sum() / figures.views.sum()
    assert found == pytest.approx(positive, rel=0.2)


def _session_of(log, users):
    """Sessions of a log in which all start at the same time: a new one where time does not pass."""
    new = (np.diff(log.time_ms) <= 0) | (np.diff(log.user) != 0)
    return np.concatenate([[0], np.cumsum(new)])


def test_saved_and_loaded(response, tmp_path):
    world = World(
        requests=UserRequests.of_strangers(np.zeros((60, 2))),
        predictions=np.full((60, 80, 1), 0.5),
        prediction_names=("click",),
        response=response,
        item_ids=np.tile(np.arange(80), (60, 1)),
        user_ids=np.arange(60),
    )
    save_world(world, tmp_path)
    arguments = (tf.constant([3]), tf.constant([4]), tf.constant([0.4]))
    np.testing.assert_array_equal(
        load_world(tmp_path).response.probabilities(*arguments), response.probabilities(*arguments)
    )


def test_what_is_no_synthetic_video_data_is_refused(directory, tmp_path):
    users, items = np.arange(2), np.tile(np.arange(3), (2, 1))
    with pytest.raises(DataError, match=r"holds no synthetic\.json"):
        synthetic_tables(tmp_path, users, items)
    shop = SyntheticConfig(profile="shop", impressions=1_000)
    synthesize(shop, tmp_path / "shop")
    with pytest.raises(DataError, match="profile 'shop'"):
        synthetic_tables(tmp_path / "shop", users, items)
    manifest = json.loads((directory / "synthetic.json").read_text())
    (tmp_path / "synthetic.json").write_text(json.dumps(manifest))
    with pytest.raises(DataError, match="is missing or was changed"):
        synthetic_tables(tmp_path, users, items)
    with pytest.raises(ValueError, match="no user 60"):
        synthetic_tables(directory, users + 59, items)
    with pytest.raises(ValueError, match="no item 80"):
        synthetic_tables(directory, users, items + 78)
    with pytest.raises(ValueError, match="whole numbers"):
        synthetic_tables(directory, np.array(["ann", "bob"]), items)
    with pytest.raises(ValueError, match="no tab 9"):
        synthetic_tables(directory, users, items, tab=9)
    with pytest.raises(ValueError, match=r"\[user, slot\]"):
        synthetic_tables(directory, users, items[0])
    words = synthetic_tables(directory, users.astype(str), items.astype(str))
    numbers = synthetic_tables(directory, users, items)
    np.testing.assert_array_equal(words.scores, numbers.scores)
    with pytest.raises(ValueError, match="'mood'"):
        SyntheticResponse(dataclasses.replace(numbers, mood=np.zeros(3)))
