"""PolicySelector for real: which policy it gives on, and that its sessions are its own."""

import json

import numpy as np
import pytest
import tensorflow as tf
from tfx.types import standard_artifacts
from tfx.utils import path_utils

from mtfx.components.artifacts import Simulator as SimulatorArtifact
from mtfx.components.policy_comparison import MOST_POLICIES
from mtfx.components.policy_selector import SELECTION_FILE, Executor, PolicySelector
from mtfx.environments.simulator.config import SimulatorConfig
from mtfx.environments.simulator.dynamics import Simulator
from mtfx.environments.simulator.user_groups import user_groups
from mtfx.environments.simulator.world import save_world
from mtfx.errors import DataError
from mtfx.models.export.policy import PolicyMetadata, PolicyModule, SavedPolicy, export_policy
from mtfx.models.fusion.config import FusionConfig
from tests.simulator_worlds import misleading_world

RULES = SimulatorConfig(candidates=10, max_views=5)
#: Weights that follow the predictions of its world which say something, and those that do not.
GOOD, BAD = (1.0, -1.0, -1.0), (-1.0, 1.0, 1.0)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    directory = tmp_path_factory.mktemp("world")
    made = misleading_world()
    save_world(made, directory)
    artifact = SimulatorArtifact()
    artifact.uri = str(directory)
    return made, artifact


@pytest.fixture
def select(world, tmp_path):
    """Returns a function that runs the component with constant policies, by method."""
    made, simulator = world

    def run(method="bcq", seed=3, **weights):
        inputs, state_dim = {"simulator": [simulator]}, Simulator(made, RULES).state_dim
        for place, (name, values) in enumerate(weights.items()):
            artifact = standard_artifacts.Model()
            artifact.uri = str(tmp_path / f"{name}-{seed}")
            action = tf.constant([values], tf.float32)
            export_policy(
                PolicyModule(
                    lambda state, action=action: tf.tile(action, [tf.shape(state)[0], 1]),
                    [],
                    state_dim,
                ),
                path_utils.serving_model_dir(artifact.uri),
                PolicyMetadata(name, state_dim, 3, made.prediction_names, FusionConfig().to_dict()),
            )
            inputs[f"policy_{place}"] = [artifact]
        model, selection = standard_artifacts.Model(), standard_artifacts.ModelEvaluation()
        model.uri, selection.uri = str(tmp_path / "model"), str(tmp_path / "selection")
        Executor().Do(
            inputs,
            {"model": [model], "selection": [selection]},
            {
                "simulator_config": json.dumps(RULES.to_dict()),
                "sessions": 300,
                "gamma": 0.95,
                "method": method,
                "seed": seed,
            },
        )
        found = json.loads((tmp_path / "selection" / SELECTION_FILE).read_text())
        return found, SavedPolicy(path_utils.serving_model_path(model.uri))

    return run


def test_equal_weights_are_given_on_where_they_are_better(select):
    found, policy = select(constant=GOOD, bcq=BAD)
    assert (found["chosen"], found["method"]) == ("constant", "bcq")
    assert found["ahead"]["constant"]["p"] < 1e-3
    assert policy.metadata.method == "constant"
    states = np.zeros((2, policy.metadata.state_dim), np.float32)
    np.testing.assert_allclose(policy.act(tf.constant(states)), [GOOD, GOOD])


def test_the_methods_policy_is_given_on_where_none_is_better(select):
    found, policy = select(constant=BAD, bo=GOOD, bcq=GOOD)
    assert (found["chosen"], found["ahead"]) == ("bcq", {})
    assert found["candidates"] == ["constant", "bo", "bcq"]
    assert policy.metadata.method == "bcq"


def test_it_chooses_by_users_that_no_policy_learnt_from(select, world, monkeypatch):
    seen = []
    from mtfx.components import policy_selector

    original = policy_selector.session_figures

    def spied(simulator, fusion, policy, users, seed, gamma):
        seen.append((tuple(users), seed))
        return original(simulator, fusion, policy, users, seed, gamma)

    monkeypatch.setattr(policy_selector, "session_figures", spied)
    select(bcq=GOOD, bo=BAD)
    groups = user_groups(world[0].user_ids)
    assert len(set(seen)) == 1
    assert set(seen[0][0]) <= set(groups.evaluation.tolist())


def test_without_the_methods_policy_it_says_so(select):
    with pytest.raises(DataError, match="no policy of bcq to choose from, only of bo"):
        select(bo=GOOD)


def test_too_many_policies_are_refused():
    channels = [standard_artifacts.Model] * (MOST_POLICIES + 1)
    with pytest.raises(ValueError, match=f"more than {MOST_POLICIES}"):
        PolicySelector(None, channels, RULES, 1, 0.95, "bcq", 0)
