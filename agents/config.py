"""Hyper-parameters of the agents that learn fusion policies from logs, as plain data.

Each algorithm has its own class; ``mtfx.agents.registry`` says which belongs to which name.
What BatchRL-MTF (Zhang et al., 2022) prints is taken from its section 4.2; it prints nothing about
its baselines, whose values are those of their own papers.
"""

from __future__ import annotations

import dataclasses
from typing import Literal, get_args

from mtfx.config import Config
from mtfx.models.fusion.config import CellsConfig

#: How a log is explored, see ``mtfx.agents.exploration``; BatchRL-MTF section 3.3 mixes.
EXPLORATIONS = ("mixed", "random", "noise")
OuterStageName = Literal["actor_critic", "batch_constrained"]
OUTER_STAGES: tuple[OuterStageName, ...] = get_args(OuterStageName)
TransferName = Literal["bpr", "hinge"]
TRANSFERS: tuple[TransferName, ...] = get_args(TransferName)


@dataclasses.dataclass(frozen=True)
class FusionAgentConfig(Config):
    """What all algorithms share.

    Attributes:
      hidden_units: ReLU layers of every network. BatchRL-MTF says "MLP" only; 256 and 256 are those
        of the published codes of TD3, SAC and CQL.
      gamma: Discount of the session MDP (BatchRL-MTF).
      batch_size: M of Algorithm 1 (BatchRL-MTF).
      train_steps: Ep of Algorithm 1 (BatchRL-MTF).
      buffer_size: Transitions that are kept, the latest ones (BatchRL-MTF).
    """

    hidden_units: tuple[int, ...] = (256, 256)
    gamma: float = 0.95
    batch_size: int = 256
    train_steps: int = 300_000
    buffer_size: int = 100_000

    def __post_init__(self) -> None:
        if not self.hidden_units or min(self.hidden_units) < 1:
            raise ValueError(f"hidden_units needs layers of at least 1, got {self.hidden_units}")
        if not 0 <= self.gamma < 1:
            raise ValueError(f"gamma is a discount in [0, 1), got {self.gamma}")
        self._check_at_least(1, "batch_size", "train_steps", "buffer_size")

    def _check_at_least(self, least: int, *names: str) -> None:
        for name in names:
            if not getattr(self, name) >= least:
                raise ValueError(f"{name} must be at least {least}, got {getattr(self, name)}")

    def _check_positive(self, *names: str) -> None:
        for name in names:
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")

    def _check_share(self, *names: str) -> None:
        for name in names:
            if not 0 < getattr(self, name) <= 1:
                raise ValueError(f"{name} is a share in (0, 1], got {getattr(self, name)}")


@dataclasses.dataclass(frozen=True)
class BcqConfig(FusionAgentConfig):
    """BCQ as BatchRL-MTF trains it (section 4.2), actions in [-1, 1].

    Attributes:
      rho: The largest perturbation.
      sampled_actions: n of (4) and (7); 10 as in BCQ's paper (Fujimoto et al., 2019).
      vae_learning_rate: Adam's, of G.
      perturbation_learning_rate: Adam's, of P.
      critic_learning_rate: Adam's, of Q.
      target_update_tau: η_t.
      target_update_period: L.
      latent_dim: Of z; twice the action's if None, as in BCQ's paper.
      kl_weight: What the KL term of (3) is multiplied with, where both terms are sums over
        dimensions. (3) prints none, that is 1, with which the generator ignores z and gives only
        the mean action: a squared error is the likelihood of a Gaussian of variance 1/2, and no
        component with less variance than that is worth encoding (Lucas et al., 2019), but actions
        in [-1, 1] have less. 1/4 is what BCQ's published code amounts to.
      latent_clip: z is drawn from N(0, 1) and clipped to plus and minus this; None does not clip,
        as (3) and (4) print it. BCQ's published code has 0.5, which keeps to the middle of the
        data.
    """

    rho: float = 0.15
    sampled_actions: int = 10
    vae_learning_rate: float = 1e-3
    perturbation_learning_rate: float = 1e-4
    critic_learning_rate: float = 2e-4
    target_update_tau: float = 0.05
    target_update_period: int = 10
    latent_dim: int | None = None
    kl_weight: float = 0.25
    latent_clip: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.rho <= 2:
            raise ValueError(f"rho is a distance between actions, in [0, 2]; got {self.rho}")
        self._check_at_least(1, "sampled_actions", "target_update_period")
        self._check_positive(
            "vae_learning_rate", "perturbation_learning_rate", "critic_learning_rate"
        )
        self._check_share("target_update_tau")
        if self.latent_dim is not None:
            self._check_at_least(1, "latent_dim")
        self._check_at_least(0, "kl_weight")
        if self.latent_clip is not None:
            self._check_positive("latent_clip")


