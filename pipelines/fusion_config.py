"""Configuration of the fusion pipeline: everything that decides what a run produces."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Annotated, Any

from mtfx.agents.config import EXPLORATIONS
from mtfx.agents.registry import AGENTS
from mtfx.agents.search.registry import SEARCHES
from mtfx.config import OneOf, wrong_choice
from mtfx.datasets.registry import load_dataset
from mtfx.datasets.rewards import REWARD_PRESETS, RewardConfig
from mtfx.errors import UserError, require
from mtfx.evaluation.ope.registry import ESTIMATORS
from mtfx.models.fusion.config import FORMULAS, AnyFusionConfig, FormulaFreeConfig, FusionConfig
from mtfx.pipelines.beam_args import local_beam_args
from mtfx.pipelines.fusion_folder import FusionFolder
from mtfx.pipelines.fusion_settings import (
    PoolSizes,
    agent_config,
    agent_settings,
    check_explored,
    check_feedback,
    check_predictions,
    formula_config,
    pool_sizes,
    reward_config,
)
from mtfx.pipelines.infra_validation import InfraValidation
from mtfx.pipelines.run_folder import require_model
from mtfx.pipelines.served_log import ServedLog, check_served

if TYPE_CHECKING:
    from mtfx.agents.config import FusionAgentConfig
    from mtfx.environments.simulator.config import SimulatorConfig

#: Where the simulator's users take their responses from;
#: ``mtfx.environments.simulator.fitting.config`` has them too.
RESPONSES = ("auto", "truth", "fitted", "published")
#: Which policy goes into the ranker.
PUSHES = ("method", "best")
#: Flags that are not called like their field.
FLAGS = {"formula": "--fusion", "settings": "--set", "enable_cache": "--cache"}
_MAX_SEED = 2**31 - 1


@dataclasses.dataclass(frozen=True)
class FusionPipelineConfig(FusionFolder):
    """A run of the fusion pipeline.

    Attributes:
      run_dir: Output directory of `mtfx ranking`, whose latest blessed model is fused; outputs go
        there too.
      method: How the policy is learned from logged interactions.
      baselines: Methods that the policy is compared with in the simulator; itself, if named, is
        left out.
      formula: Whose weights are learned: formula1 is Σ w·o, formula2 Σ w·log(o + β), formula3
        Π o^w. With the method xmtf, which has none, the baselines'.
      leave_out: Predictions that are not fused, such as hate,play_integrity. By default all are:
        the ranking model's, and play integrity where it has the watch time and requests the
        duration.
      reward: What the reward weighs most: watch time, play integrity or interactions (BatchRL-MTF,
        equation 2).
      exploration: Policy whose interactions are learned from (BatchRL-MTF, section 3.3).
      explore_around: Baseline whose weights action noise explores around, as a service explores
        around the formula that it has: constant, equal weights, or a search, such as bo.
      response: Simulated users' responses: the truth behind synthetic data, fitted to the log, or
        with auto the first where there is one. With published they answer with the ranking model's
        own prediction, as in xMTF's published simulator, which is circular.
      users: Simulated users.
      pool: Items of each user; by default 300, with the response published 1,097.
      candidates: Items per request; by default 100, with the response published 1,000.
      sessions: Simulated sessions to learn from.
      eval_sessions: Simulated sessions to compare policies on.
      train_steps: Training steps of the policy; by default the agent's, BatchRL-MTF's 300,000.
      batch_size: Transitions per step; by default the agent's, 256, and 1024 of xmtf.
      settings: A hyper-parameter of the agent, such as rho=0.1, of the formula, such as
        fusion.low=0.1, or of the reward, such as reward.watch_weight=2; see below.
      push: Which policy is judged and, if blessed, pushed: the method's, or with best that of the
        baselines which is better beyond chance in simulated sessions kept for this choice, if any.
      estimator: Off-policy estimator whose lower bound decides on the blessing.
      max_return_drop: How far that bound may fall below the current policy's, or below what the log
        earned where there is no current one; in units of reward.
      ope_penalty: What actions beyond the log cost in the conservative estimator, in units of
        reward; larger is more careful. By default the estimator's, 0.05.
      served: A log of served requests to learn from, in place of the simulator's; it needs an
        earlier run, whose ranker served it.
      keep_simulator: Whether a policy that is learned from a served log is judged in the earlier
        run's simulator; otherwise one is fitted anew, of the latest ranking model and its log.
      headroom: Whether the report says what the best formula, the best function of the predictions
        and the truth would gain in the simulator: how much a policy can. Not of a served log.
      base_policy: Artifact of an earlier policy of the same method, whose networks training begins
        with: warm start.
      candidate_buckets: Numbers of candidates, such as 128,512, that XLA compiles the served ranker
        for: for GPUs. A request is padded to the next. On a CPU, TF Serving needs
        --xla_cpu_compilation_enabled for it. By default none, without XLA.
      infra_validation: How the ranker is tried in TF Serving before it is pushed.
      seed: Seed of everything random.
      beam_pipeline_args: Passed to Beam; see ``mtfx.pipelines.beam_args``.
      enable_cache: Whether a stage with unchanged inputs takes its earlier outputs.
    """

    run_dir: str
    method: Annotated[str, OneOf(AGENTS)] = "bcq"
    baselines: Annotated[tuple[str, ...], OneOf((*SEARCHES, *AGENTS))] = ("constant", "bo", "td3")
    formula: Annotated[str, OneOf(FORMULAS)] = "formula2"
    leave_out: tuple[str, ...] = ()
    reward: Annotated[str, OneOf(tuple(REWARD_PRESETS))] = "default"
    exploration: Annotated[str, OneOf(EXPLORATIONS)] = "mixed"
    explore_around: Annotated[str, OneOf(SEARCHES)] = "constant"
    response: Annotated[str, OneOf(RESPONSES)] = "auto"
    users: int = 1000
    pool: int | None = None
    candidates: int | None = None
    sessions: int = 10_000
    eval_sessions: int = 2000
    train_steps: int | None = None
    batch_size: int | None = None
    settings: tuple[tuple[str, Any], ...] = ()
    push: Annotated[str, OneOf(PUSHES)] = "method"
    estimator: Annotated[str, OneOf(ESTIMATORS)] = "conservative"
    max_return_drop: float = 0.0
    ope_penalty: float | None = None
    served: ServedLog | None = None
    keep_simulator: bool = False
    headroom: bool = True
    base_policy: str = ""
    candidate_buckets: tuple[int, ...] = ()
    infra_validation: InfraValidation = dataclasses.field(default_factory=InfraValidation)
    seed: int = 0
    beam_pipeline_args: tuple[str, ...] = dataclasses.field(default_factory=local_beam_args)
    enable_cache: bool = True

    def __post_init__(self) -> None:
        if wrong := wrong_choice(self):
            field, message = wrong
            raise UserError(f"{FLAGS.get(field, '--' + field.replace('_', '-'))} {message}")
        require(
            self.ope_penalty is None or 0 <= self.ope_penalty < math.inf,
            f"--ope-penalty must not be negative, got {self.ope_penalty}",
        )
        require(
            0 <= self.max_return_drop < math.inf,
            f"--max-return-drop must not be negative or infinite, got {self.max_return_drop}",
        )
        require(
            len(set(self.baselines)) == len(self.baselines),
            f"--baselines names a method twice: {', '.join(self.baselines)}",
        )
        # It is compared with them anyway.
        others = tuple(name for name in self.baselines if name != self.method)
        object.__setattr__(self, "baselines", others)
        buckets = self.candidate_buckets
        require(
            all(size >= 1 for size in buckets) and len(set(buckets)) == len(buckets),
            "--candidate-buckets must be different positive numbers, not "
            f"{','.join(map(str, buckets))}",
        )
        require(
            not buckets or self.infra_validation.platform == "none",
            "--candidate-buckets and --infra-validator exclude each other",
            "TFX starts TF Serving on a CPU without --xla_cpu_compilation_enabled, and no ranker "
            "that XLA compiles loads there",
        )
        for name in ("users", "pool", "candidates", "sessions", "eval_sessions", "train_steps"):
            value = getattr(self, name)
            flag = "--" + name.replace("_", "-")
            require(value is None or value >= 1, f"{flag} must be at least 1, got {value}")
        sizes = self.sizes
        require(
            sizes.candidates <= sizes.pool,
            f"--candidates {sizes.candidates} is more than --pool {sizes.pool}",
            "candidates of a request are drawn from the user's pool",
        )
        require(
            0 <= self.seed <= _MAX_SEED, f"--seed must be from 0 to {_MAX_SEED}, got {self.seed}"
        )
        require(
            len(set(self.leave_out)) == len(self.leave_out),
            f"--leave-out names a prediction twice: {', '.join(self.leave_out)}",
        )
        self.agent(self.method)
        self.fusion  # noqa: B018 (its settings are checked)
        self.reward_config  # noqa: B018
        if self.push == "best":
            self._check_choice()
        weighs = self.fusion_of(self.method).action_meaning() == self.fusion.action_meaning()
        other = "" if weighs else self.method
        check_explored(self.explore_around, self.baselines, self.served is not None, other)

    def check(self) -> None:
        """Checks the ranking run on this machine, before anything slow starts.

        Raises:
          UserError: naming what is missing and what to run first.
        """
        self.infra_validation.check()
        self.check_run()
        self._check_feedback()
        where = "give the artifact of a Trainer, below RUN/fusion/pipeline/Trainer-METHOD/model"
        require_model("--base-policy", self.base_policy, where)
        if self.served is not None:
            check_served(self.served, self.run_dir, self.served_simulator)
            for name in self._of_other_meaning():
                require(
                    name in SEARCHES,
                    f"--baselines {name} cannot learn from the served log: its actions mean "
                    f"something else than those of {self.method}",
                    "leave it out",
                )

    def _check_choice(self) -> None:
        require(
            bool(self.baselines),
            "--push best chooses among --method and --baselines, and there are no baselines",
            "name some, such as --baselines constant,bo",
        )
        others = ", ".join(self._of_other_meaning())
        require(
            not others,
            f"--push best cannot judge {others}: the actions mean something else than those of "
            f"{self.method}, from whose log policies are valued",
            "leave it out of --baselines",
        )

    def _of_other_meaning(self) -> list[str]:
        """Baselines whose actions do not mean what the method's do."""
        own = self.fusion_of(self.method).action_meaning()
        return [name for name in self.baselines if self.fusion_of(name).action_meaning() != own]

    def _check_feedback(self) -> None:
        """Checks the predictions and feedbacks that are named by those of the ranking run."""
        run = self.ranking_run()
        try:
            spec = load_dataset(run["dataset"])
            tasks = [task.name for task in spec.select_tasks(tuple(run.get("tasks") or ()))]
        except ValueError as error:
            raise UserError(f"--run-dir {self.run_dir}: {error}") from error
        check_predictions(spec, tasks, self.leave_out, self.response)
        check_feedback(spec, self.settings, self.reward_config)

    @property
    def fusion(self) -> FusionConfig:
        """The configuration of the formula, which ``--set fusion.NAME=…`` changes."""
        return formula_config(self.formula, self.settings)

    def fusion_of(self, method: str) -> AnyFusionConfig:
        """The fusion function that a method's actions are for, and its log has to be of.

        xMTF's has no trained cells before there is a policy: its log is explored without.

        Raises:
          UserError: if a setting is unknown or out of its range.
        """
        cells = None if method in SEARCHES else getattr(self.agent(method), "cells", None)
        return self.fusion if cells is None else FormulaFreeConfig(cells.low, cells.high)

    @property
    def reward_config(self) -> RewardConfig:
        """The reward: a preset, which ``--set reward.NAME=…`` changes, and its discount.

        ``--set gamma=…`` changes the discount for all that use it.
        """
        return dataclasses.replace(reward_config(self.reward, self.settings), gamma=self._gamma)

    @property
    def _gamma(self) -> float:
        given = dict(self.settings).get("gamma")
        return reward_config(self.reward, ()).gamma if given is None else given

    @property
    def simulator(self) -> SimulatorConfig:
        """The rules of a simulated session. Imports TensorFlow."""
        from mtfx.environments.simulator.config import PUBLISHED_RULES, SimulatorConfig

        rules = PUBLISHED_RULES if self.response == "published" else SimulatorConfig()
        return dataclasses.replace(
            rules, candidates=self.sizes.candidates, reward=self.reward_config
        )

    @property
    def sizes(self) -> PoolSizes:
        """Items of a user and of a request, those of the response where none are given."""
        return pool_sizes(self.response, self.pool, self.candidates)

    def agent(self, method: str) -> FusionAgentConfig:
        """Hyper-parameters of an agent; ``settings`` are those of ``method`` alone.

        Raises:
          UserError: if a setting is unknown or out of its range.
        """
        values = agent_settings(self.settings) if method == self.method else {}
        for name in ("train_steps", "batch_size"):
            if getattr(self, name) is not None:
                values[name] = getattr(self, name)
        # Baselines have the same networks, so that they differ in the algorithm alone.
        shared = dict(self.settings).get("hidden_units")
        if shared is not None:
            values["hidden_units"] = shared
        # One value is optimised, estimated and compared.
        values["gamma"] = self._gamma
        return agent_config(method, values)
