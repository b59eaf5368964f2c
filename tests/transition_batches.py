"""Random transitions for tests."""

import numpy as np

from mtfx.datasets.transitions.codec import TransitionBatch
from mtfx.datasets.transitions.spec import TransitionSpec

SPEC = TransitionSpec(5, ("click", "like", "watch"), ("click", "like"), 3)


def random_batch(sessions=10, spec=SPEC, seed=0, start_ms=1_700_000_000_000):
    """Sessions of 1 to 6 requests with candidate sets of 1 to 4, an hour apart."""
    random = np.random.default_rng(seed)
    lengths = random.integers(1, 7, sessions)
    number = int(lengths.sum())
    session = np.repeat(np.arange(sessions), lengths)
    step = np.arange(number) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    last = step == np.repeat(lengths, lengths) - 1
    counts = random.integers(1, 5, number)
    states = random.normal(size=(number, spec.state_dim)).astype(np.float32)
    following = np.where(last[:, None], 0, np.roll(states, -1, axis=0)).astype(np.float32)
    real = lambda low, high, *shape: random.uniform(low, high, shape).astype(np.float32)  # noqa: E731
    return TransitionBatch(
        state=states,
        next_state=following,
        predictions=real(0, 1, counts.sum(), spec.num_predictions),
        candidate_count=counts,
        chosen=random.integers(0, counts),
        action=real(-1, 1, number, spec.action_dim),
        log_density=np.where(random.random(number) < 0.2, np.nan, real(-3, 1, number)).astype("f4"),
        behaviour_policy=np.where(session % 2 == 0, "random", "noise"),
        feedback=(random.random((number, spec.num_feedbacks)) < 0.3).astype(np.float32),
        watch_s=real(0, 60, number),
        duration_s=real(5, 60, number),
        reward=real(-1, 2, number),
        discount=np.where(last, 0, 1).astype(np.float32),
        session_id=np.asarray([f"s{number:04d}" for number in session]),
        user_id=np.asarray([f"u{number % 4}" for number in session]),
        step=step,
        timestamp_ms=start_ms + session * 3_600_000 + step * 20_000,
    )