@dataclasses.dataclass(frozen=True)
class Td3Config(FusionAgentConfig):
    """TD3 (Fujimoto et al., "Addressing Function Approximation Error", 2018), its Table 3.

    Attributes:
      actor_learning_rate: Adam's.
      critic_learning_rate: Adam's.
      target_update_tau: τ, of both targets.
      policy_delay: d: steps of the critics for one of the actor and of the targets.
      target_noise: Standard deviation of the noise on target actions.
      target_noise_clip: c, its bound.
    """

    actor_learning_rate: float = 1e-3
    critic_learning_rate: float = 1e-3
    target_update_tau: float = 0.005
    policy_delay: int = 2
    target_noise: float = 0.2
    target_noise_clip: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_positive("actor_learning_rate", "critic_learning_rate")
        self._check_share("target_update_tau")
        self._check_at_least(1, "policy_delay")
        self._check_at_least(0, "target_noise", "target_noise_clip")


@dataclasses.dataclass(frozen=True)
class UwacTd3Config(Td3Config):
    """TD3 with the weights of UWAC (Wu et al., "Uncertainty Weighted Actor-Critic", 2021).

    Attributes:
      dropout: Share of the critics' hidden units dropped, in training and for the uncertainty.
      uncertainty_samples: Forward passes with dropout whose variance is the uncertainty.
      beta: β of the weight β / Var[Q]; 0.5 in UWAC's published code.
      max_weight: Weights are clipped to [0, this]; 1 in UWAC's published code.
    """

    dropout: float = 0.1
    uncertainty_samples: int = 10
    beta: float = 0.5
    max_weight: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.dropout < 1:
            raise ValueError(f"dropout is a share in (0, 1), got {self.dropout}")
        self._check_at_least(2, "uncertainty_samples")
        self._check_positive("beta", "max_weight")


@dataclasses.dataclass(frozen=True)
class CqlSacConfig(FusionAgentConfig):
    """CQL on SAC (Kumar et al., "Conservative Q-Learning", 2020), its CQL(H) and appendix F.

    Attributes:
      actor_learning_rate: Adam's.
      critic_learning_rate: Adam's.
      entropy_learning_rate: Adam's, of SAC's temperature.
      target_update_tau: τ of the target critics.
      cql_alpha: The weight of the conservative loss.
      sampled_actions: Actions from the policy, and as many uniform ones, that stand for all.
      entropy_in_target: Whether the TD target has SAC's entropy term; CQL's code has none.
    """

    actor_learning_rate: float = 1e-4
    critic_learning_rate: float = 3e-4
    entropy_learning_rate: float = 1e-4
    target_update_tau: float = 0.005
    cql_alpha: float = 5.0
    sampled_actions: int = 10
    entropy_in_target: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_positive("actor_learning_rate", "critic_learning_rate", "entropy_learning_rate")
        self._check_share("target_update_tau")
        self._check_at_least(0, "cql_alpha")
        self._check_at_least(1, "sampled_actions")


