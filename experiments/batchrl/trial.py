"""Trials of the fusion experiments: a log, a training, a measurement, and their settings.

Trials share work. The logs of a seed, and BatchRL-MTF-RE, around whose actions the second log
explores, are trials of their own that all others of the seed require; a policy is trained once, and
measured by whichever experiments ask for it.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Annotated, Any, Literal, get_args

from mtfx.agents.config import BcqConfig, CqlSacConfig
from mtfx.config import override
from mtfx.experiments.batchrl.policies import (
    ACCURACY_POLICIES,
    AGENTS,
    PolicySpec,
    policy_spec,
    trained_as,
)
from mtfx.experiments.engine.trial import Trial
from mtfx.setting import Concerns, TrialConfig, Value, Values, changes

#: ``log``: sessions under an exploration, ``random`` or ``mixed``. ``policy``: training or search.
#: ``evaluation``: the true figures in the simulator, the conservative estimate, and the actions.
#: ``estimates``: what the other estimators say of a policy. ``accuracy``: how an estimator agrees
#: with the truth over all policies.
Stage = Literal["log", "policy", "evaluation", "estimates", "accuracy"]
STAGES: tuple[Stage, ...] = get_args(Stage)
#: The estimators that are compared, of ``mtfx.evaluation.ope.registry``.
ESTIMATOR_NAMES = ("conservative", "fqe", "importance_sampling", "doubly_robust")
LOGS = ("random", "mixed")
#: As ``mtfx.models.fusion.config.FORMULAS`` names them.
FormulaName = Literal["formula1", "formula2", "formula3"]
#: The policy around whose actions the mixed exploration adds noise.
EXPLORED = "bcq_re"

#: Stages of settings behind the mixed log.
_MIXED = ("world", "data", "agents", "bcq")


#: Points that BO tries at random before any others.
RANDOM_POINTS = 16


@dataclasses.dataclass(frozen=True)
class FusionSettings(TrialConfig):
    """What ``--set`` may change; the defaults are BatchRL-MTF's (section 4.2, appendix A).

    Searches in the simulator share out the log's sessions among their points.

    Attributes:
      candidates: Candidates of a request.
      max_views: Views after which a session ends.
      formula: Fusion function whose weights are the action.
      gamma: Discount per request.
      requests: Requests of an exploration's log, at most.
      random_deviation: Deviation of random exploration.
      noise_deviation: Deviation of action noise.
      held_out: Share of the log's requests, of users of their own, kept for OPE.
      hidden_units: Units of each of the two layers of a network.
      steps: Training steps.
      batch_size: Transitions per step.
      curve_points: Times that Q is compared with the truth.
      curve_sessions: Simulated sessions of each comparison.
      rho: BCQ: largest perturbation (rho).
      critic_learning_rate: BCQ: Adam's, of the critics (eta).
      vae_learning_rate: BCQ: Adam's, of the generator.
      perturbation_learning_rate: BCQ: Adam's, of the perturbation.
      sampled_actions: BCQ: actions sampled per state, n.
      cql_alpha: CQL: weight of the conservative loss.
      bo_points: BO: points tried, 16 of them at random.
      es_population: ES: points of a generation, even.
      es_generations: ES: generations.
      eval_sessions: Simulated sessions of the true figures.
      ope_steps: Estimators: training steps K.
      ope_batch_size: Estimators: transitions per step m.
      ope_learning_rate: Estimators: Adam's.
      ope_hidden_units: Estimators: units of each of the two layers.
      ope_actions: Estimators: actions drawn per state, where policies are random.
      ope_fits: Estimators: Q networks fitted, each on sessions drawn anew.
      ope_penalty: Conservative estimator: alpha, its penalty.
      ope_bandwidth: Importance weights: noise that smooths deterministic policies.
    """

    candidates: Annotated[int, Concerns("world")] = 100
    max_views: Annotated[int, Concerns("world")] = 50
    formula: Annotated[FormulaName, Concerns("world")] = "formula2"
    gamma: Annotated[float, Concerns("world", 0.999, zero=True)] = BcqConfig.gamma
    requests: Annotated[int, Concerns("data")] = 20_000
    random_deviation: Annotated[float, Concerns("data", 10.0)] = 0.5
    noise_deviation: Annotated[float, Concerns("data", 10.0)] = 0.1
    held_out: Annotated[float, Concerns("data", 0.9)] = 0.1
    hidden_units: Annotated[int, Concerns("agents")] = 256
    steps: Annotated[int, Concerns("agents")] = BcqConfig.train_steps
    batch_size: Annotated[int, Concerns("agents")] = BcqConfig.batch_size
    curve_points: Annotated[int, Concerns("agents")] = 20
    curve_sessions: Annotated[int, Concerns("agents")] = 500
    rho: Annotated[float, Concerns("bcq", 2.0, zero=True)] = BcqConfig.rho
    critic_learning_rate: Annotated[float, Concerns("bcq", 1.0)] = BcqConfig.critic_learning_rate
    vae_learning_rate: Annotated[float, Concerns("bcq", 1.0)] = BcqConfig.vae_learning_rate
    perturbation_learning_rate: Annotated[float, Concerns("bcq", 1.0)] = (
        BcqConfig.perturbation_learning_rate
    )
    sampled_actions: Annotated[int, Concerns("bcq")] = BcqConfig.sampled_actions
    cql_alpha: Annotated[float, Concerns("cql_sac", zero=True)] = CqlSacConfig.cql_alpha
    bo_points: Annotated[int, Concerns("bo")] = 48
    es_population: Annotated[int, Concerns("es")] = 32
    es_generations: Annotated[int, Concerns("es")] = 20
    eval_sessions: Annotated[int, Concerns("evaluation")] = 2_000
    ope_steps: Annotated[int, Concerns("ope")] = 5_000
    ope_batch_size: Annotated[int, Concerns("ope")] = 512
    ope_learning_rate: Annotated[float, Concerns("ope", 1.0)] = 1e-4
    ope_hidden_units: Annotated[int, Concerns("ope")] = 256
    ope_actions: Annotated[int, Concerns("ope")] = 10
    ope_fits: Annotated[int, Concerns("ope")] = 1
    ope_penalty: Annotated[float, Concerns("ope", zero=True)] = 0.05
    ope_bandwidth: Annotated[float, Concerns("weights", 10.0)] = 0.3

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.es_population % 2:
            raise ValueError(
                f"es_population must be even, as points come in pairs; got {self.es_population}"
            )
        if self.bo_points <= RANDOM_POINTS:
            raise ValueError(
                f"bo_points must be more than the {RANDOM_POINTS} random ones, got {self.bo_points}"
            )


#: What ``--scale small`` sets; minutes instead of hours on two cores.
SMALL: dict[str, Value] = {
    "hidden_units": 64,
    "steps": 5_000,
    "curve_points": 10,
    "ope_hidden_units": 64,
}


@dataclasses.dataclass(frozen=True)
class FusionTrial(Trial):
    """A trial of the fusion experiments.

    Attributes:
      stage: One of ``STAGES``.
      subject: Name of the log, the policy or the estimator.
      seed: Seed of everything random.
      settings: Those of :class:`FusionSettings` that differ from the default.
      changes: What differs from that, and concerns only this policy, not those whose data it uses.
    """

    stage: Stage
    subject: str
    seed: int
    settings: Values = ()
    changes: Values = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.stage not in STAGES:
            raise ValueError(f"no stage {self.stage!r}; there are: {', '.join(STAGES)}")
        if self.stage == "log" and self.subject not in LOGS:
            raise ValueError(f"no log {self.subject!r}; there are: {', '.join(LOGS)}")
        if self.stage == "accuracy" and self.subject not in ESTIMATOR_NAMES:
            names = ", ".join(ESTIMATOR_NAMES)
            raise ValueError(f"no estimator {self.subject!r}; there are: {names}")
        if self.stage == "policy" and not policy_spec(self.subject).trained:
            raise ValueError(f"policy {self.subject} needs no training")
        given = changes(FusionSettings(), self._setting_stages(), self.settings)
        object.__setattr__(self, "settings", given)
        own = changes(self._shared, self._policy_stages(), self.changes)
        object.__setattr__(self, "changes", own)

    @property
    def _shared(self) -> FusionSettings:
        """The settings without the changes that concern this policy only."""
        return override(FusionSettings(), dict(self.settings))

    @functools.cached_property
    def config(self) -> FusionSettings:
        """All settings."""
        return override(self._shared, dict(self.changes))

    @property
    def policy(self) -> PolicySpec:
        """What the subject is, if it is a policy; ValueError otherwise."""
        return policy_spec(self.subject)

    @property
    def name(self) -> str:
        """See :class:`Trial`."""
        return f"{self.stage}-{self.subject}"

    @property
    def work(self) -> str:
        """See :class:`Trial`."""
        return f"{self.stage} {self.subject}"

    def _changed(self) -> tuple[Any, ...]:
        return (self.settings, self.changes) if self.settings or self.changes else ()

    @property
    def log(self) -> FusionTrial:
        """The log that a policy is trained on, or measured with: its last sessions."""
        name = self.policy.data if self.stage == "policy" else "mixed"
        return FusionTrial("log", name, self.seed, self.settings)

    @property
    def training(self) -> FusionTrial | None:
        """The trial that makes the measured policy, or None where it takes none."""
        name = trained_as(self.subject)
        if not policy_spec(name).trained:
            return None
        return FusionTrial("policy", name, self.seed, self.settings, self.changes)

    @property
    def required_trials(self) -> tuple[FusionTrial, ...]:
        """The trials whose results this one reads."""
        if self.stage == "log":
            explored = FusionTrial("policy", EXPLORED, self.seed, self.settings)
            return (explored,) if self.subject == "mixed" else ()
        if self.stage == "policy":
            return (self.log,)
        if self.stage == "accuracy":
            return tuple(self._of("estimates", name) for name in ACCURACY_POLICIES)
        measured = () if self.training is None else (self.training,)
        if self.stage == "estimates":
            return (self.log, *measured, self._of("evaluation", self.subject))
        return (self.log, *measured)

    def _of(self, stage: Stage, subject: str) -> FusionTrial:
        return FusionTrial(stage, subject, self.seed, self.settings, self.changes)

    def _policy_stages(self) -> tuple[str, ...]:
        """Stages of settings that make the policy what it is, its data aside."""
        if self.stage in ("log", "accuracy"):
            return ()
        learner = self.policy.learner
        if learner in AGENTS:
            return ("agents", learner)
        return (learner,)

    def _setting_stages(self) -> tuple[str, ...]:
        if self.stage == "log":
            return ("world", "data") if self.subject == "random" else _MIXED
        if self.stage == "policy":
            behind = _MIXED if self.policy.data == "mixed" else ("world", "data")
            return (*behind, *self._policy_stages())
        if self.stage == "evaluation":
            return (*_MIXED, *self._policy_stages(), "evaluation", "ope")
        if self.stage == "estimates":
            return (*_MIXED, *self._policy_stages(), "evaluation", "ope", "weights")
        return (*_MIXED, "cql_sac", "bo", "es", "evaluation", "ope", "weights")
