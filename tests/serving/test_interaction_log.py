"""Arms are stable, logs are whole, and what is written is what was served."""

import threading

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from mtfx.serving.client import GrpcRankerClient
from mtfx.serving.exploration import ExplorationPlan, TrialPlan, request_seed
from mtfx.serving.interaction_log import (
    FEEDBACK,
    REQUESTS,
    InteractionLogger,
    RequestContext,
    read_log,
)
from mtfx.serving.messages import Ranking, shown_example
from tests.request_examples import candidates, example


def ranking(candidates=3):
    return Ranking(
        np.arange(candidates, dtype=np.int32),
        np.zeros(candidates, np.float32),
        np.arange(2 * candidates, dtype=np.float32).reshape(candidates, 2) / 10,
        np.asarray([0.5, -0.5], np.float32),
        np.ones(4, np.float32),
        7,
    )


REQUEST = candidates(3)
CONTEXT = RequestContext("r1", "s1", "ann", 0, "noise")


def test_shares_are_kept_and_halves_do_not_move():
    users = [f"user {number}" for number in range(20_000)]
    small, large = ([ExplorationPlan(share).arm(user) for user in users] for share in (0.1, 0.3))
    for arms, share in ((small, 0.1), (large, 0.3)):
        for arm in ("noise", "random"):
            assert arms.count(arm) / len(users) == pytest.approx(share / 2, abs=0.01)
    assert all(one in ("policy", other) for one, other in zip(small, large, strict=True))
    other = [ExplorationPlan(0.1, "another").arm(user) for user in users]
    assert sum(a != "policy" != b for a, b in zip(small, other, strict=True)) < 0.02 * len(users)
    with pytest.raises(ValueError, match="share"):
        ExplorationPlan(1.5)


@given(st.text(), st.floats(0, 1))
def test_arms_and_seeds_are_functions_of_their_text(text, share):
    plan = ExplorationPlan(share)
    assert plan.arm(text) == plan.arm(text)
    seed = request_seed(text)
    assert (seed.dtype, seed.shape) == (np.int32, (2,))
    np.testing.assert_array_equal(seed, request_seed(text))


def test_arms_are_the_same_in_every_version():
    # Whoever changes these gives every user of a running system another arm.
    arms = [ExplorationPlan(0.5).arm(name) for name in ("ann", "bob", "eve", "joe", "sue")]
    assert arms == ["random", "policy", "policy", "random", "random"]


def test_groups_of_a_trial_are_stable_and_independent_of_each_other():
    users = [f"user {number}" for number in range(10_000)]
    one, other = ([TrialPlan(salt=salt).arm(user) for user in users] for salt in ("a", "b"))
    assert one.count("treatment") / len(users) == pytest.approx(0.5, abs=0.02)
    both = sum(a == b == "treatment" for a, b in zip(one, other, strict=True))
    assert both / len(users) == pytest.approx(0.25, abs=0.02)
    explored = [ExplorationPlan(0.5, "a").arm(user) != "policy" for user in users]
    crossed = sum(a == "treatment" and b for a, b in zip(one, explored, strict=True))
    assert crossed / len(users) == pytest.approx(0.25, abs=0.02)
    # Whoever changes these moves the users of a running trial.
    assert [TrialPlan().arm(name) for name in ("ann", "bob", "eve")] == [
        "control",
        "control",
        "control",
    ]
    with pytest.raises(ValueError, match="share"):
        TrialPlan(-0.1)


def test_what_is_written_is_what_was_served(served, ranking_request, tmp_path):
    client = GrpcRankerClient(served.target, timeout_s=30.0)
    answer = client.rank(ranking_request)
    with InteractionLogger(tmp_path, now_ms=lambda: 1_700_000_000_000) as log:
        log.log_request(CONTEXT, ranking_request, answer, int(answer.ranked_indices[0]), 12.5, -0.7)
        log.log_feedback("r1", {"click": 1.0, "watch_s": 3.5})
    [row] = read_log(tmp_path / REQUESTS).to_pylist()
    assert row["candidate_count"] == 5
    assert row["request"] == ranking_request
    assert row["chosen"] == answer.ranked_indices[0]
    assert row["policy_version"] == 2
    np.testing.assert_allclose(np.reshape(row["predictions"], (5, 2)), answer.predictions)
    np.testing.assert_allclose(row["state"], answer.state)
    np.testing.assert_allclose(row["log_density"], -0.7, rtol=1e-6)
    found = {row["name"]: row["value"] for row in read_log(tmp_path / FEEDBACK).to_pylist()}
    assert found == {"click": 1.0, "watch_s": 3.5}


