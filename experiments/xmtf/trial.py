"""Trials of xMTF's experiments: a method that learns in the simulator, and its settings.

All that the experiments show of a method is recorded by the trial that trains it, so that tables,
the sweep of λ and the drawings of the cells share their trials.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Annotated, Literal

from mtfx.agents.config import BcqConfig, TransferName, XmtfConfig
from mtfx.config import override
from mtfx.experiments.engine.trial import Trial
from mtfx.models.fusion.config import CellFamily, CellsConfig
from mtfx.setting import Concerns, TrialConfig, Value, Values, changes

#: ``constant`` weighs all predictions alike; ``expected`` learns nothing and shows what is expected
#: to be watched longest; ``cem`` searches one weight vector for everybody.
OnlineLearner = Literal["constant", "expected", "cem", "td3", "bcq", "xmtf"]
#: Those that are trained on transitions while they act.
ONLINE_AGENTS: tuple[OnlineLearner, ...] = ("td3", "bcq", "xmtf")


@dataclasses.dataclass(frozen=True)
class OnlineMethod:
    """A method that fuses predictions, and how it learns to.

    Attributes:
      title: As tables show it; xMTF's name where it has one.
      learner: What learns.
      formula: Whose weights are the action; of no meaning to ``xmtf``.
      cells: Family of xMTF's cells.
      inner_stage: False is the ablation without cells.
      outer_stage: False is the ablation without reinforcement learning.
    """

    title: str
    learner: OnlineLearner
    formula: str = "formula2"
    cells: CellFamily = "mlp"
    inner_stage: bool = True
    outer_stage: bool = True

    @property
    def has_cells(self) -> bool:
        """Whether it learns monotonic functions."""
        return self.learner == "xmtf" and self.inner_stage


METHODS: dict[str, OnlineMethod] = {
    "equal": OnlineMethod("equal weights", "constant"),
    "cem_1": OnlineMethod("CEM-1", "cem", "formula1"),
    "cem_2": OnlineMethod("CEM-2", "cem", "formula2"),
    "td3_1": OnlineMethod("TD3-1", "td3", "formula1"),
    "td3_2": OnlineMethod("TD3-2", "td3", "formula2"),
    "td3_3": OnlineMethod("TD3-3", "td3", "formula3"),
    "batchrl_1": OnlineMethod("BatchRL-MTF-1", "bcq", "formula1"),
    "batchrl_2": OnlineMethod("BatchRL-MTF-2", "bcq", "formula2"),
    "xmtf": OnlineMethod("xMTF", "xmtf"),
    "xmtf_no_outer": OnlineMethod("xMTF w/o outer", "xmtf", outer_stage=False),
    "xmtf_no_inner": OnlineMethod("xMTF w/o inner", "xmtf", inner_stage=False),
    "xmtf_basis": OnlineMethod("xMTF, basis cells", "xmtf", cells="basis"),
    "longest": OnlineMethod("longest expected", "expected"),
}


def online_method(name: str) -> OnlineMethod:
    """The method of a name; raises ValueError naming the methods if there is none."""
    if name not in METHODS:
        raise ValueError(f"no method {name!r}; there are: {', '.join(METHODS)}")
    return METHODS[name]


#: Reward of seconds watched alone, which is what xMTF measures; the others are presets of
#: ``mtfx.datasets.rewards``.
WATCH_TIME = "watch_time"
RewardName = Literal["watch_time", "default", "time", "integrity", "interaction"]


@dataclasses.dataclass(frozen=True)
class XmtfSettings(TrialConfig):
    """What ``--set`` may change; the defaults are xMTF's (Table 7) where it prints one.

    What everything that learns may spend is lanes * (warmup + steps) requests.

    Attributes:
      candidates: Candidates of a request.
      max_views: Views after which a session ends.
      gamma: Discount per request.
      eval_sessions: Simulated sessions of the final figures.
      reward: What is learnt from.
      lanes: Sessions side by side; a step takes a request of each.
      steps: Steps, each of one update of an agent.
      warmup: Steps of random exploration before.
      random_deviation: Deviation of random exploration.
      noise_deviation: Deviation of noise around actions.
      hidden_units: Units of each of the four hidden layers.
      batch_size: Transitions per step.
      buffer_size: Transitions kept.
      actor_learning_rate: Adam's, of actors.
      critic_learning_rate: Adam's, of critics.
      target_update_tau: Rate of target networks.
      curve_points: Times that an agent is measured in training.
      curve_sessions: Simulated sessions of each of these.
      rho: BCQ: largest perturbation (rho).
      vae_learning_rate: BCQ: Adam's, of the generator.
      sampled_actions: BCQ: actions sampled per state, n.
      largest_coefficient: xMTF: largest a of the outer stage (11).
      lambda_: xMTF: weight of monotonicity (λ).
      transfer: xMTF: loss that hands the order down.
      cell_scale: xMTF: the cells' range in its losses (16) and (17).
      margin: xMTF: smallest gap that (17) asks for, as a share of the cells' range.
      inner_learning_rate: xMTF: Adam's, of the inner stage.
      inner_candidates: xMTF: candidates of a request that the inner stage learns from.
      preparation: xMTF: steps of the inner stage alone, before the warm-up.
      cell_units: xMTF: units of each of a cell's two hidden layers.
      cem_population: CEM: points of a generation.
      cem_generations: CEM: generations.
      cem_elite_share: CEM: points that a generation is fitted to.
    """

    candidates: Annotated[int, Concerns("world")] = 100
    max_views: Annotated[int, Concerns("world")] = 50
    gamma: Annotated[float, Concerns("world", 0.999, zero=True)] = XmtfConfig.gamma
    eval_sessions: Annotated[int, Concerns("world")] = 2_000
    reward: Annotated[RewardName, Concerns("learning")] = WATCH_TIME
    lanes: Annotated[int, Concerns("learning")] = 50
    steps: Annotated[int, Concerns("learning")] = 20_000
    warmup: Annotated[int, Concerns("learning")] = 200
    random_deviation: Annotated[float, Concerns("agents", 10.0)] = 0.5
    noise_deviation: Annotated[float, Concerns("agents", 10.0)] = 0.2
    hidden_units: Annotated[int, Concerns("agents")] = 256
    batch_size: Annotated[int, Concerns("agents")] = XmtfConfig.batch_size
    buffer_size: Annotated[int, Concerns("agents")] = 1_000_000
    actor_learning_rate: Annotated[float, Concerns("agents", 1.0)] = XmtfConfig.actor_learning_rate
    critic_learning_rate: Annotated[float, Concerns("agents", 1.0)] = (
        XmtfConfig.critic_learning_rate
    )
    target_update_tau: Annotated[float, Concerns("agents", 1.0)] = XmtfConfig.target_update_tau
    curve_points: Annotated[int, Concerns("agents")] = 5
    curve_sessions: Annotated[int, Concerns("agents")] = 500
    rho: Annotated[float, Concerns("bcq", 2.0, zero=True)] = BcqConfig.rho
    vae_learning_rate: Annotated[float, Concerns("bcq", 1.0)] = BcqConfig.vae_learning_rate
    sampled_actions: Annotated[int, Concerns("bcq")] = BcqConfig.sampled_actions
    largest_coefficient: Annotated[float, Concerns("outer", 100.0)] = CellsConfig.high
    lambda_: Annotated[float, Concerns("cells", 1.0, zero=True)] = XmtfConfig.monotonicity_weight
    transfer: Annotated[TransferName, Concerns("cells")] = "bpr"
    cell_scale: Annotated[float, Concerns("cells")] = XmtfConfig.cell_scale
    margin: Annotated[float, Concerns("cells", 0.99, zero=True)] = XmtfConfig.monotonicity_margin
    inner_learning_rate: Annotated[float, Concerns("cells", 1.0)] = XmtfConfig.inner_learning_rate
    inner_candidates: Annotated[int, Concerns("cells")] = 100
    preparation: Annotated[int, Concerns("cells", zero=True)] = 2_000
    cell_units: Annotated[int, Concerns("cells")] = 32
    cem_population: Annotated[int, Concerns("cem")] = 32
    cem_generations: Annotated[int, Concerns("cem")] = 20
    cem_elite_share: Annotated[float, Concerns("cem", 1.0)] = 0.2

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("cem_population", "inner_candidates"):
            if getattr(self, name) < 2:
                raise ValueError(f"{name} must be at least 2, got {getattr(self, name)}")


#: What ``--scale small`` sets: a trial takes less than a minute on one core. Rates are above the
#: paper's, as there are so few steps.
SMALL: dict[str, Value] = {
    "lanes": 32,
    "steps": 1_000,
    "warmup": 300,
    "hidden_units": 64,
    "batch_size": 256,
    "actor_learning_rate": 3e-4,
    "critic_learning_rate": 1e-3,
    "inner_learning_rate": 2e-3,
    "target_update_tau": 0.02,
    "inner_candidates": 20,
    "preparation": 300,
    "cell_units": 16,
    "curve_points": 2,
    # A generation's points are distinguished by the mean of their sessions, and there are few.
    "cem_population": 12,
    "cem_generations": 8,
}


@dataclasses.dataclass(frozen=True)
class XmtfTrial(Trial):
    """A trial of xMTF's experiments; every one explores on its own, and requires no other.

    Attributes:
      subject: Name of the method, see ``METHODS``.
      seed: Seed of everything random.
      settings: Those of :class:`XmtfSettings` that differ from the default.
    """

    subject: str
    seed: int
    settings: Values = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        given = changes(XmtfSettings(), _stages(self.spec), self.settings)
        object.__setattr__(self, "settings", given)

    @functools.cached_property
    def config(self) -> XmtfSettings:
        """All settings."""
        return override(XmtfSettings(), dict(self.settings))

    @property
    def spec(self) -> OnlineMethod:
        """What the subject is."""
        return online_method(self.subject)

    @property
    def name(self) -> str:
        """See :class:`Trial`."""
        return f"online-{self.subject}"

    @property
    def work(self) -> str:
        """See :class:`Trial`."""
        return f"online {self.subject}"


def _stages(spec: OnlineMethod) -> tuple[str, ...]:
    """Stages of settings that a method's result depends on."""
    if spec.learner in ("constant", "expected"):
        return ("world",)
    if spec.learner not in ONLINE_AGENTS:
        return ("world", "learning", spec.learner)
    own = [spec.learner]
    if spec.has_cells:
        own.append("cells")
    if spec.learner == "xmtf" and spec.outer_stage:
        own.append("outer")
    return ("world", "learning", "agents", *own)
