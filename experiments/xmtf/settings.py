"""What ``--set`` may change in the trials of xMTF's experiments, and what ``--scale small`` means.

As with the other trials, a setting is part of a trial's identity only where it can change the
trial's result.
"""

from __future__ import annotations

from collections.abc import Mapping

from mtfx.agents.config import TRANSFERS, XmtfConfig
from mtfx.datasets.rewards import REWARD_PRESETS
from mtfx.experiments.batchrl.settings import FusionScale
from mtfx.models.fusion.config import CellsConfig
from mtfx.setting import Setting, Value, Values, parse_value

#: Reward of seconds watched alone, which is what xMTF measures.
WATCH_TIME = "watch_time"

#: The defaults are xMTF's (Table 7) where it prints one: rates, discount, buffer, batch, λ.
SETTINGS: dict[str, Setting] = {
    # The simulator, and what is learnt and measured in it.
    "candidates": Setting("world", 100, "candidates of a request"),
    "max_views": Setting("world", 50, "views after which a session ends"),
    "gamma": Setting("world", 0.9, "discount per request", upper=0.999, zero=True),
    "eval_sessions": Setting("world", 2_000, "simulated sessions of the final figures"),
    # What everything that learns may spend: lanes * (warmup + steps) requests.
    "reward": Setting("learning", WATCH_TIME, "what is learnt from", (WATCH_TIME, *REWARD_PRESETS)),
    "lanes": Setting("learning", 50, "sessions side by side; a step takes a request of each"),
    "steps": Setting("learning", 20_000, "steps, each of one update of an agent"),
    "warmup": Setting("learning", 200, "steps of random exploration before"),
    # All agents.
    "random_deviation": Setting("agents", 0.5, "deviation of random exploration", upper=10.0),
    "noise_deviation": Setting("agents", 0.2, "deviation of noise around actions", upper=10.0),
    "hidden_units": Setting("agents", 256, "units of each of the four hidden layers"),
    "batch_size": Setting("agents", 1024, "transitions per step"),
    "buffer_size": Setting("agents", 1_000_000, "transitions kept"),
    "actor_learning_rate": Setting("agents", 1e-4, "Adam's, of actors", upper=1.0),
    "critic_learning_rate": Setting("agents", 2e-4, "Adam's, of critics", upper=1.0),
    "target_update_tau": Setting("agents", 0.005, "rate of target networks", upper=1.0),
    "curve_points": Setting("agents", 5, "times that an agent is measured in training"),
    "curve_sessions": Setting("agents", 500, "simulated sessions of each of these"),
    # Single methods.
    "rho": Setting("bcq", 0.15, "BCQ: largest perturbation (rho)", upper=2.0, zero=True),
    "vae_learning_rate": Setting("bcq", 1e-3, "BCQ: Adam's, of the generator", upper=1.0),
    "sampled_actions": Setting("bcq", 10, "BCQ: actions sampled per state, n"),
    "largest_coefficient": Setting(
        "outer", CellsConfig().high, "xMTF: largest a of the outer stage (11)", upper=100.0
    ),
    "lambda": Setting("cells", 0.4, "xMTF: weight of monotonicity (λ)", upper=1.0, zero=True),
    "transfer": Setting("cells", "bpr", "xMTF: loss that hands the order down", TRANSFERS),
    "cell_scale": Setting(
        "cells", XmtfConfig().cell_scale, "xMTF: the cells' range in its losses (16) and (17)"
    ),
    "margin": Setting(
        "cells",
        XmtfConfig().monotonicity_margin,
        "xMTF: smallest gap that (17) asks for, as a share of the cells' range",
        upper=0.99,
        zero=True,
    ),
    "inner_learning_rate": Setting("cells", 2e-4, "xMTF: Adam's, of the inner stage", upper=1.0),
    "inner_candidates": Setting(
        "cells", 100, "xMTF: candidates of a request that the inner stage learns from"
    ),
    "preparation": Setting(
        "cells", 2_000, "xMTF: steps of the inner stage alone, before the warm-up", zero=True
    ),
    "cell_units": Setting("cells", 32, "xMTF: units of each of a cell's two hidden layers"),
    "cem_population": Setting("cem", 32, "CEM: points of a generation"),
    "cem_generations": Setting("cem", 20, "CEM: generations"),
    "cem_elite_share": Setting("cem", 0.2, "CEM: points that a generation is fitted to", upper=1.0),
}

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
    # A generation's points are told apart by the mean of their sessions, and there are few.
    "cem_population": 12,
    "cem_generations": 8,
}


def parse_xmtf_setting(name: str, value: Value) -> Value:
    """The value in the setting's type; ValueError as :func:`experiments.setting.parse_value`."""
    parsed = parse_value(SETTINGS, name, value)
    if name in ("cem_population", "inner_candidates") and int(parsed) < 2:
        raise ValueError(f"{name} must be at least 2, got {parsed}")
    return parsed


def scaled_xmtf(scale: FusionScale, settings: Mapping[str, Value]) -> Values:
    """The settings of a scale, with others put over them."""
    return tuple(sorted(({**SMALL, **settings} if scale == "small" else dict(settings)).items()))