def test_many_threads_lose_and_repeat_nothing(tmp_path):
    with InteractionLogger(tmp_path, rows_per_file=7) as log:

        def write(worker):
            for number in range(50):
                context = RequestContext(f"{worker}-{number}", "s", "u", number, "policy")
                log.log_request(context, REQUEST, ranking(), 0, 1.0)

        threads = [threading.Thread(target=write, args=(worker,)) for worker in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    ids = read_log(tmp_path / REQUESTS, ["request_id"])["request_id"].to_pylist()
    assert len(ids) == len(set(ids)) == 200
    assert not list((tmp_path / REQUESTS).glob(".*"))


def test_an_old_row_is_written_when_another_comes(tmp_path):
    log = InteractionLogger(tmp_path, seconds_per_file=1e-9)
    log.log_request(CONTEXT, REQUEST, ranking(), 0, 1.0)
    assert list((tmp_path / REQUESTS).iterdir())


def test_a_service_that_dies_leaves_whole_files(tmp_path):
    log = InteractionLogger(tmp_path, rows_per_file=2)
    for number in range(5):
        log.log_request(
            RequestContext(f"r{number}", "s", "u", number, "policy"), REQUEST, ranking(), 0, 1.0
        )
    # It dies here, with one row in memory and another process's file half written.
    [written, *_] = (tmp_path / REQUESTS).glob("*.parquet")
    half = written.read_bytes()[:100]
    (tmp_path / REQUESTS / f".{written.name}.partial").write_bytes(half)
    found = read_log(tmp_path / REQUESTS)["request_id"].to_pylist()
    assert sorted(found) == ["r0", "r1", "r2", "r3"]


def test_wrong_values_are_refused(tmp_path):
    log = InteractionLogger(tmp_path)
    with pytest.raises(ValueError, match="not among the request's 3"):
        log.log_request(CONTEXT, REQUEST, ranking(), 3, 1.0)
    with pytest.raises(ValueError, match="count from 0"):
        log.log_request(RequestContext("r", "s", "u", -1, "policy"), REQUEST, ranking(), 0, 1.0)
    for value in (-1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="watch_s of request r1"):
            log.log_feedback("r1", {"click": 1.0, "watch_s": value})
    log.flush()
    assert not list((tmp_path / FEEDBACK).iterdir())
    with pytest.raises(ValueError, match="positive size"):
        InteractionLogger(tmp_path, rows_per_file=0)


def test_the_shown_candidates_features_are_kept():
    merged = example(user=[7], item=[1, 2, 3], tag=[4, 5, 6], history_item=[7, 8, 9])
    assert _read(shown_example(merged, 1, 3)) == {
        "user": [7],
        "item": [2],
        "tag": [5],
        "history_item": [7, 8, 9],
    }


def _read(record):
    features = tf.train.Example.FromString(record).features.feature
    return {name: list(feature.int64_list.value) for name, feature in features.items()}


@pytest.mark.parametrize(("share", "least", "most"), [(0.0, 0, 0), (0.3, 60, 120), (1.0, 300, 300)])
def test_features_are_logged_for_their_share_of_the_requests(tmp_path, share, least, most):
    with InteractionLogger(tmp_path, example_share=share) as logger:
        for number in range(300):
            context = RequestContext(f"r{number}", "s", "u", number, "policy")
            request = example(user=7, item=[1, 2, number])
            logger.log_request(context, request, ranking(), 2, 1.0)
    files = [str(path) for path in (tmp_path / "shown").glob("*.gz")]
    records = list(tf.data.TFRecordDataset(files, "GZIP")) if files else []
    assert least <= len(records) <= most
    assert all(len(_read(record.numpy())["item"]) == 1 for record in records)


def test_a_share_that_is_none_is_refused(tmp_path):
    with pytest.raises(ValueError, match="example_share"):
        InteractionLogger(tmp_path, example_share=1.5)


def test_a_clock_that_was_never_set_is_warned_of_once_and_costs_no_request(tmp_path, caplog):
    with InteractionLogger(tmp_path, now_ms=lambda: 5) as log:
        for name in ("r1", "r2"):
            log.log_request(
                RequestContext(name, "s1", "ann", 0, "noise"), REQUEST, ranking(), 0, duration_s=1.0
            )
            log.log_feedback(name, {"click": 1.0})
    assert read_log(tmp_path / REQUESTS)["timestamp_ms"].to_pylist() == [5, 5]
    [said] = [record.getMessage() for record in caplog.records if "clock" in record.getMessage()]
    assert "before 2000" in said
