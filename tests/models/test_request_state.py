"""States of requests, beside a second computation in NumPy."""

import math

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from mtfx.datasets.request_state import RequestColumn, RequestStateConfig
from mtfx.models.request_state import RequestState, mean_predictions

NOW = 1_700_000_000_000
CONFIG = RequestStateConfig(
    counts=("user_id_impressions", "user_id_click_count"),
    numbers=(RequestColumn("followers", "int64"), RequestColumn("balance", "float32")),
    profile=(RequestColumn("level", "int64"), RequestColumn("town", "string")),
    context=(RequestColumn("tab", "int64"),),
    feedback=("click", "like"),
    watch_share=True,
    feedback_time=True,
    length=4,
    gap_minutes=30,
    utc_offset_hours=8,
)
STATE = RequestState(CONFIG)
HASHED = {name for name in CONFIG.names if name.startswith(("profile_", "context_"))}


def request(**columns) -> bytes:
    example = tf.train.Example()
    for name, values in columns.items():
        feature = example.features.feature[name]
        if isinstance(values[0] if values else 0, str):
            feature.bytes_list.value.extend(value.encode() for value in values)
        elif name in ("balance", "history_watch_share"):
            feature.float_list.value.extend(values)
        else:
            feature.int64_list.value.extend(values)
    return example.SerializeToString()


def named(state) -> dict[str, float]:
    return dict(zip(CONFIG.names, np.asarray(state).tolist(), strict=True))


def reference(now, rows, impressions=0, clicks=0, followers=0, balance=0.0) -> dict[str, float]:
    """The state by plain loops, but for what is hashed; rows are (ms, click, like, share, came)."""
    before = sorted((row for row in rows if row[0] < now), key=lambda row: -row[0])[:4]
    seen = [
        (ms, click if came < now else 0, like if came < now else 0, share if came < now else -1)
        for ms, click, like, share, came in before
    ]
    session, last = [], now
    for row in seen:
        if last - row[0] > 30 * 60_000:
            break
        session.append(row)
        last = row[0]
    angle = ((now + 8 * 3_600_000) % 86_400_000) / 86_400_000 * 2 * math.pi
    found = {
        "user_id_impressions": math.log1p(impressions) / 5,
        "user_id_click_count": math.log1p(clicks) / 5,
        "followers": math.copysign(math.log1p(abs(followers)) / 5, followers),
        "balance": math.copysign(math.log1p(abs(balance)) / 5, balance),
        "hour_sin": math.sin(angle),
        "hour_cos": math.cos(angle),
        "age_of_newest": min(math.log1p((now - seen[0][0]) / 1000) / 12, 1.5) if seen else 1.5,
        "history_impressions": math.log1p(len(seen)) / 5,
        "session_views": len(session) / 100,
    }
    for place, name in enumerate(("click", "like", "watch_share"), 1):
        values = [min(row[place], 3.0) for row in seen if row[place] >= 0]
        found[f"history_{name}"] = sum(values) / (len(values) + 3)
        values = [min(row[place], 3.0) for row in session if row[place] >= 0]
        found[f"session_{name}"] = sum(values) / max(len(values), 1)
    return found


ROWS = st.lists(
    st.tuples(
        st.integers(NOW - 7_200_000, NOW + 60_000),
        st.integers(-1, 1),
        st.integers(0, 1),
        st.floats(-1, 5, width=32),
        st.integers(NOW - 7_200_000, NOW + 7_200_000),
    ),
    max_size=8,
    unique_by=lambda row: row[0],
)


