"""Run of one trial of xMTF's experiments: a method learns, and is measured, in the simulator."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from mtfx.agents.search.cem import CemConfig
from mtfx.agents.search.policies import ConstantVectorPolicy, PopulationObjective
from mtfx.agents.search.registry import SEARCHES
from mtfx.agents.xmtf import XmtfAgent
from mtfx.components.policy_search.returns import PopulationReturns, sessions_per_point
from mtfx.datasets.fused_predictions import FusedPrediction
from mtfx.datasets.rewards import RewardConfig, reward_preset
from mtfx.environments.simulator import draws
from mtfx.environments.simulator.config import SimulatorConfig
from mtfx.environments.simulator.dynamics import Simulator
from mtfx.environments.simulator.fitting.predictions import true_predictions
from mtfx.environments.simulator.policies import ConstantPolicy
from mtfx.environments.simulator.response import ResponseModel
from mtfx.environments.simulator.runner import SessionRunner
from mtfx.environments.simulator.user_groups import user_groups
from mtfx.environments.simulator.value import figures_of
from mtfx.environments.simulator.world import INDEPENDENT, load_world
from mtfx.experiments.engine.data import SimulatedWorld
from mtfx.experiments.engine.simulation import curve_sessions, measured_figures
from mtfx.experiments.xmtf.learners import XmtfLearner, build_learner
from mtfx.experiments.xmtf.online_training import OnlineTraining
from mtfx.experiments.xmtf.trial import WATCH_TIME, XmtfTrial
from mtfx.models.fusion.base import FusionFunction
from mtfx.models.fusion.config import FusionConfig, build_fusion
from mtfx.models.keras import keras
from mtfx.models.pairwise import violations

#: Minutes watched and nothing else: the paper measures, and learns from, watch time.
WATCH_TIME_REWARD = RewardConfig(watch_weight=1.0, integrity_weight=0.0, interaction_weight=0.0)
#: Second numbers of the seeds, so that no two purposes share sessions.
_TRAINING_SEED, _CELLS_SEED = 31, 41
#: Users whose curves are kept, and points of a curve, between what is predicted at all.
CURVE_USERS, CURVE_POINTS = 8, 96
#: A middling watch time, which the map of expected ones takes to 1/2.
_EXPECTED_MS = 10_000.0
_USERS_AT_ONCE = 100
#: First requests of so many sessions are looked at for falling cells.
_REQUESTS = 200
_LOWEST = 1e-5
#: Falls of no more than this are float32's: the outer stage multiplies twice.
_ROUNDING = 1e-6


def run_trial(
    data: SimulatedWorld, trial: XmtfTrial, directories: dict[str, str]
) -> dict[str, Any]:
    """Runs a trial.

    Args:
      data: The world.
      trial: What to do.
      directories: Of this trial; all it leaves is its result.

    Returns:
      ``metrics`` by heading and figure, ``seconds``, ``curves`` and ``notes``.
    """
    del directories
    started = time.perf_counter()
    # A worker runs many trials, and Keras would keep every one's graphs.
    keras.backend.clear_session()
    result = {"curves": {}, "notes": {}, **_Trial(data, trial).run()}
    return {**result, "seconds": time.perf_counter() - started}


class _Trial:
    """The parts that the methods share."""

    def __init__(self, data: SimulatedWorld, trial: XmtfTrial) -> None:
        self._trial = trial
        rules = SimulatorConfig(
            candidates=trial.config.candidates,
            max_views=trial.config.max_views,
            reward=training_reward(trial.config.reward),
        )
        self._simulator = Simulator(load_world(data.directory), rules)
        self._independent = None
        if self._simulator.world.response.caveat:
            self._independent = Simulator(load_world(Path(data.directory, INDEPENDENT)), rules)

    def run(self) -> dict[str, Any]:
        runs = {"constant": self._constant, "expected": self._expected, "cem": self._search}
        return runs.get(self._trial.spec.learner, self._agent)()

    def _constant(self) -> dict[str, Any]:
        runner, _ = self._constant_runner()
        return {"metrics": self._measured(runner)}

    def _expected(self) -> dict[str, Any]:
        """Shows what the response model expects to be watched longest, in either world."""
        table = expected_watch(self._simulator.world.response, self._trial.seed)
        self._simulator = ranked_by(self._simulator, table)
        if self._independent is not None:
            self._independent = ranked_by(self._independent, table)
        return self._constant()

    def _search(self) -> dict[str, Any]:
        """CEM with as many sessions as the agents' requests make under equal weights."""
        trial, fusion = self._trial, self._formula()
        config = CemConfig(
            population=trial.config.cem_population,
            generations=trial.config.cem_generations,
            elite_share=trial.config.cem_elite_share,
        )
        runner, constant = self._constant_runner()
        views = figures_of(runner, *self._curve_sessions(), trial.config.gamma).views.mean()
        requests = trial.config.lanes * (trial.config.warmup + trial.config.steps)
        sessions = sessions_per_point(int(requests / views), config.evaluations)
        policy = ConstantVectorPolicy(fusion.action_dim, config.population)
        returns = PopulationReturns(
            self._simulator,
            fusion,
            policy,
            sessions,
            trial.config.gamma,
            (trial.seed, _TRAINING_SEED),
        )
        objective = PopulationObjective(policy, returns)
        found = SEARCHES["cem"].load()(objective, policy.size, config, trial.seed)
        best = np.clip(found.best, -1.0, 1.0)
        constant.assign(best)
        return {
            "metrics": self._measured(runner),
            "curves": {
                "points": [step.evaluations for step in found.history],
                "mean_return": [step.mean_value for step in found.history],
            },
            "notes": {
                "action": best,
                "points": config.evaluations,
                "sessions_per_point": sessions,
            },
        }

    def _agent(self) -> dict[str, Any]:
        trial, simulator = self._trial, self._simulator
        learner = build_learner(trial, simulator.state_dim, simulator.world.num_predictions)
        training = OnlineTraining(learner, simulator, trial.config, (trial.seed, _TRAINING_SEED))
        # Traced once; the agent's variables change beneath it.
        runner = SessionRunner(simulator, learner.fusion, learner)
        curve: dict[str, list[float]] = {
            name: [] for name in ("step", "watch_s", "true_return", "reward", "loss")
        }
        steps, done = trial.config.steps, 0
        chunk = -(-steps // trial.config.curve_points)
        while done < steps:
            count = min(chunk, steps - done)
            progress = training.train(count)
            done += count
            figures = figures_of(runner, *self._curve_sessions(), trial.config.gamma)
            point = {
                "step": done,
                "watch_s": float(figures.watch_s.mean()),
                "true_return": float(figures.discounted_return.mean()),
                **progress._asdict(),
            }
            for name, value in point.items():
                curve[name].append(value)
        metrics = self._measured(runner)
        curves: dict[str, Any] = dict(curve)
        if isinstance(learner, XmtfLearner) and trial.spec.has_cells:
            metrics["cells"] = cell_figures(learner.agent, simulator, trial.seed)
            curves["cells"] = cell_curves(learner.agent, simulator, trial.seed)
        return {
            "metrics": metrics,
            "curves": curves,
            "notes": {"transitions": training.transitions},
        }

    def _formula(self) -> FusionFunction:
        config = FusionConfig(formula=self._trial.spec.formula)
        return build_fusion(config, self._simulator.world.num_predictions)

    def _constant_runner(self) -> tuple[SessionRunner, ConstantPolicy]:
        """Runs sessions with the formula and one action, at first equal weights."""
        fusion = self._formula()
        constant = ConstantPolicy(np.zeros(fusion.action_dim))
        return SessionRunner(self._simulator, fusion, constant), constant

    def _measured(self, runner: SessionRunner) -> dict[str, dict[str, float]]:
        seed, config = self._trial.seed, self._trial.config
        runners = {"simulator": runner}
        if self._independent is not None:
            runners["independent"] = runner.elsewhere(self._independent)
        return {
            name: measured_figures(one, seed, config.eval_sessions, config.gamma)
            for name, one in runners.items()
        }

    def _curve_sessions(self) -> tuple[np.ndarray, tuple[int, int]]:
        return curve_sessions(self._simulator, self._trial.seed, self._trial.config.curve_sessions)


def training_reward(name: str) -> RewardConfig:
    """The reward of a name: watch time alone, or a preset of ``mtfx.datasets.rewards``."""
    return WATCH_TIME_REWARD if name == WATCH_TIME else reward_preset(name)


def expected_watch(response: ResponseModel, seed: int) -> np.ndarray:
    """What a response model expects to be watched, float32 `[user, slot, 1]` in [0, 1), rising."""
    watch = (FusedPrediction("watch", "watch", "regression", scale=_EXPECTED_MS),)
    users = np.arange(response.num_users)
    parts = np.array_split(users, -(-len(users) // _USERS_AT_ONCE))
    return np.concatenate([true_predictions(response, watch, part, seed) for part in parts])


def ranked_by(simulator: Simulator, table: np.ndarray) -> Simulator:
    """The simulator with one prediction, float32 `[user, slot, 1]`, in place of its own."""
    world = dataclasses.replace(
        simulator.world, predictions=table, prediction_names=("expected",), fused=()
    )
    return Simulator(world, simulator.config)


def cell_figures(agent: XmtfAgent, simulator: Simulator, seed: int) -> dict[str, float]:
    """How often a cell ranks two candidates of a request against its prediction.

    Args:
      agent: With an inner stage.
      simulator: Whose evaluation users' first requests are looked at.
      seed: Of users and requests.

    Returns:
      ``inner_violations`` and ``violations``, shares of the pairs whose predictions differ, mean
      over predictions: of the inner stage alone, and of both with the agent's own action.
    """
    candidates, states, actions = _first_requests(agent, simulator, seed, _REQUESTS)
    predictions = candidates.predictions
    inner = agent.fusion.inner(predictions, states)
    both = agent.fusion.outer.values(inner, actions)
    return {
        name: float(tf.reduce_mean(violations(predictions, values, candidates.mask, _ROUNDING)))
        for name, values in (("inner_violations", inner), ("violations", both))
    }


def cell_curves(agent: XmtfAgent, simulator: Simulator, seed: int) -> dict[str, Any]:
    """The cells' curves for some users at their first request (Figures 5 to 7).

    Returns:
      ``grid``: fused predictions `[point]`; ``inner`` and ``both``: values
      `[user][prediction][point]` of the inner stage alone and of both; ``ranges``: by prediction,
      between which values 98% of the candidates lie; ``names`` of the predictions.
    """
    _, states, actions = _first_requests(agent, simulator, seed, CURVE_USERS)
    # Even in the log odds: those of a rare negative feedback lie near 1.
    furthest = np.log(_LOWEST / (1.0 - _LOWEST))
    odds = np.linspace(furthest, -furthest, CURVE_POINTS)
    grid = (1.0 / (1.0 + np.exp(-odds))).astype(np.float32)
    world = simulator.world
    shape = [states.shape[0], CURVE_POINTS, world.num_predictions]
    points = tf.broadcast_to(tf.constant(grid)[tf.newaxis, :, tf.newaxis], shape)
    inner = agent.fusion.inner(points, states)
    both = agent.fusion.outer.values(inner, actions)
    known = world.predictions.reshape(-1, world.num_predictions)
    return {
        "grid": grid,
        "inner": np.swapaxes(inner.numpy(), 1, 2),
        "both": np.swapaxes(both.numpy(), 1, 2),
        "ranges": np.quantile(known, [0.01, 0.99], axis=0).T,
        "names": list(world.prediction_names),
    }


def _first_requests(
    agent: XmtfAgent, simulator: Simulator, seed: int, count: int
) -> tuple[Any, tf.Tensor, tf.Tensor]:
    """Candidates, normalised states and the agent's actions of sessions' first requests."""
    judged = user_groups(simulator.world.user_ids).evaluation
    users = np.random.default_rng((seed, _CELLS_SEED)).permutation(judged)[:count]
    session = simulator.reset(
        tf.constant(users, tf.int32),
        draws.session_seeds(tf.constant([seed, _CELLS_SEED]), len(users)),
    )
    candidates = simulator.candidates(session)
    states = simulator.observe(session, candidates)
    return candidates, agent.normalized(states), agent.greedy_actions(states)
