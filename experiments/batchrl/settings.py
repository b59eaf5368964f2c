"""What ``--set`` may change in the trials of fusion policies, and what ``--scale small`` means.

As with RMTL's trials, a setting is part of a trial's identity only where it can change the trial's
result: ``mtfx.experiments.batchrl.trials`` says which stages a trial depends on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

from mtfx.setting import Setting, Value, Values, parse_value

#: The defaults are BatchRL-MTF's (section 4.2, appendix A) where the paper gives one.
SETTINGS: dict[str, Setting] = {
    # The simulator, and what actions and values mean in it.
    "candidates": Setting("world", 100, "candidates of a request"),
    "max_views": Setting("world", 50, "views after which a session ends"),
    "formula": Setting(
        "world",
        "formula2",
        "fusion function whose weights are the action",
        ("formula1", "formula2", "formula3"),
    ),
    "gamma": Setting("world", 0.95, "discount per request", upper=0.999, zero=True),
    # Exploration, and which part of its sessions is held out.
    "requests": Setting("data", 20_000, "requests of an exploration's log, at most"),
    "random_deviation": Setting("data", 0.5, "deviation of random exploration", upper=10.0),
    "noise_deviation": Setting("data", 0.1, "deviation of action noise", upper=10.0),
    "held_out": Setting("data", 0.1, "share of the log's last sessions kept for OPE", upper=0.9),
    # All agents.
    "hidden_units": Setting("agents", 256, "units of each of the two layers of a network"),
    "steps": Setting("agents", 300_000, "training steps"),
    "batch_size": Setting("agents", 256, "transitions per step"),
    "curve_points": Setting("agents", 20, "times that Q is compared with the truth"),
    "curve_sessions": Setting("agents", 500, "simulated sessions of each comparison"),
    # Single agents.
    "rho": Setting("bcq", 0.15, "BCQ: largest perturbation (rho)", upper=2.0, zero=True),
    "critic_learning_rate": Setting("bcq", 2e-4, "BCQ: Adam's, of the critics (eta)", upper=1.0),
    "vae_learning_rate": Setting("bcq", 1e-3, "BCQ: Adam's, of the generator", upper=1.0),
    "perturbation_learning_rate": Setting(
        "bcq", 1e-4, "BCQ: Adam's, of the perturbation", upper=1.0
    ),
    "sampled_actions": Setting("bcq", 10, "BCQ: actions sampled per state, n"),
    "cql_alpha": Setting("cql_sac", 5.0, "CQL: weight of the conservative loss", zero=True),
    # Searches in the simulator; the sessions of the log are shared out among the points.
    "bo_points": Setting("bo", 48, "BO: points tried, 16 of them at random"),
    "es_population": Setting("es", 32, "ES: points of a generation, even"),
    "es_generations": Setting("es", 20, "ES: generations"),
    # What policies are measured with.
    "eval_sessions": Setting("evaluation", 2_000, "simulated sessions of the true figures"),
    "ope_steps": Setting("ope", 5_000, "estimators: training steps K"),
    "ope_batch_size": Setting("ope", 512, "estimators: transitions per step m"),
    "ope_learning_rate": Setting("ope", 1e-4, "estimators: Adam's", upper=1.0),
    "ope_hidden_units": Setting("ope", 256, "estimators: units of each of the two layers"),
    "ope_actions": Setting(
        "ope", 10, "estimators: actions drawn per state, where policies are random"
    ),
    "ope_fits": Setting("ope", 1, "estimators: Q networks fitted, each on sessions drawn anew"),
    "ope_penalty": Setting("ope", 0.05, "conservative estimator: alpha, its penalty", zero=True),
    "ope_bandwidth": Setting(
        "weights", 0.3, "importance weights: noise that smooths deterministic policies", upper=10.0
    ),
}

FusionScale = Literal["small", "paper"]
FUSION_SCALES: tuple[FusionScale, ...] = get_args(FusionScale)
#: What ``--scale small`` sets; minutes instead of hours on two cores.
SMALL: dict[str, Value] = {
    "hidden_units": 64,
    "steps": 5_000,
    "curve_points": 10,
    "ope_hidden_units": 64,
}


def parse_fusion_setting(name: str, value: Value) -> Value:
    """The value in the setting's type; ValueError as :func:`experiments.setting.parse_value`."""
    parsed = parse_value(SETTINGS, name, value)
    if name == "es_population" and int(parsed) % 2:
        raise ValueError(f"es_population must be even, as points come in pairs; got {parsed}")
    if name == "bo_points" and int(parsed) <= 16:
        raise ValueError(f"bo_points must be more than the 16 random ones, got {parsed}")
    return parsed


def scaled(scale: FusionScale, settings: Mapping[str, Value]) -> Values:
    """The settings of a scale, with others put over them."""
    return tuple(sorted(({**SMALL, **settings} if scale == "small" else dict(settings)).items()))
