"""Configuration of the fusion pipeline: everything that decides what a run produces."""

from __future__ import annotations

import dataclasses
import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from mtfx.agents.config import EXPLORATIONS
from mtfx.agents.registry import AGENTS
from mtfx.agents.search.registry import SEARCHES
from mtfx.config import Config, OneOf, wrong_choice
from mtfx.datasets.registry import load_dataset
from mtfx.datasets.rewards import REWARD_PRESETS, RewardConfig
from mtfx.errors import UserError, require
from mtfx.evaluation.ope.registry import ESTIMATORS
from mtfx.files import UNREADABLE, read_json
from mtfx.models.fusion.config import FORMULAS, AnyFusionConfig, FormulaFreeConfig, FusionConfig
from mtfx.pipelines.beam_args import local_beam_args
from mtfx.pipelines.fusion_settings import (
    PoolSizes,
    agent_config,
    agent_settings,
    check_predictions,
    feedback_names,
    formula_config,
    pool_sizes,
    reward_config,
)
from mtfx.pipelines.infra_validation import InfraValidation
from mtfx.pipelines.run_folder import in_run, report_error, require_model
from mtfx.pipelines.spans import at_span, check_spans

if TYPE_CHECKING:
    from mtfx.agents.config import FusionAgentConfig
    from mtfx.environments.simulator.config import SimulatorConfig

#: Where the simulator's users take their responses from;
#: ``mtfx.environments.simulator.fitting.config`` has them too.
RESPONSES = ("auto", "truth", "fitted", "published")
#: Flags that are not called like their field.
FLAGS = {"formula": "--fusion", "settings": "--set", "enable_cache": "--cache"}
_MAX_SEED = 2**31 - 1


@dataclasses.dataclass(frozen=True)
class ServedLog(Config):
    """A log of served requests with their feedback, as ``mtfx join-feedback`` writes it.

    Attributes:
      data_dir: Directory of served requests that `mtfx join-feedback` wrote: learn from those, not
        from the simulator. The run has to have served them.
      pattern: Files of it to read; {SPAN} in a folder's name stands for the number of a delivery,
        such as 'day-{SPAN}/*.parquet'.
      span: Number for {SPAN}.
      earlier_spans: Deliveries that are read together with it, in order: a rolling window.
    """

    data_dir: str
    pattern: str = "*.parquet"
    span: int = 1
    earlier_spans: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        check_spans(self.pattern, self.span, self.earlier_spans, "day-{SPAN}/*.parquet")


