"""Hyper-parameters: the papers' values, JSON and back, and what is refused."""

import dataclasses
import json

import pytest

from mtfx.agents.config import (
    BcqConfig,
    CqlSacConfig,
    FusionAgentConfig,
    Td3Config,
    UwacTd3Config,
)

CONFIGS = (BcqConfig, Td3Config, UwacTd3Config, CqlSacConfig)


def test_defaults_are_those_of_batchrl_mtf():
    """Section 4.2, one by one."""
    config = BcqConfig()
    assert config.rho == 0.15
    assert config.gamma == 0.95
    rates = (
        config.vae_learning_rate,
        config.perturbation_learning_rate,
        config.critic_learning_rate,
    )
    assert rates == (1e-3, 1e-4, 2e-4)
    assert (config.target_update_tau, config.target_update_period) == (0.05, 10)
    assert (config.buffer_size, config.batch_size, config.train_steps) == (100_000, 256, 300_000)


def test_all_agents_share_what_the_comparison_needs_equal():
    shared = [field.name for field in dataclasses.fields(FusionAgentConfig)]
    values = {tuple(getattr(config(), name) for name in shared) for config in CONFIGS}
    assert len(values) == 1


@pytest.mark.parametrize("config", CONFIGS)
def test_a_round_trip_through_json(config):
    changed = config(hidden_units=(5, 4, 3), gamma=0.5, train_steps=9)
    again = config.from_dict(json.loads(json.dumps(changed.to_dict())))
    assert again == changed
    assert again != config()
    assert isinstance(again.hidden_units, tuple)


def test_an_unknown_key_is_named():
    with pytest.raises(ValueError, match=r"learning_rates"):
        BcqConfig.from_dict({"learning_rates": 0.1})


@pytest.mark.parametrize(
    ("config", "values", "message"),
    [
        (BcqConfig, {"hidden_units": ()}, "hidden_units needs layers"),
        (BcqConfig, {"hidden_units": (4, 0)}, "hidden_units needs layers"),
        (Td3Config, {"gamma": 1.0}, r"gamma is a discount in \[0, 1\), got 1.0"),
        (Td3Config, {"gamma": float("nan")}, "gamma is a discount"),
        (CqlSacConfig, {"batch_size": 0}, "batch_size must be at least 1, got 0"),
        (CqlSacConfig, {"train_steps": 0}, "train_steps must be at least 1"),
        (BcqConfig, {"buffer_size": -1}, "buffer_size must be at least 1"),
        (BcqConfig, {"rho": 2.5}, "rho is a distance between actions"),
        (BcqConfig, {"rho": float("nan")}, "rho is a distance between actions"),
        (BcqConfig, {"sampled_actions": 0}, "sampled_actions must be at least 1"),
        (BcqConfig, {"target_update_period": 0}, "target_update_period must be at least 1"),
        (BcqConfig, {"vae_learning_rate": 0.0}, "vae_learning_rate must be positive"),
        (BcqConfig, {"critic_learning_rate": float("nan")}, "critic_learning_rate must be"),
        (BcqConfig, {"target_update_tau": 0.0}, r"target_update_tau is a share in \(0, 1\]"),
        (BcqConfig, {"latent_dim": 0}, "latent_dim must be at least 1"),
        (BcqConfig, {"kl_weight": -0.1}, "kl_weight must be at least 0"),
        (BcqConfig, {"latent_clip": 0.0}, "latent_clip must be positive"),
        (Td3Config, {"policy_delay": 0}, "policy_delay must be at least 1"),
        (Td3Config, {"target_noise": -1.0}, "target_noise must be at least 0"),
        (UwacTd3Config, {"dropout": 0.0}, r"dropout is a share in \(0, 1\)"),
        (UwacTd3Config, {"dropout": 1.0}, r"dropout is a share in \(0, 1\)"),
        (UwacTd3Config, {"uncertainty_samples": 1}, "uncertainty_samples must be at least 2"),
        (UwacTd3Config, {"beta": 0.0}, "beta must be positive"),
        (UwacTd3Config, {"policy_delay": 0}, "policy_delay must be at least 1"),
        (CqlSacConfig, {"cql_alpha": -1.0}, "cql_alpha must be at least 0"),
        (CqlSacConfig, {"sampled_actions": 0}, "sampled_actions must be at least 1"),
        (CqlSacConfig, {"target_update_tau": 1.5}, "target_update_tau is a share"),
    ],
)
def test_what_is_out_of_range_is_refused(config, values, message):
    with pytest.raises(ValueError, match=message):
        config(**values)
