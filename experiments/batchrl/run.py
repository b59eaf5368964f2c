"""Run of one trial of the fusion experiments: explores, trains, searches or measures."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import Any

import numpy as np

from mtfx.agents.exploration import (
    ActionNoise,
    ExplorationPolicy,
    MixedExploration,
    RandomExploration,
)
from mtfx.datasets.rewards import RewardConfig, reward_preset
from mtfx.environments.simulator.config import SimulatorConfig
from mtfx.environments.simulator.dynamics import Simulator
from mtfx.environments.simulator.policies import ConstantPolicy
from mtfx.environments.simulator.rollout import Interactions, rollout
from mtfx.environments.simulator.runner import SessionRunner
from mtfx.environments.simulator.user_groups import drawn_users, user_groups
from mtfx.environments.simulator.world import load_world
from mtfx.experiments.batchrl.log import FusionLog
from mtfx.experiments.batchrl.measures import (
    accuracy,
    action_figures,
    action_histograms,
    conservative_estimate,
    logged_figures,
    other_estimates,
)
from mtfx.experiments.batchrl.policies import AGENTS, SEARCHERS
from mtfx.experiments.batchrl.search import load_found, search
from mtfx.experiments.batchrl.training import load_agent, train_policy
from mtfx.experiments.batchrl.trial import FusionTrial
from mtfx.experiments.engine.data import SimulatedWorld
from mtfx.experiments.engine.results import TrialRecord
from mtfx.experiments.engine.simulation import measured_figures
from mtfx.models.action_policy import ActionPolicy
from mtfx.models.fusion.config import FusionConfig, build_fusion
from mtfx.models.keras import keras

#: Second number of the seeds of users and sessions, so that no two purposes share sessions.
_LOG_SEEDS = {"random": 1, "mixed": 2}
#: What is added to that for a log's held-out sessions.
_HELD_OUT_SEED = 100


def run_trial(
    data: SimulatedWorld, trial: FusionTrial, directories: dict[str, str]
) -> dict[str, Any]:
    """Runs a trial.

    Args:
      data: The world.
      trial: What to do.
      directories: Of this trial and those it requires, by key.

    Returns:
      ``metrics`` by heading and figure, ``seconds``, ``curves`` and ``notes``.
    """
    started = time.perf_counter()
    # A worker runs many trials, and Keras would keep every one's graphs.
    keras.backend.clear_session()
    result = {"curves": {}, "notes": {}, **_Trial(data, trial, directories).run()}
    return {**result, "seconds": time.perf_counter() - started}


class _Trial:
    """The parts that the stages share."""

    def __init__(
        self, data: SimulatedWorld, trial: FusionTrial, directories: dict[str, str]
    ) -> None:
        self._data, self._trial = data, trial
        self._directory, self._directories = directories[trial.key], directories
        self._world = load_world(data.directory)
        config = FusionConfig(formula=trial.config.formula)
        self._fusion = build_fusion(config, self._world.num_predictions)
        self._simulator = self._simulator_of("default")

    def run(self) -> dict[str, Any]:
        stages = {
            "log": self._log,
            "policy": self._policy,
            "evaluation": self._evaluation,
            "estimates": self._estimates,
            "accuracy": self._accuracy,
        }
        return stages[self._trial.stage]()

    def _log(self) -> dict[str, Any]:
        trial = self._trial
        log = FusionLog.of(*self._explored())
        log.save(self._directory)
        figures = logged_figures(log, self._simulator, trial.config.gamma)
        return {
            "metrics": {
                "simulator": figures,
                "actions": action_figures(log.action, log.action)._asdict(),
            },
            "curves": {"actions": action_histograms(log.action, self._world.prediction_names)},
            "notes": {"requests": log.num_requests, "sessions": log.num_sessions},
        }

    def _explored(self) -> tuple[Interactions, Interactions]:
        """Requests to learn from, and those of other users that OPE is given."""
        trial, policy = self._trial, self._exploration()
        kept = round(trial.config.held_out * trial.config.requests)
        groups = user_groups(self._world.user_ids)
        parts = []
        for place, (group, requests) in enumerate(
            ((groups.training, trial.config.requests - kept), (groups.evaluation, kept))
        ):
            if requests < 2 * trial.config.max_views:
                raise ValueError(
                    f"{trial.config.requests} requests of which a share of "
                    f"{trial.config.held_out:g} is held out may leave fewer than two sessions of "
                    f"{trial.config.max_views} in a part: raise the setting requests"
                )
            seed = (trial.seed, _LOG_SEEDS[trial.subject] + place * _HELD_OUT_SEED)
            # Enough sessions even if each has one request only; those too many are not simulated.
            users = drawn_users(group, requests, np.random.default_rng(seed))
            parts.append(rollout(self._simulator, self._fusion, policy, users, seed, requests))
        return parts[0], parts[1]

    def _exploration(self) -> ExplorationPolicy:
        trial = self._trial
        random = RandomExploration(self._fusion.action_dim, trial.config.random_deviation)
        if trial.subject == "random":
            return random
        [explored] = trial.required_trials
        noise = ActionNoise(self._load(explored), trial.config.noise_deviation)
        return MixedExploration(random, noise, salt=str(trial.seed))

    def _policy(self) -> dict[str, Any]:
        trial = self._trial
        log = self._load_log()
        if trial.policy.learner in SEARCHERS:
            # The default reward in the simulator, as for the log's agents.
            found = search(trial, self._simulator, self._fusion, log.num_sessions, self._directory)
            return {"metrics": {}, **found}
        train, _ = log.split()
        curve = train_policy(
            trial,
            train.transitions(trial.policy.reward, self._world.feedback_names),
            self._simulator_of(trial.policy.reward),
            self._fusion,
            self._directory,
        )
        last = curve[-1]
        return {
            "metrics": {
                "session starts": {
                    "q_mean": last.q_mean,
                    "q_deviation": last.q_deviation,
                    "true_return": last.true_return,
                    "q_error": last.q_mean - last.true_return,
                }
            },
            "curves": {
                name: [getattr(point, name) for point in curve] for name in curve[0]._fields
            },
            "notes": {"transitions": train.num_requests, "sessions": train.num_sessions},
        }

    def _evaluation(self) -> dict[str, Any]:
        trial = self._trial
        policy = self._measured()
        held_out = self._held_out()
        # With the default reward, whatever the policy learnt from.
        runner = SessionRunner(self._simulator, self._fusion, policy)
        config = trial.config
        figures = measured_figures(runner, trial.seed, config.eval_sessions, config.gamma)
        estimate, actions = conservative_estimate(trial, held_out, policy)
        return {
            "metrics": {
                "simulator": figures,
                "offline": {"estimated_return": estimate["value"]},
                "actions": action_figures(actions, held_out.actions.numpy())._asdict(),
            },
            "curves": {"actions": action_histograms(actions, self._world.prediction_names)},
            "notes": {"estimate": estimate},
        }

    def _estimates(self) -> dict[str, Any]:
        trial = self._trial
        evaluation = self._result(trial.required_trials[-1])
        found = {
            "conservative": evaluation["notes"]["estimate"],
            **other_estimates(trial, self._held_out(), self._measured()),
        }
        headings = {name: {"estimated_return": one["value"]} for name, one in found.items()}
        truth = {"true_return": evaluation["metrics"]["simulator"]["true_return"]}
        return {"metrics": {"simulator": truth, **headings}, "notes": {"estimates": found}}

    def _accuracy(self) -> dict[str, Any]:
        trial = self._trial
        results = {one.subject: self._result(one) for one in trial.required_trials}
        return accuracy(trial, results)

    def _held_out(self) -> Any:
        _, held_out = self._load_log().split()
        return held_out.transitions("default", self._world.feedback_names)

    def _load_log(self) -> FusionLog:
        return FusionLog.load(self._directories[self._trial.log.key])

    def _measured(self) -> ActionPolicy:
        """The policy that this trial measures."""
        trial = self._trial
        spec = trial.policy
        if trial.training is not None:
            policy = self._load(trial.training)
        elif spec.learner == "random":
            policy = RandomExploration(self._fusion.action_dim, trial.config.random_deviation)
        else:
            policy = ConstantPolicy(
                constant_action(spec.number, self._fusion.action_dim, trial.seed)
            )
        return ActionNoise(policy, spec.noise) if spec.noise else policy

    def _load(self, training: FusionTrial) -> ActionPolicy:
        """The policy of a finished training or search."""
        directory = self._directories[training.key]
        if training.policy.learner in AGENTS:
            return load_agent(
                training, self._simulator.state_dim, self._fusion.action_dim, directory
            )
        return load_found(training, self._simulator, self._fusion, directory)

    def _result(self, trial: FusionTrial) -> dict[str, Any]:
        record = TrialRecord.read(Path(self._directories[trial.key]), self._data.fingerprint)
        if record is None:
            raise ValueError(f"the result of {trial.key} cannot be read; run again")
        return record.result

    def _simulator_of(self, reward: str) -> Simulator:
        preset: RewardConfig = reward_preset(reward)
        config = SimulatorConfig(
            candidates=self._trial.config.candidates,
            max_views=self._trial.config.max_views,
        )
        return Simulator(self._world, dataclasses.replace(config, reward=preset))


def constant_action(number: int, action_dim: int, seed: int) -> np.ndarray:
    """The action of a constant policy: zeros for number 0, drawn uniformly for the others."""
    if not number:
        return np.zeros(action_dim, np.float32)
    return np.random.default_rng((seed, number)).uniform(-1, 1, action_dim).astype(np.float32)
