"""Cost of xMTF, in training against TD3's and in ranking against formula 2's.

Run as ``python -m benchmarks.xmtf``. What is compared takes turns in short rounds, so that whatever
else the machine does slows all alike; ratios are medians over the rounds, by the clock and of the
process's CPU seconds. On a busy machine use one thread, and trust the latter.

Training: one step on a batch in memory, all agents with xMTF's networks, four hidden layers of the
same width. TD3 trains two critics every step and its actor every other one; xMTF one critic, its
actor and the inner stage, whose losses go over all pairs of a request's candidates. Ranking: the
scores of a request's candidates from their predictions, without the ranking model that makes them
and without the actor that both have.
"""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Callable, Mapping

import click
import numpy as np
import tensorflow as tf
from tf_agents.trajectories import time_step as ts
from tf_agents.trajectories import trajectory

from benchmarks.ranking_training import Seconds, measure
from mtfx.agents.building import build_agent
from mtfx.agents.config import Td3Config, XmtfConfig
from mtfx.agents.xmtf import build_xmtf
from mtfx.models.action_policy import MASK, PREDICTIONS, STATE
from mtfx.models.fusion.config import CELL_FAMILIES, CellsConfig, FusionConfig, build_fusion
from mtfx.models.fusion.formula_free import FormulaFreeFusion
from mtfx.models.fusion.monotonic_cells import build_cells

STATE_DIM, PREDICTION_COUNT, HIDDEN = 71, 6, (256,) * 4
TRAINING_CANDIDATES, REQUEST_CANDIDATES = 100, 500
BATCHES, REQUESTS = (256, 1024), (1, 32)
_FORMULA = "formula 2"

#: Does a number of calls; the last one's result is waited for.
Calls = Callable[[int], None]


@click.command(context_settings={"show_default": True})
@click.option("--rounds", type=click.IntRange(min=1), default=5, help="Of all that is compared.")
@click.option("--threads", type=click.IntRange(min=0), default=1, help="0: one per core.")
@click.option("--small", is_flag=True, help="Small batches and two rounds, for a quick look.")
def main(rounds: int, threads: int, small: bool) -> None:
    """Prints steps/s and requests/s, and the ratios to TD3 and to formula 2."""
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    rounds = 2 if small else rounds
    click.echo(
        f"{platform.machine()}, {os.cpu_count()} cores, {threads or 'all'} threads, load "
        f"{os.getloadavg()[0]:.1f}; TensorFlow {tf.__version__}\n"
        f"state {STATE_DIM}, {PREDICTION_COUNT} predictions, networks "
        f"{'x'.join(map(str, HIDDEN))}, cells {'x'.join(map(str, CellsConfig().hidden_units))}"
    )
    for batch in (8,) if small else BATCHES:
        click.echo(f"\ntraining, batch {batch} x {TRAINING_CANDIDATES} candidates, steps/s")
        steps: dict[str, Calls] = {"TD3": _td3_steps(batch)}
        for family in CELL_FAMILIES:
            steps[f"xMTF, {family} cells"] = _xmtf_steps(batch, XmtfConfig(**_shared(family)))
        bare = XmtfConfig(hidden_units=HIDDEN, inner_stage=False)
        steps["xMTF w/o inner"] = _xmtf_steps(batch, bare)
        _report(_rounds(steps, rounds, 2), "TD3", 1)
    for requests in REQUESTS:
        click.echo(
            f"\nranking, {requests} request(s) x {REQUEST_CANDIDATES} candidates, requests/s"
        )
        scorers = {_FORMULA: _scores(requests, None)}
        for family in CELL_FAMILIES:
            scorers[f"xMTF, {family} cells"] = _scores(requests, family)
        _report(_rounds(scorers, rounds, 20 if small else 200), _FORMULA, requests)


def _shared(family: str) -> dict:
    return {"hidden_units": HIDDEN, "cells": CellsConfig.from_dict({"family": family})}


