"""The fusion policies that experiments compare, by name."""

from __future__ import annotations

import dataclasses
from typing import Literal

LearnerName = Literal["constant", "random", "bo", "es", "bcq", "td3", "uwac_td3", "cql_sac"]
#: Those that are trained on logged transitions.
AGENTS: tuple[LearnerName, ...] = ("bcq", "td3", "uwac_td3", "cql_sac")
#: Those that search in the simulator.
SEARCHERS: tuple[LearnerName, ...] = ("bo", "es")


@dataclasses.dataclass(frozen=True)
class PolicySpec:
    """A policy, and how it comes to be.

    Attributes:
      title: As tables show it; BatchRL-MTF's name where it has one.
      learner: ``constant`` takes the same action always; ``random`` is random exploration itself;
        the others are names of agents and searches.
      data: Exploration whose log an agent learns from, ``random`` or ``mixed``.
      reward: Preset of the reward that an agent learns from.
      share: Share of the training steps that it gets.
      noise: Deviation of noise around its actions, which is not part of the training.
      number: Tells constants apart; 0 is the middle of the action's bounds, which weighs all
        predictions alike.
    """

    title: str
    learner: LearnerName
    data: Literal["random", "mixed"] = "mixed"
    reward: str = "default"
    share: float = 1.0
    noise: float = 0.0
    number: int = 0

    @property
    def trained(self) -> bool:
        """Whether it takes a trial of its own to make it."""
        return self.learner in AGENTS or self.learner in SEARCHERS


#: The columns of BatchRL-MTF's Table 1, after one without any optimisation.
TABLE_1_POLICIES: dict[str, PolicySpec] = {
    "constant": PolicySpec("constant", "constant"),
    "bo": PolicySpec("BO", "bo"),
    "es": PolicySpec("ES", "es"),
    "td3": PolicySpec("TD3", "td3"),
    "uwac_td3": PolicySpec("UWAC+TD3", "uwac_td3"),
    "cql_sac": PolicySpec("CQL+SAC", "cql_sac"),
    "bcq": PolicySpec("BatchRL-MTF", "bcq"),
    "bcq_re": PolicySpec("BatchRL-MTF-RE", "bcq", data="random"),
    "bcq_time": PolicySpec("BatchRL-MTF-Rtime", "bcq", reward="time"),
    "bcq_integrity": PolicySpec("BatchRL-MTF-Rintegrity", "bcq", reward="integrity"),
    "bcq_interaction": PolicySpec("BatchRL-MTF-Rinteraction", "bcq", reward="interaction"),
}

#: More of differing quality, for estimators to tell apart: hardly trained ones, noisy ones, and
#: constants that the seed draws.
FURTHER_POLICIES: dict[str, PolicySpec] = {
    "bcq_early": PolicySpec("BCQ, 10% trained", "bcq", share=0.1),
    "td3_early": PolicySpec("TD3, 10% trained", "td3", share=0.1),
    "cql_sac_early": PolicySpec("CQL+SAC, 10% trained", "cql_sac", share=0.1),
    "bcq_noise": PolicySpec("BCQ, noise 0.3", "bcq", noise=0.3),
    "bcq_much_noise": PolicySpec("BCQ, noise 1", "bcq", noise=1.0),
    "random": PolicySpec("random", "random"),
    "constant_1": PolicySpec("constant 1", "constant", number=1),
    "constant_2": PolicySpec("constant 2", "constant", number=2),
    "constant_3": PolicySpec("constant 3", "constant", number=3),
}

POLICIES: dict[str, PolicySpec] = {**TABLE_1_POLICIES, **FURTHER_POLICIES}

#: Those that the estimators of ``ope-accuracy`` are asked about; all are of the default reward.
ACCURACY_POLICIES: tuple[str, ...] = tuple(
    name for name, policy in POLICIES.items() if policy.reward == "default"
)


def policy_spec(name: str) -> PolicySpec:
    """The policy of a name; raises ValueError naming the policies if there is none."""
    if name not in POLICIES:
        raise ValueError(f"no policy {name!r}; there are: {', '.join(POLICIES)}")
    return POLICIES[name]


def trained_as(name: str) -> str:
    """The policy whose training serves this one: itself, or the one it adds noise to."""
    spec = policy_spec(name)
    if not spec.noise:
        return name
    bare = dataclasses.replace(spec, noise=0.0, title="")
    for other, candidate in POLICIES.items():
        if dataclasses.replace(candidate, title="") == bare:
            return other
    raise ValueError(f"policy {name} adds noise to none that is trained")
