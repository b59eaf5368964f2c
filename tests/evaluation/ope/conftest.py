"""The finite MDP, as a module; tests are no package."""

import importlib.util
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def finite():
    name = "ope_finite_mdp"
    path = Path(__file__).with_name("finite_mdp.py")
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def log(finite):
    """An MDP, its behaviour policy, a policy to value, and 1,500 logged sessions."""
    mdp, behaviour, target = finite.random_mdp(), finite.soft_policy(1), finite.soft_policy(7)
    return mdp, behaviour, target, mdp.log(behaviour, 1500, seed=0)