@dataclasses.dataclass(frozen=True)
class XmtfConfig(FusionAgentConfig):
    """xMTF's two-stage hybrid training (Cao et al., 2025), its appendix B.

    Attributes:
      actor_learning_rate: Adam's, of ξ (xMTF).
      critic_learning_rate: Adam's, of φ (xMTF).
      inner_learning_rate: Adam's, of θᴵ (xMTF's "supervised learning").
      monotonicity_weight: λ of (18) (xMTF).
      transfer: The loss (16) that hands the outer stage's order down. ``bpr`` is xMTF's. It never
        ends: it widens gaps between candidates whose order is right. ``hinge``, ours, is 0 where
        the order is learnt.
      cell_scale: c. (16) and (17) are of cells in [0, c], c times the [0, 1] that is scored; with
        coefficients a / c that is the same fusion. xMTF leaves its cells' range open. (16) takes
        the sigmoid of gaps between sums of K cells: at c = 1 these are so small that it is least
        not in the right order, but where cells are steps (``docs/xmtf.md``).
      monotonicity_margin: Smallest gap that (17) asks for, as a share of the cells' range. xMTF has
        none, and a flat cell has no loss then: it does not tell candidates apart by its prediction
        any more, and as (11) multiplies, no coefficient brings it back (``docs/xmtf.md``).
      target_update_tau: Rate of both targets after each step. Not printed; TD3's.
      cells: The inner stage's.
      inner_stage: False is the ablation "xMTF without inner stage".
      outer_stage: False is the ablation "xMTF without outer stage": a = 0, nothing learned by RL.
      outer: ``actor_critic`` is xMTF's (12)-(14). ``batch_constrained`` takes BCQ's place for it,
        for logs that cannot be added to: its actions stay near the logged ones.
      rho: The largest perturbation of ``batch_constrained``; see :class:`BcqConfig`, as of the two
        below. Its perturbation learns at the actor's rate.
      sampled_actions: n.
      vae_learning_rate: Adam's, of the generator.
      warmup_steps: First steps, in which the inner stage is fitted to the identity instead of (18).
        An offline log's actions acted on the predictions themselves, so that with cells that begin
        anywhere else the critic's values are of another fusion. Ours; xMTF, whose log is renewed
        while it learns, has none.
      inner_candidates: Candidates of a request that the inner stage learns from offline, drawn at
        random; 0 takes all, as in xMTF. Its cost grows with their square.
    """

    # xMTF prints "a five-layer MLP" without sizes: four hidden layers and the output.
    hidden_units: tuple[int, ...] = (256, 256, 256, 256)
    gamma: float = 0.9
    batch_size: int = 1024
    buffer_size: int = 1_000_000
    actor_learning_rate: float = 1e-4
    critic_learning_rate: float = 2e-4
    inner_learning_rate: float = 2e-4
    monotonicity_weight: float = 0.4
    transfer: TransferName = "bpr"
    cell_scale: float = 10.0
    monotonicity_margin: float = 0.03
    target_update_tau: float = 0.005
    cells: CellsConfig = dataclasses.field(default_factory=CellsConfig)
    inner_stage: bool = True
    outer_stage: bool = True
    outer: OuterStageName = "actor_critic"
    rho: float = 0.15
    sampled_actions: int = 10
    vae_learning_rate: float = 1e-3
    warmup_steps: int = 0
    inner_candidates: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_positive(
            *("actor_learning_rate", "critic_learning_rate", "inner_learning_rate", "cell_scale")
        )
        self._check_at_least(0, "warmup_steps", "inner_candidates")
        if self.outer not in OUTER_STAGES:
            raise ValueError(f"no outer stage {self.outer!r}; there are: {', '.join(OUTER_STAGES)}")
        if self.transfer not in TRANSFERS:
            raise ValueError(f"no transfer {self.transfer!r}; there are: {', '.join(TRANSFERS)}")
        if self.outer == "batch_constrained" and not self.outer_stage:
            raise ValueError("outer='batch_constrained' needs outer_stage=True")
        self.batch_constraint()  # which checks its settings
        self._check_share("target_update_tau")
        if not 0 <= self.monotonicity_weight <= 1:
            raise ValueError(
                f"monotonicity_weight is a share in [0, 1], got {self.monotonicity_weight}"
            )
        if not 0 <= self.monotonicity_margin < 1:
            raise ValueError(
                "monotonicity_margin is a share in [0, 1) of the cells' range, got "
                f"{self.monotonicity_margin}"
            )
        if not (self.inner_stage or self.outer_stage):
            raise ValueError("without inner_stage and outer_stage nothing is learned: keep one")

    def batch_constraint(self) -> BcqConfig:
        """BCQ's settings for a batch-constrained outer stage; raises ValueError if one is wrong."""
        return BcqConfig(
            hidden_units=self.hidden_units,
            gamma=self.gamma,
            batch_size=self.batch_size,
            train_steps=self.train_steps,
            buffer_size=self.buffer_size,
            rho=self.rho,
            sampled_actions=self.sampled_actions,
            vae_learning_rate=self.vae_learning_rate,
            perturbation_learning_rate=self.actor_learning_rate,
            critic_learning_rate=self.critic_learning_rate,
            target_update_tau=self.target_update_tau,
            target_update_period=1,
        )
