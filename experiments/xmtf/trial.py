"""One trial of xMTF's experiments: a method learns in the simulator and is measured there."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from mtfx.agents.search.cem import CemConfig
from mtfx.agents.search.policies import ConstantVectorPolicy, PopulationObjective
from mtfx.agents.search.registry import SEARCHES
from mtfx.components.policy_search.returns import PopulationReturns, sessions_per_point
from mtfx.datasets.rewards import RewardConfig, reward_preset
from mtfx.environments.simulator.config import SimulatorConfig
from mtfx.environments.simulator.dynamics import Simulator
from mtfx.environments.simulator.policies import ConstantPolicy
from mtfx.environments.simulator.runner import SessionRunner
from mtfx.environments.simulator.value import figures_of
from mtfx.environments.simulator.world import load_world
from mtfx.experiments.batchrl.measures import measured_figures
from mtfx.experiments.engine.worlds import WorldData
from mtfx.experiments.xmtf.learners import XmtfLearner, build_learner
from mtfx.experiments.xmtf.measures import cell_curves, cell_figures
from mtfx.experiments.xmtf.online_training import OnlineConfig, OnlineTraining
from mtfx.experiments.xmtf.settings import WATCH_TIME
from mtfx.experiments.xmtf.trials import XmtfTrial
from mtfx.models.fusion.base import FusionFunction
from mtfx.models.fusion.config import FusionConfig, build_fusion
from mtfx.models.keras import keras

#: Minutes watched and nothing else: the paper measures, and learns from, watch time.
WATCH_TIME_REWARD = RewardConfig(watch_weight=1.0, integrity_weight=0.0, interaction_weight=0.0)
#: Second numbers of the seeds, so that no two purposes share sessions.
_TRAINING_SEED, _CURVE_SEED = 31, 11


def run_trial(data: WorldData, trial: XmtfTrial, directories: dict[str, str]) -> dict[str, Any]:
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

    def __init__(self, data: WorldData, trial: XmtfTrial) -> None:
        self._trial = trial
        rules = SimulatorConfig(
            candidates=trial.setting("candidates"),
            max_views=trial.setting("max_views"),
            reward=training_reward(trial.setting("reward")),
        )
        self._simulator = Simulator(load_world(data.directory), rules)

    def run(self) -> dict[str, Any]:
        runs = {"constant": self._constant, "cem": self._search}
        return runs.get(self._trial.spec.learner, self._agent)()

    def _constant(self) -> dict[str, Any]:
        runner, _ = self._constant_runner()
        return {"metrics": self._measured(runner)}

    def _search(self) -> dict[str, Any]:
        """CEM with as many sessions as the agents' requests make under equal weights."""
        trial, fusion = self._trial, self._formula()
        config = CemConfig(
            population=trial.setting("cem_population"),
            generations=trial.setting("cem_generations"),
            elite_share=trial.setting("cem_elite_share"),
        )
        runner, constant = self._constant_runner()
        views = figures_of(runner, *self._curve_sessions(), trial.setting("gamma")).views.mean()
        requests = trial.setting("lanes") * (trial.setting("warmup") + trial.setting("steps"))
        sessions = sessions_per_point(int(requests / views), config.evaluations)
        policy = ConstantVectorPolicy(fusion.action_dim, config.population)
        returns = PopulationReturns(
            self._simulator,
            fusion,
            policy,
            sessions,
            trial.setting("gamma"),
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
        training = OnlineTraining(
            learner, simulator, _online_config(trial), (trial.seed, _TRAINING_SEED)
        )
        # Traced once; the agent's variables change beneath it.
        runner = SessionRunner(simulator, learner.fusion, learner)
        curve: dict[str, list[float]] = {
            name: [] for name in ("step", "watch_s", "true_return", "reward", "loss")
        }
        steps, done = trial.setting("steps"), 0
        chunk = -(-steps // trial.setting("curve_points"))
        while done < steps:
            count = min(chunk, steps - done)
            progress = training.train(count)
            done += count
            figures = figures_of(runner, *self._curve_sessions(), trial.setting("gamma"))
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
        return {"simulator": measured_figures(self._trial, runner)}

    def _curve_sessions(self) -> tuple[np.ndarray, tuple[int, int]]:
        """Users, and the seed of their sessions: the same at every point of a curve."""
        seed = (self._trial.seed, _CURVE_SEED)
        users = np.random.default_rng(seed).integers(
            self._simulator.world.num_users, size=self._trial.setting("curve_sessions")
        )
        return users, seed


def training_reward(name: str) -> RewardConfig:
    """The reward of a name: watch time alone, or a preset of ``mtfx.datasets.rewards``."""
    return WATCH_TIME_REWARD if name == WATCH_TIME else reward_preset(name)


def _online_config(trial: XmtfTrial) -> OnlineConfig:
    names = (
        *("lanes", "warmup", "preparation", "steps", "batch_size", "buffer_size"),
        *("random_deviation", "noise_deviation"),
    )
    return OnlineConfig(**{name: trial.setting(name) for name in names})
