"""An estimator that is added by one module and one line, and then decides on a blessing."""

import dataclasses

import numpy as np
import pytest

import mtfx.evaluation.ope
from mtfx.components.policy_evaluator.config import PolicyEvaluatorConfig, default_estimators
from mtfx.evaluation.ope.data import OfflineData
from mtfx.evaluation.ope.registry import ESTIMATORS, EstimatorEntry, build_estimator
from mtfx.pipelines.fusion_config import FusionPipelineConfig

MODULE = '''
import dataclasses

from mtfx.evaluation.ope.base import Estimate, Estimator
from mtfx.evaluation.ope.config import EstimatorConfig


@dataclasses.dataclass(frozen=True)
class FirstRewardConfig(EstimatorConfig):
    """Settings.

    Attributes:
      gamma: Discount.
      scale: Of the value.
    """

    gamma: float = 0.95
    scale: float = 2.0


class FirstReward(Estimator):
    """The first session's first reward, whatever the policy is."""

    def __init__(self, config, bootstrap):
        self.config = config

    def estimate(self, data, policy, seed):
        value = float(data.rewards[0]) * self.config.scale
        return Estimate(value, value, value, data.num_sessions, {})
'''


@pytest.fixture
def first_reward(tmp_path, monkeypatch):
    """Adds the module to the folder, and its line to the registry."""
    (tmp_path / "first_reward.py").write_text(MODULE)
    monkeypatch.setattr(
        mtfx.evaluation.ope, "__path__", [*mtfx.evaluation.ope.__path__, str(tmp_path)]
    )
    from mtfx.evaluation.ope.first_reward import FirstRewardConfig  # pyright: ignore

    line = EstimatorEntry("evaluation.ope.first_reward:FirstReward", FirstRewardConfig, "a dummy")
    monkeypatch.setitem(ESTIMATORS._entries, "first_reward", line)
    return FirstRewardConfig


def test_a_new_estimator_is_one_module_and_one_line(first_reward, tmp_path):
    # By its flag, through the evaluator's configuration and JSON, to its estimate.
    run = FusionPipelineConfig(run_dir=str(tmp_path), estimator="first_reward")
    config = PolicyEvaluatorConfig(
        estimators=default_estimators(deciding=run.estimator), deciding=run.estimator
    )
    read = PolicyEvaluatorConfig.from_json(config.to_json())
    assert read == config
    settings = dict(read.estimators)["first_reward"]
    assert settings == first_reward(gamma=config.gamma)
    data = OfflineData.from_arrays(
        states=np.zeros((2, 1), np.float32),
        actions=np.zeros((2, 1), np.float32),
        rewards=np.array([3.0, 4.0], np.float32),
        next_states=np.zeros((2, 1), np.float32),
        discounts=np.zeros(2, np.float32),
        session=np.arange(2),
        step=np.zeros(2, np.int64),
    )
    estimator = build_estimator("first_reward", dataclasses.replace(settings, scale=3.0))
    assert estimator.estimate(data, None, seed=0).value == 9.0
