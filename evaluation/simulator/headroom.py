"""Headroom of a world: what better fusion, and better predictions, could gain in it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from mtfx.environments.simulator.dynamics import Simulator
from mtfx.environments.simulator.policies import ConstantPolicy
from mtfx.environments.simulator.runner import SessionRunner, as_seed
from mtfx.environments.simulator.true_rewards import true_rewards
from mtfx.environments.simulator.value import figures_of
from mtfx.evaluation.significance import Mean, PairedTest, mean_with_interval, paired_test
from mtfx.evaluation.simulator.score_functions import (
    FOLDS,
    Requests,
    best_formula,
    boosted,
    equal_weights,
)
from mtfx.models.fusion.config import FusionConfig, build_fusion

#: What candidates are ranked by, from the least that is known to the most, and its title.
#: Increasing functions are of one prediction each; the state is that of a session's first request;
#: the truth are the response model's probabilities and watch times.
FUNCTIONS: dict[str, str] = {
    "equal": "equal weights",
    "formula": "best formula for all users",
    "sum": "best sum of increasing functions",
    "any": "best function of the predictions",
    "state": "best function of predictions and state",
    "truth": "the truth (oracle)",
}


@dataclasses.dataclass(frozen=True)
class HeadroomRow:
    """What one way to rank is worth.

    Attributes:
      name: One of ``FUNCTIONS``.
      greedy: Expected reward of the top candidate of a session's first request.
      greedy_gain: Its difference to equal weights', paired by request.
      sessions: Discounted return of whole sessions.
      sessions_gain: Its difference to equal weights', paired by session.
      watch_s: Seconds watched in a session.
    """

    name: str
    greedy: Mean
    greedy_gain: PairedTest | None
    sessions: Mean
    sessions_gain: PairedTest | None
    watch_s: Mean

    def to_json(self) -> dict[str, Any]:
        """All figures, of JSON types."""
        return dataclasses.asdict(self)


def rows_from_json(values: Sequence[Mapping[str, Any]]) -> tuple[HeadroomRow, ...]:
    """The inverse of :meth:`HeadroomRow.to_json`."""

    def test(value: Mapping[str, Any] | None) -> PairedTest | None:
        return None if value is None else PairedTest(Mean(**value["difference"]), value["p"])

    return tuple(
        HeadroomRow(
            row["name"],
            Mean(**row["greedy"]),
            test(row["greedy_gain"]),
            Mean(**row["sessions"]),
            test(row["sessions_gain"]),
            Mean(**row["watch_s"]),
        )
        for row in values
    )


def headroom(
    simulator: Simulator,
    sessions: int,
    *,
    formula: FusionConfig | None = None,
    samples: int = 32,
    seed: int = 0,
    on_progress: Callable[[str], None] | None = None,
) -> tuple[HeadroomRow, ...]:
    """Values ways to rank a world's candidates, of users that they were not fitted to.

    Each function is fitted to what items are truly worth at the beginning of a session, of one half
    of the users, and ranks for the other. Over whole sessions it ranks by the same scores, so that
    nothing is gained by looking ahead; what a policy may gain by that comes on top.

    Args:
      simulator: The world and its rules.
      sessions: First requests, and whole sessions, that are valued.
      formula: Of equal weights; the default one if None.
      samples: Responses that the worth of an item is the mean of.
      seed: Of everything random.
      on_progress: Told what is being done.

    Returns:
      A row for each of ``FUNCTIONS``.

    Raises:
      ValueError: if the world has less than two users, or ``sessions`` is less than 2.
    """
    world = simulator.world
    if world.num_users < FOLDS:
        raise ValueError(f"headroom needs {FOLDS} users at least, the world has {world.num_users}")
    if sessions < 2:
        raise ValueError(f"sessions must be at least 2, got {sessions}")
    tell = on_progress or (lambda _: None)
    rng = np.random.default_rng(seed)
    # In turn, so that each fold has sessions.
    order = rng.permutation(world.num_users)
    folds = np.argsort(order) % FOLDS
    users = np.resize(order, sessions)
    tell("what items are worth")
    fitted_to, judged_by = (
        true_rewards(simulator, samples, int(part)) for part in rng.integers(2**31, size=2)
    )
    requests, states = _requests(simulator, users, int(rng.integers(2**31)))
    tell("functions of the predictions")
    predictions = world.predictions
    own = np.broadcast_to(states[:, None], (*predictions.shape[:2], states.shape[1]))
    scores = {
        "equal": equal_weights(predictions, formula or FusionConfig()),
        "formula": best_formula(predictions, fitted_to, requests, folds, seed)[0],
        "sum": boosted(predictions, fitted_to, folds, seed, increasing_sum=True),
        "any": boosted(predictions, fitted_to, folds, seed),
        "state": boosted(np.concatenate([predictions, own], axis=2), fitted_to, folds, seed),
        "truth": fitted_to,
    }
    greedy = {name: requests.worth_of_top(of, judged_by) for name, of in scores.items()}
    tell(f"{sessions:,} sessions of each")
    figures = _sessions(simulator, scores, users, seed)

    def row(name: str) -> HeadroomRow:
        first = name == "equal"
        returns = figures[name].discounted_return
        return HeadroomRow(
            name,
            mean_with_interval(greedy[name].tolist()),
            None if first else paired_test(greedy[name].tolist(), greedy["equal"].tolist()),
            mean_with_interval(returns.tolist()),
            None
            if first
            else paired_test(returns.tolist(), figures["equal"].discounted_return.tolist()),
            mean_with_interval(figures[name].watch_s.tolist()),
        )

    return tuple(map(row, FUNCTIONS))


def _requests(simulator: Simulator, users: np.ndarray, seed: int) -> tuple[Requests, np.ndarray]:
    """First requests of users, and of every user a first state, float32 `[user, state]`."""
    session = simulator.reset(tf.constant(users, tf.int32), as_seed(seed))
    offered = simulator.candidates(session)
    everybody = simulator.reset(tf.range(simulator.world.num_users), as_seed(seed))
    return (
        Requests(users, offered.slots.numpy().astype(np.int64), offered.mask.numpy()),
        simulator.observe(everybody).numpy(),
    )


def _sessions(
    simulator: Simulator, scores: Mapping[str, np.ndarray], users: np.ndarray, seed: int
) -> dict[str, Any]:
    """Figures of whole sessions ranked by each table of scores, by its name.

    The tables take the predictions' place in the world, and a weighted sum chooses one of them: so
    the simulation is traced once.
    """
    ranks = np.stack([_ranks(of) for of in scores.values()], axis=2)
    world = dataclasses.replace(
        simulator.world, predictions=ranks, prediction_names=tuple(scores), fused=()
    )
    policy = ConstantPolicy(np.ones(len(scores), np.float32))
    formula = FusionConfig(formula="formula1", low=0.0, high=1.0)
    ranked = Simulator(world, simulator.config)
    runner = SessionRunner(ranked, build_fusion(formula, len(scores)), policy)
    found = {}
    for place, name in enumerate(scores):
        policy.assign(np.where(np.arange(len(scores)) == place, 1.0, -1.0).astype(np.float32))
        found[name] = figures_of(runner, users, seed, simulator.config.reward.gamma)
    return found


def _ranks(scores: np.ndarray) -> np.ndarray:
    """Places of scores in their pool, in (0, 1], the highest 1; float32 `[user, slot]`.

    Ties share a place, so that the first among equals is shown as by the scores themselves.
    """
    # Takes a while to import.
    from scipy.stats import rankdata

    return (rankdata(scores, method="dense", axis=1) / scores.shape[1]).astype(np.float32)