@settings(deadline=None, max_examples=40)
@given(ROWS, st.integers(0, 10**6), st.integers(-(10**6), 10**6))
def test_state_equals_the_reference(rows, impressions, followers):
    columns = {
        "history_timestamp_ms": [row[0] for row in rows],
        "history_click": [row[1] for row in rows],
        "history_like": [row[2] for row in rows],
        "history_watch_share": [row[3] for row in rows],
        "history_feedback_ms": [row[4] for row in rows],
    }
    facts = STATE.of_requests(
        tf.constant(
            [
                request(
                    user_id_impressions=[impressions],
                    user_id_click_count=[impressions // 3],
                    followers=[followers],
                    balance=[-2.5],
                    timestamp_ms=[NOW],
                    **columns,
                )
            ]
        )
    )
    found = named(facts.state[0])
    wanted = reference(NOW, rows, impressions, impressions // 3, followers, -2.5)
    assert {name: found[name] for name in wanted} == pytest.approx(wanted, abs=2e-6)
    before = sum(row[0] < NOW for row in rows)
    assert int(facts.left_out[0]) == len(rows) - min(before, 4)
    assert set(wanted) | HASHED == set(CONFIG.names)


def test_a_request_that_says_nothing_has_a_state():
    facts = STATE.of_requests(tf.constant([request(), request(timestamp_ms=[NOW])]))
    assert np.isfinite(facts.state.numpy()).all()
    assert facts.left_out.numpy().tolist() == [0, 0]
    assert named(facts.state[1])["age_of_newest"] == 1.5


def test_requests_do_not_change_each_other():
    past = {"history_timestamp_ms": [NOW - 5_000, NOW - 9_000], "history_click": [1, 0]}
    alone = request(timestamp_ms=[NOW], level=[3], town=["Rom"], tab=[1, 2], **past)
    others = [request(timestamp_ms=[NOW - 1]), alone, request(level=[4], **past)]
    together = STATE.of_requests(tf.constant(others)).state[1]
    assert np.array_equal(together, STATE.of_requests(tf.constant([alone])).state[0])


def test_order_of_the_history_does_not_matter():
    times, clicks = [NOW - 5_000, NOW - 9_000, NOW - 7_000], [1, 0, 1]
    states = [
        STATE.of_requests(
            tf.constant(
                [
                    request(
                        timestamp_ms=[NOW],
                        history_timestamp_ms=[times[i] for i in order],
                        history_click=[clicks[i] for i in order],
                    )
                ]
            )
        ).state
        for order in ([0, 1, 2], [2, 0, 1])
    ]
    assert np.array_equal(*states)


def test_categories_are_hashed_by_name_and_value():
    def profile(**columns):
        state = named(STATE.of_requests(tf.constant([request(**columns)])).state[0])
        return [value for name, value in state.items() if name in HASHED]

    assert profile(town=["Rom"]) == profile(town=["Rom"])
    assert profile(town=["Rom"]) != profile(town=["Bern"])
    assert profile(level=[3]) != profile(level=[4])
    assert profile(tab=[1, 2]) == profile(tab=[1, 5])
    assert profile(tab=[1]) != profile(tab=[2])
    assert np.square(profile(town=["Rom"])[16:]).tolist() == [1.0] * 4


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"history_click": [1]}, "history_click and history_timestamp_ms need the same number"),
        (
            {
                "history_timestamp_ms": [1, 2],
                "history_watch_share": [0.5],
            },
            "history_watch_share and history_timestamp_ms need the same number",
        ),
        (
            {"history_timestamp_ms": [1], "history_watch_share": [math.nan]},
            "history_watch_share holds what is no finite number",
        ),
        ({"town": ["a", "b"]}, "town"),
        ({"level": ["one"]}, "level"),
    ],
)
def test_malformed_requests_are_refused_by_name(columns, message):
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        STATE.of_requests(tf.constant([request(**columns)]))


def test_means_are_of_the_candidates_that_are_there():
    predictions = tf.constant([[[0.2, 0.4], [0.6, 0.0], [9.0, 9.0]], [[0.0, 0.0]] * 3])
    mask = tf.constant([[True, True, False], [False] * 3])
    found = mean_predictions(predictions, mask).numpy()
    assert found == pytest.approx(np.array([[0.4, 0.2], [0.0, 0.0]]))