def _td3_steps(batch: int) -> Calls:
    agent = build_agent("td3", STATE_DIM, PREDICTION_COUNT, Td3Config(hidden_units=HIDDEN))
    return _training(agent, _experience(batch, candidates=False))


def _xmtf_steps(batch: int, config: XmtfConfig) -> Calls:
    agent = build_xmtf(STATE_DIM, TRAINING_CANDIDATES, PREDICTION_COUNT, config)
    return _training(agent, _experience(batch, candidates=True))


def _training(agent: object, experience: trajectory.Trajectory) -> Calls:
    train = tf.function(lambda: agent.train(experience).loss, autograph=False)  # type: ignore

    def run(calls: int) -> None:
        for _ in range(calls):
            loss = train()
        loss.numpy()

    return run


def _experience(batch: int, candidates: bool) -> trajectory.Trajectory:
    """A batch of transitions within sessions, as ``TFAgent.train`` takes them."""
    rng = np.random.default_rng(0)

    def normal(*shape: int) -> tf.Tensor:
        return tf.constant(rng.normal(size=(batch, 2, *shape)), tf.float32)

    observation: object = normal(STATE_DIM)
    if candidates:
        shape = (batch, 2, TRAINING_CANDIDATES)
        observation = {
            STATE: observation,
            PREDICTIONS: tf.constant(rng.random((*shape, PREDICTION_COUNT)) ** 3, tf.float32),
            MASK: tf.ones(shape, tf.bool),
        }
    steps = tf.fill([batch, 2], ts.StepType.MID)
    return trajectory.Trajectory(
        step_type=steps,
        observation=observation,
        action=tf.tanh(normal(PREDICTION_COUNT)),
        policy_info=(),
        next_step_type=steps,
        reward=normal(),
        discount=tf.ones([batch, 2]),
    )


def _scores(requests: int, family: str | None) -> Calls:
    """Scores requests by cells of a family, or by formula 2 if None."""
    rng = np.random.default_rng(0)
    if family is None:
        fusion = build_fusion(FusionConfig("formula2"), PREDICTION_COUNT)
    else:
        config = CellsConfig.from_dict({"family": family})
        cells = build_cells(config, PREDICTION_COUNT, STATE_DIM, seed=0)
        fusion = FormulaFreeFusion(PREDICTION_COUNT, config, cells)
    shape = (requests, REQUEST_CANDIDATES, PREDICTION_COUNT)
    predictions = tf.constant(rng.random(shape) ** 3, tf.float32)
    states = tf.constant(rng.normal(size=(requests, STATE_DIM)), tf.float32)
    actions = tf.constant(rng.uniform(-1, 1, (requests, PREDICTION_COUNT)), tf.float32)
    score = tf.function(fusion.scores, autograph=False)

    def run(calls: int) -> None:
        for _ in range(calls):
            scores = score(predictions, actions, states)
        scores.numpy()

    return run


def _rounds(calls: Mapping[str, Calls], rounds: int, repeats: int) -> dict[str, list[Seconds]]:
    """Seconds of a call of each, round by round; the first calls trace and are not counted."""
    for run in calls.values():
        run(2)
    taken: dict[str, list[Seconds]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, run in calls.items():
            spent = measure(lambda run=run: run(repeats), 1)
            taken[name].append(Seconds(spent.wall / repeats, spent.cpu / repeats))
    return taken


def _report(taken: Mapping[str, list[Seconds]], base: str, units: int) -> None:
    """A line for each: rate, and how much it costs relative to the base."""
    width = max(map(len, taken))
    for name, seconds in taken.items():
        pairs = list(zip(seconds, taken[base], strict=True))
        wall = statistics.median(own.wall / other.wall for own, other in pairs)
        cpu = statistics.median(own.cpu / other.cpu for own, other in pairs)
        best = units / min(own.wall for own in seconds)
        typical = units / statistics.median(own.wall for own in seconds)
        click.echo(
            f"{name.ljust(width)}  {typical:10.1f} (best {best:10.1f})  "
            f"cost x {wall:7.2f} by the clock, x {cpu:7.2f} per CPU second"
        )


if __name__ == "__main__":
    main()
