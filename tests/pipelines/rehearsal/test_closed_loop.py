"""Serve, log, retrain, bless, push, serve: the real pipelines and a real server."""

import json
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import tensorflow as tf

from mtfx.datasets.request_state import RequestStateConfig
from mtfx.models.request_state import RequestState
from mtfx.pipelines.daily import run_days
from mtfx.pipelines.daily_state import DailyState
from mtfx.pipelines.local_runner import SilentObserver
from mtfx.pipelines.rehearsal.closed_loop import run_closed_loop
from mtfx.pipelines.rehearsal.config import ClosedLoopConfig
from mtfx.serving.exploration import request_seed

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    return ClosedLoopConfig(
        tmp_path_factory.mktemp("loop"),
        days=2,
        sessions=200,
        users=40,
        pool=60,
        candidates=20,
        train_steps=200,
        value_sessions=200,
        poisoned_day=2,
        seed=1,
    )


@pytest.fixture(scope="module")
def days(config):
    return run_closed_loop(config, SilentObserver(), lambda *_: None)


def test_a_served_day_trains_the_next_ranker(config, days):
    first = DailyState.read(config.daily.output_dir).days[1]
    assert first.status == "done", first.reason
    assert first.window == (0, 1)
    assert first.served_window == (1,)
    assert days[0].ranker_of == 0


def test_what_was_served_is_logged_with_its_arm_and_density(config, days):
    served = pl.read_parquet(config.served / "day-1" / "*.parquet")
    explored = served.filter(pl.col("behaviour_policy") != "policy")
    own = served.filter(pl.col("behaviour_policy") == "policy")
    assert explored.height > 0
    assert own.height > 0
    assert explored["log_density"].is_finite().all()
    assert own["log_density"].is_nan().all()
    assert served["policy_version"].n_unique() == 1


def test_a_poisoned_day_is_refused_and_changes_nothing(config, days):
    state = DailyState.read(config.daily.output_dir)
    poisoned = state.days[2]
    assert poisoned.status == "refused"
    assert "click" in poisoned.reason
    assert "watch_time_ms" in poisoned.reason
    assert not poisoned.ranking.artifact
    assert not poisoned.policy.pushed


def test_a_service_that_sends_wrong_features_is_named(config, days):
    """The next day, as the first one again, but with every video's length in seconds."""
    for folder in (config.logs, config.served):
        shutil.copytree(folder / "day-1", folder / "day-3")
    for log in (config.logs / "day-3").glob("log_*.csv"):
        later = pl.col("time_ms") + 2 * 86_400_000
        pl.read_csv(log).with_columns(later).write_csv(log)
    tamper(config.served / "day-3" / "shown")
    [day] = run_days(config.daily_of(3), (3,), SilentObserver(), lambda *_: None)
    assert day.status == "failed"
    assert "duration_ms" in day.reason
    assert day.served_refused


def tamper(folder):
    for path in folder.glob("*.gz"):
        records = [r.numpy() for r in tf.data.TFRecordDataset(str(path), "GZIP")]
        with tf.io.TFRecordWriter(str(path), "GZIP") as writer:
            for record in records:
                example = tf.train.Example.FromString(record)
                values = example.features.feature["duration_ms"].float_list.value
                values[:] = [value / 1000 for value in values]
                writer.write(example.SerializeToString())


def test_the_true_value_of_each_days_ranker_is_known(config, days):
    assert [day.span for day in days] == [1, 2]
    for day in days:
        assert day.value.n == config.value_sessions
        assert day.value.mean > 0
        assert day.served.mean > 0


def test_every_answer_can_be_computed_again_from_the_log(config, days):
    """By the ranker that gave it; and the request's part of the state by any later one too."""
    log = pl.concat(
        pl.read_parquet(path) for path in config.output_dir.glob("raw/day-*/requests/*.parquet")
    )
    assert log.height >= 1000
    rankers = Path(config.daily.output_dir, "serving", "ranker")
    newest = max(int(path.name) for path in rankers.iterdir())
    assert newest > log["policy_version"].max() or log["policy_version"].n_unique() > 1
    models = {
        version: tf.saved_model.load(str(rankers / str(version)))
        for version in {*log["policy_version"].to_list(), newest}
    }
    about = json.loads((rankers / str(newest) / "assets.extra" / "mtfx.json").read_text())
    own = RequestState(RequestStateConfig.from_dict(about["request_state"]))
    part = len(own.config.names)
    states = np.asarray(log["state"].to_list(), np.float32)
    again = own.of_requests(tf.constant(log["request"].to_list())).state
    np.testing.assert_allclose(again, states[:, :part], atol=1e-6)
    for number, row in enumerate(log.iter_rows(named=True)):
        request = tf.constant(row["request"])
        model = models[row["policy_version"]].signatures
        if row["behaviour_policy"] == "policy":
            answer = model["serving_default"](request=request)
        else:
            answer = model["explore"](
                request=request,
                seed=tf.constant(request_seed(row["request_id"])),
                at_random=tf.constant(row["behaviour_policy"] == "random"),
            )
            assert float(answer["log_density"]) == pytest.approx(row["log_density"], abs=1e-5)
        np.testing.assert_allclose(answer["state"], row["state"], atol=1e-6)
        np.testing.assert_allclose(answer["action"], row["action"], atol=1e-6)
        np.testing.assert_allclose(answer["scores"], row["scores"], atol=1e-6, rtol=1e-6)
        assert int(answer["ranked_indices"][0]) == row["chosen"]
        order = np.argsort(-np.asarray(row["scores"], np.float32), kind="stable")
        np.testing.assert_array_equal(answer["ranked_indices"], order)
        if number % 20 == 0:
            later = models[newest].signatures["serving_default"](request=request)
            np.testing.assert_allclose(later["state"][:part], row["state"][:part], atol=1e-6)
