"""Settings of the estimators, as plain data."""

from __future__ import annotations

import dataclasses

from mtfx.config import Config


class EstimatorConfig(Config):
    """Base of the estimators' settings."""

    @property
    def gamma(self) -> float:
        """Discount of a session's later rewards."""
        raise NotImplementedError


@dataclasses.dataclass(frozen=True)
class BootstrapConfig(Config):
    """The percentile bootstrap of every estimator's interval.

    Attributes:
      resamples: Bootstrap samples; 1,000 is usual for percentiles (Efron and Tibshirani, 1993).
      confidence: Probability that the interval should cover the mean.
    """

    resamples: int = 1000
    confidence: float = 0.95

    def __post_init__(self) -> None:
        if self.resamples < 2:
            raise ValueError(f"resamples must be at least 2, got {self.resamples}")
        if not 0.0 < self.confidence < 1.0:
            raise ValueError(f"confidence must lie between 0 and 1, got {self.confidence}")


@dataclasses.dataclass(frozen=True)
class FittedQConfig(EstimatorConfig):
    """Fitted Q evaluation; the defaults are BatchRL-MTF's appendix A where it gives one.

    Attributes:
      gamma: Discount gamma.
      steps: Training steps K, a minibatch each.
      batch_size: Transitions of a minibatch, m.
      learning_rate: Adam's, at the first step.
      cosine_decay: Let the rate fall to 0 along a cosine (Loshchilov and Hutter, 2017). Not in
        BatchRL-MTF; at a constant rate the value of a state such as a session's first, which looks
        like no other, swings by several percent between the last hundreds of steps.
      hidden_units: Hidden ReLU layers of the Q network. The paper says MLP and gives no sizes.
      target_update: Share of the Q network that moves into the target network after every step.
        1 is Algorithm 2 to the letter: the target is the network of the step before. The default
        keeps the regression's targets steadier and still forgets them within 20 steps.
      normalise_states: Standardise states by the data's mean and standard deviation. Not in
        BatchRL-MTF; xMTF normalises observations too.
      normalise_returns: Let the network learn values in units of the logged returns' standard
        deviation around their mean, so that a fit begins at the data's value and not at 0. Not in
        BatchRL-MTF; it changes how fast a fit arrives, not where its loss is least.
      num_actions: Actions drawn in each state from a policy that is stochastic. The sum over
        actions of (9) and the expectations of (10) are means over them. One that gives the same
        action twice counts as deterministic and is asked once.
      num_initial_states: Most initial states that (9) is a mean over, n.
      num_fits: Networks fitted. From two on, each is fitted from a seed of its own on sessions
        drawn with replacement; the value is the mean over them, and the interval holds how much
        they differ.
    """

    gamma: float = 0.95
    steps: int = 5000
    batch_size: int = 512
    learning_rate: float = 1e-4
    cosine_decay: bool = True
    hidden_units: tuple[int, ...] = (256, 256)
    target_update: float = 0.05
    normalise_states: bool = True
    normalise_returns: bool = True
    num_actions: int = 10
    num_initial_states: int = 5000
    num_fits: int = 1

    def __post_init__(self) -> None:
        _check_gamma(self.gamma)
        for name in ("steps", "batch_size", "num_actions", "num_fits"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.num_initial_states < 2:
            raise ValueError(
                f"num_initial_states must be at least 2, got {self.num_initial_states}: "
                "an interval needs two"
            )
        if not self.learning_rate > 0:
            raise ValueError(f"learning_rate must be positive, got {self.learning_rate}")
        if not 0.0 < self.target_update <= 1.0:
            raise ValueError(f"target_update is a rate in (0, 1], got {self.target_update}")
        if any(units < 1 for units in self.hidden_units):
            raise ValueError(f"layers need at least one unit, got {self.hidden_units}")


@dataclasses.dataclass(frozen=True)
class ConservativeConfig(FittedQConfig):
    """Conservative-OPEstimator; the defaults are BatchRL-MTF's appendix A.

    Attributes:
      penalty: alpha of (10). The regulariser is linear in Q and the TD term is quadratic, so what
        alpha does depends on the scale of rewards: multiply rewards by c, and alpha c penalises as
        before. BatchRL-MTF prints 5e-4 and not the scale of its rewards. How much is needed depends
        on the log, too: with rewards of our presets and 2,000 transitions, 5e-4 overrated 15 of 17
        policies, up to twice, and 0.05 three; with 100,000 transitions 0.002 overrated none, and
        0.01 put those beyond the log far below the truth (one log each). With 500,000 transitions
        a network of 16 units kept the order at 0.01 (``docs/ope-results.md``).
    """

    penalty: float = 0.05

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.penalty >= 0:
            raise ValueError(f"penalty must not be negative, got {self.penalty}")


@dataclasses.dataclass(frozen=True)
class ImportanceSamplingConfig(EstimatorConfig):
    """Per-decision importance sampling.

    Attributes:
      gamma: Discount gamma, BatchRL-MTF's.
      self_normalised: Divide by the sum of the weights of a step and not by the number of sessions:
        biased, consistent, and of far lower variance (Thomas, 2015).
      max_weight: Weights above are lowered to it: biased downwards where rewards are positive, of
        lower variance (Ionides, 2008). None leaves them.
      bandwidth: Standard deviation of the Gaussian that smooths a policy without densities, in
        units of the actions, which lie in [-1, 1]. None refuses such a policy. A deterministic
        policy cannot be weighted otherwise, as its density at a logged action is 0 or infinite
        (Kallus and Zhou, 2018); a small bandwidth has high variance, a large one is another policy.
    """

    gamma: float = 0.95
    self_normalised: bool = True
    max_weight: float | None = None
    bandwidth: float | None = None

    def __post_init__(self) -> None:
        _check_gamma(self.gamma)
        for name in ("max_weight", "bandwidth"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"{name} must be positive or None, got {value}")


@dataclasses.dataclass(frozen=True)
class DoublyRobustConfig(EstimatorConfig):
    """Per-decision doubly robust estimation.

    Attributes:
      weighting: The importance weights, and the discount.
      fitted_q: The control variate. Its discount must be ``weighting``'s; ``num_fits`` and
        ``num_initial_states`` are not used.
      folds: Parts of the sessions. The Q that corrects a part is fitted on the others, so that it
        is independent of the part's rewards and the estimate stays unbiased (Kallus and Uehara,
        2020). 1 fits once on all sessions: faster, and biased by what Q has learnt by heart.
    """

    weighting: ImportanceSamplingConfig = dataclasses.field(
        default_factory=ImportanceSamplingConfig
    )
    fitted_q: FittedQConfig = dataclasses.field(default_factory=FittedQConfig)
    folds: int = 2

    def __post_init__(self) -> None:
        if self.folds < 1:
            raise ValueError(f"folds must be at least 1, got {self.folds}")
        if self.weighting.gamma != self.fitted_q.gamma:
            raise ValueError(
                f"one estimate has one discount: weighting.gamma is {self.weighting.gamma}, "
                f"fitted_q.gamma is {self.fitted_q.gamma}"
            )

    @property
    def gamma(self) -> float:
        """The discount of both parts."""
        return self.weighting.gamma


def _check_gamma(gamma: float) -> None:
    if not 0.0 <= gamma <= 1.0:
        raise ValueError(f"gamma is a discount in [0, 1], got {gamma}")