@dataclasses.dataclass(frozen=True)
class FusionPipelineConfig(Config):
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
    response: Annotated[str, OneOf(RESPONSES)] = "auto"
    users: int = 1000
    pool: int | None = None
    candidates: int | None = None
    sessions: int = 10_000
    eval_sessions: int = 2000
    train_steps: int | None = None
    batch_size: int | None = None
    settings: tuple[tuple[str, Any], ...] = ()
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
            raise UserError(f"{FLAGS.get(field, '--' + field)} {message}")
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

    def check(self) -> None:
        """Checks the ranking run on this machine, before anything slow starts.

        Raises:
          UserError: naming what is missing and what to run first.
        """
        self.infra_validation.check()
        for path in (self.metadata_path, self._ranking_summary):
            require(
                path.is_file(),
                f"--run-dir {self.run_dir} holds no run of the ranking pipeline: "
                f"{path} is not there",
                "run `mtfx ranking --output-dir "
                f"{self.run_dir} ...` first; this pipeline fuses the model it blessed",
            )
        self._check_feedback()
        where = "give the artifact of a Trainer, below RUN/fusion/pipeline/Trainer-METHOD/model"
        require_model("--base-policy", self.base_policy, where)
        if self.served is not None:
            self._check_served(self.served)

    def _check_feedback(self) -> None:
        """Checks the predictions and feedbacks that are named by those of the ranking run."""
        run = self.ranking_run()
        try:
            spec = load_dataset(run["dataset"])
            tasks = [task.name for task in spec.select_tasks(tuple(run.get("tasks") or ()))]
        except ValueError as error:
            raise UserError(f"--run-dir {self.run_dir}: {error}") from error
        check_predictions(spec, tasks, self.leave_out, self.response)
        binary = [task.name for task in spec.tasks if task.kind == "binary"]
        for name in feedback_names(self.settings):
            require(
                name in binary,
                f"--set reward.feedback.{name}: {spec.name} has no such feedback; it has: "
                f"{', '.join(binary)}",
            )
        for task in spec.tasks:
            [weight] = self.reward_config.interaction_weights([task.name])
            require(
                not task.negative or weight <= 0,
                f"the reward counts {task.name} for {weight:+g}, but the data set {spec.name} says "
                "that it is negative",
                f"give it a weight of at most 0: --set reward.feedback.{task.name}=-1",
            )

    def _check_served(self, served: ServedLog) -> None:
        require(
            "://" in served.data_dir or Path(served.data_dir).is_dir(),
            f"--served-log {served.data_dir} is not a directory",
            "`mtfx join-feedback` makes it of a service's two logs",
        )
        require(
            bool(self.served_simulator),
            f"--served-log needs a ranker that served it, and {self.run_dir} has exported none",
            "run `mtfx fusion` without --served-log first, and serve what it pushes",
        )
        for name in (self.method, *self.baselines):
            require(
                name in SEARCHES
                or self.fusion_of(name).action_meaning()
                == self.fusion_of(self.method).action_meaning(),
                f"--baselines {name} cannot learn from the served log: its actions mean something "
                f"else than those of {self.method}",
                "leave it out",
            )

    @property
    def metadata_path(self) -> Path:
        """The SQLite file of ML Metadata, shared with the ranking pipeline."""
        return Path(self.run_dir, "metadata.db")

    @property
    def log_path(self) -> Path:
        """The log of every run in this directory."""
        return Path(self.run_dir, "logs", "mtfx.log")

    @property
    def output_dir(self) -> str:
        """Where the pipeline's artifacts and report go."""
        return os.path.join(os.path.abspath(self.run_dir), "fusion")

    @property
    def report_dir(self) -> Path:
        """Where ``summary.json`` goes."""
        return Path(self.output_dir, "report")

    @property
    def ranker_dir(self) -> str:
        """Where rankers are pushed, a folder for each."""
        return os.path.join(os.path.abspath(self.run_dir), "serving", "ranker")

    @property
    def _ranking_summary(self) -> Path:
        return Path(self.run_dir, "report", "summary.json")

    @property
    def served_simulator(self) -> str:
        """Simulator of the run's last fusion, which says what served states hold; empty without.

        Raises:
          UserError: if there is a report that does not tell.
        """
        path = self.report_dir / "summary.json"
        if not path.is_file():
            return ""
        try:
            return in_run(self.run_dir, str(read_json(path)["simulator"]))
        except UNREADABLE as error:
            otherwise = "leave --served-log out"
            raise report_error(self.run_dir, path, "mtfx fusion", error, otherwise) from error

    @property
    def log_dir(self) -> str:
        """Folder of the ranking run's log; of its span, where the log comes in several."""
        data = self.ranking_run()
        folder = os.path.dirname(at_span(data.get("pattern", "*"), data.get("span", 1)))
        return os.path.abspath(os.path.join(data["data_dir"], folder))

    def ranking_run(self) -> dict[str, Any]:
        """What ``mtfx ranking`` was told of its data: ``dataset``, ``data_dir`` and more.

        Raises:
          UserError: if the run's summary is damaged.
        """
        try:
            return read_json(self._ranking_summary)["config"]["data"]
        except UNREADABLE as error:
            raise report_error(
                self.run_dir, self._ranking_summary, "mtfx ranking", error, "give another --run-dir"
            ) from error

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
        agent = self.agent(method)
        if (cells := getattr(agent, "cells", None)) is None:
            return self.fusion
        return FormulaFreeConfig(cells.low, cells.high)

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
