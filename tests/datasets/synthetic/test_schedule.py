import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtfx.datasets.synthetic.schedule import plan_sessions
from mtfx.datasets.synthetic.user_model import SHOP_MODEL, VIDEO_MODEL


@settings(max_examples=40)
@given(
    st.sampled_from([VIDEO_MODEL, SHOP_MODEL]),
    st.integers(1, 50),
    st.integers(1, 3_000),
    st.integers(0, 1_000),
)
def test_sessions_of_a_user_are_apart_and_inside_the_log(model, users, sessions, seed):
    rng = np.random.default_rng(seed)
    plan = plan_sessions(rng, model, rng.pareto(1.2, users) + 1e-3, sessions)
    assert len(plan.user) == min(max(sessions, users), users * model.max_sessions)
    assert np.bincount(plan.user, minlength=users).min() >= 1
    assert np.all(np.diff(plan.user) >= 0)
    same = np.diff(plan.user) == 0
    assert np.all(np.diff(plan.start_ms)[same] >= model.session_spacing_ms)
    assert plan.start_ms.min() >= model.start_ms
    assert plan.start_ms.max() <= model.end_ms - model.session_spacing_ms
    assert np.array_equal(np.sort(plan.priority), np.arange(len(plan.user)))
    assert len(set(plan.user[plan.priority[:users]])) == users


def test_active_users_get_more_sessions_and_evenings_more_than_nights():
    rng = np.random.default_rng(0)
    activity = np.array([1.0, 1.0, 8.0, 1.0] * 500)
    plan = plan_sessions(rng, VIDEO_MODEL, activity, 20_000)
    counts = np.bincount(plan.user)
    # 18,000 sessions beyond the first of each, shared 8 to 1.
    assert counts[activity == 8].mean() == pytest.approx(1 + 18_000 * 8 / activity.sum(), rel=0.05)
    hours = (plan.start_ms // 3_600_000 + 8) % 24
    assert np.mean((hours >= 19) & (hours < 23)) > 5 * np.mean((hours >= 2) & (hours < 6))
