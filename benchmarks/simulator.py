"""Speed of the simulator: user requests/s of the environment and of whole sessions.

Run as ``python -m benchmarks.simulator``. A request draws candidates, observes the state, scores
the candidates with a fusion formula, shows the top one, and draws the user's response. Rounds of
all parts alternate, so that whatever else the machine does slows all alike.
"""

from __future__ import annotations

import os
import statistics
from collections.abc import Callable

import click
import numpy as np
import tensorflow as tf

from benchmarks.ranking_training import Seconds, measure
from mtfx.environments.simulator.config import SimulatorConfig
from mtfx.environments.simulator.dynamics import Simulator
from mtfx.environments.simulator.environment import FusionEnvironment
from mtfx.environments.simulator.fitted_response import FittedResponse, FittedSettings
from mtfx.environments.simulator.policies import ConstantPolicy
from mtfx.environments.simulator.runner import SessionRunner
from mtfx.environments.simulator.user_requests import UserRequests
from mtfx.environments.simulator.world import World
from mtfx.models.fusion.config import FORMULAS, FusionConfig, build_fusion

#: What the simulator must reach on two cores with 100 candidates per request.
TARGET = 20_000
PREDICTIONS = ("click", "long_view", "like", "follow", "comment", "forward")
FEEDBACKS = (*PREDICTIONS, "hate")
#: Rates like a short-video platform's, as logits.
_LEVELS = (-0.5, -1.0, -4.0, -6.0, -6.0, -6.5, -6.5)
_ATTRIBUTES = 64
_WATCH_BINS, _WATCH_LEVELS = 32, 65


@click.command(context_settings={"show_default": True})
@click.option("--users", type=click.IntRange(min=1), default=1000)
@click.option("--pool", type=click.IntRange(min=1), default=300, help="Items of each user.")
@click.option("--candidates", type=click.IntRange(min=1), default=100, help="Per request.")
@click.option("--batch-size", type=click.IntRange(min=1), default=4096, help="Sessions at once.")
@click.option("--fusion", "formula", type=click.Choice(list(FORMULAS)), default="formula2")
@click.option("--rounds", type=click.IntRange(min=1), default=7, help="Of all parts.")
@click.option("--steps", type=click.IntRange(min=1), default=10, help="Requests per round.")
@click.option("--small", is_flag=True, help="Three rounds of three requests, for a quick look.")
def main(
    users: int,
    pool: int,
    candidates: int,
    batch_size: int,
    formula: str,
    rounds: int,
    steps: int,
    small: bool,
) -> None:
    """Prints requests/s of the environment and of sessions, in the median round."""
    if small:
        rounds, steps = 3, 3
    click.echo(
        f"{users:,} users, pools of {pool}, {candidates} candidates, {len(PREDICTIONS)} "
        f"predictions, {formula}, batch {batch_size:,}; {os.cpu_count()} cores, load "
        f"{os.getloadavg()[0]:.1f}, TensorFlow {tf.__version__}"
    )
    simulator = Simulator(random_world(users, pool), SimulatorConfig(candidates=candidates))
    parts = {
        "environment": _environment(simulator, formula, batch_size, steps),
        "sessions": _sessions(simulator, formula, batch_size),
    }
    found: dict[str, list[Seconds]] = {name: [] for name in parts}
    for number in range(rounds + 1):
        for name, run in parts.items():
            seconds, requests = _per_request(run)
            # The first round traces.
            if number:
                found[name].append(Seconds(seconds.wall / requests, seconds.cpu / requests))
    for name, times in found.items():
        wall = 1 / statistics.median(t.wall for t in times)
        cpu = 1 / statistics.median(t.cpu for t in times)
        note = f"  target {TARGET:,}: {wall / TARGET:.1f}x" if name == "environment" else ""
        click.echo(f"{name:<12} {wall:10,.0f} requests/s ({cpu:,.0f} per CPU second){note}")


def random_world(users: int, pool: int, seed: int = 0) -> World:
    """A world of the sizes of a real one, whose tables are random numbers."""
    rng = np.random.default_rng(seed)
    names = len(FEEDBACKS)

    def normal(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape, dtype=np.float32)

    logits = normal(users, pool, names) + np.array(_LEVELS, np.float32)
    response = FittedResponse(
        {
            "logits": logits,
            "watch_bin": rng.uniform(0, _WATCH_BINS - 1, (users, pool, 2)),
            "watch_quantiles": np.sort(np.exp(1.5 + normal(2, _WATCH_BINS, _WATCH_LEVELS))),
            "duration_s": np.exp(2.7 + 0.5 * normal(users, pool)),
            "mood": 0.3 + 0.04 * normal(users),
            "leave_logits": -2.2 + 0.3 * normal(users),
        },
        FittedSettings(
            FEEDBACKS,
            slopes=(5.0,) * names,
            share_with_primary=(1.0, *(0.9,) * (names - 1)),
            satisfaction_weights=(0.4, 0.4, *(0.2,) * (names - 2)),
            negative=("hate",),
            watch_feedback="long_view",
            leave_slope=3.0,
        ),
    )
    return World(
        requests=UserRequests.of_strangers(normal(users, _ATTRIBUTES), FEEDBACKS),
        predictions=1 / (1 + np.exp(-logits[..., : len(PREDICTIONS)])),
        prediction_names=PREDICTIONS,
        response=response,
        item_ids=np.tile(np.arange(pool), (users, 1)),
        user_ids=np.arange(users),
    )


def _environment(
    simulator: Simulator, formula: str, batch_size: int, steps: int
) -> Callable[[], int]:
    """Steps of the TF-Agents environment with new random actions each time."""
    fusion = _fusion(formula)
    environment = FusionEnvironment(simulator, fusion, batch_size)
    environment.reset()
    actions = [tf.random.uniform([batch_size, fusion.action_dim], -1.0, 1.0) for _ in range(steps)]

    def run() -> int:
        for action in actions:
            environment.step(action).reward.numpy()
        return steps * batch_size

    return run


def _sessions(simulator: Simulator, formula: str, sessions: int) -> Callable[[], int]:
    """Sessions from their first request to their last, in batches that shrink."""
    fusion = _fusion(formula)
    runner = SessionRunner(simulator, fusion, ConstantPolicy(np.zeros(fusion.action_dim)))
    users = np.arange(sessions) % simulator.world.num_users

    def run() -> int:
        return sum(len(going) for going, _, _ in runner.run(users, seed=0))

    return run


def _fusion(formula: str):
    return build_fusion(FusionConfig.from_dict({"formula": formula}), len(PREDICTIONS))


def _per_request(run: Callable[[], int]) -> tuple[Seconds, int]:
    requests: list[int] = []
    seconds = measure(lambda: requests.append(run()), 1)
    return seconds, requests[0]


if __name__ == "__main__":
    main()
