"""One piece of work in an experiment with fusion policies: a log, a training, a measurement.

Trials share work. The logs of a seed, and BatchRL-MTF-RE, around whose actions the second log
explores, are trials of their own that all others of the seed require; a policy is trained once, and
measured by whichever experiments ask for it.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from typing import Any, Literal, get_args

from mtfx.experiments.batchrl.policies import (
    ACCURACY_POLICIES,
    AGENTS,
    PolicySpec,
    policy_spec,
    trained_as,
)
from mtfx.experiments.batchrl.settings import SETTINGS
from mtfx.setting import Values, overrides

#: ``log``: sessions under an exploration, ``random`` or ``mixed``. ``policy``: training or search.
#: ``evaluation``: the true figures in the simulator, the conservative estimate, and the actions.
#: ``estimates``: what the other estimators say of a policy. ``accuracy``: how an estimator agrees
#: with the truth over all policies.
Stage = Literal["log", "policy", "evaluation", "estimates", "accuracy"]
STAGES: tuple[Stage, ...] = get_args(Stage)
#: As ``mtfx.evaluation.ope.registry`` names them, which imports TensorFlow.
ESTIMATOR_NAMES = ("conservative", "fqe", "importance_sampling", "doubly_robust")
LOGS = ("random", "mixed")
#: The policy around whose actions the mixed exploration adds noise.
EXPLORED = "bcq_re"

#: Stages of settings behind the mixed log.
_MIXED = ("world", "data", "agents", "bcq")


@dataclasses.dataclass(frozen=True)
class FusionTrial:
    """A trial of the fusion experiments.

    Two trials that must give the same result are equal: settings that do not concern it, or that
    have their default value, are left out.

    Attributes:
      stage: One of ``STAGES``.
      subject: Name of the log, the policy or the estimator.
      seed: Seed of everything random.
      settings: Overrides by name; see ``mtfx.experiments.batchrl.settings``.
      changes: Overrides that concern only this policy, not those whose data it uses.
    """

    stage: Stage
    subject: str
    seed: int
    settings: Values = ()
    changes: Values = ()

    def __post_init__(self) -> None:
        if self.stage not in STAGES:
            raise ValueError(f"no stage {self.stage!r}; there are: {', '.join(STAGES)}")
        if self.stage == "log" and self.subject not in LOGS:
            raise ValueError(f"no log {self.subject!r}; there are: {', '.join(LOGS)}")
        if self.stage == "accuracy" and self.subject not in ESTIMATOR_NAMES:
            names = ", ".join(ESTIMATOR_NAMES)
            raise ValueError(f"no estimator {self.subject!r}; there are: {names}")
        if self.stage == "policy" and not policy_spec(self.subject).trained:
            raise ValueError(f"policy {self.subject} needs no training")
        if self.seed < 0:
            raise ValueError(f"a seed must not be negative, got {self.seed}")
        given = overrides(SETTINGS, self._setting_stages(), self.settings)
        object.__setattr__(self, "settings", given)
        of_policy = overrides(SETTINGS, self._policy_stages(), self.changes)
        changes = tuple(change for change in of_policy if change not in given)
        # A change back to the default matters where the settings say otherwise.
        defaults = tuple(
            (name, SETTINGS[name].default)
            for name, value in sorted(dict(self.changes).items())
            if name in dict(given) and value == SETTINGS[name].default
        )
        object.__setattr__(self, "changes", tuple(sorted((*changes, *defaults))))

    @property
    def policy(self) -> PolicySpec:
        """What the subject is, if it is a policy; ValueError otherwise."""
        return policy_spec(self.subject)

    @property
    def key(self) -> str:
        """Unique, readable and safe as a directory's name; settings come as a digest."""
        digest = ""
        if self.settings or self.changes:
            text = json.dumps([self.settings, self.changes])
            digest = "-" + hashlib.sha256(text.encode()).hexdigest()[:8]
        return f"{self.stage}-{self.subject}-seed{self.seed}{digest}"

    @property
    def method(self) -> str:
        """Trials of one stage and subject take about as long as one another."""
        return f"{self.stage} {self.subject}"

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

    @property
    def requires(self) -> tuple[str, ...]:
        """Keys of the trials that must be done first."""
        return tuple(trial.key for trial in self.required_trials)

    def setting(self, name: str) -> Any:
        """The value of a setting, of its default's type; KeyError if there is no such one."""
        return {**dict(self.settings), **dict(self.changes)}.get(name, SETTINGS[name].default)

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
        return tuple(sorted({setting.stage for setting in SETTINGS.values()}))
