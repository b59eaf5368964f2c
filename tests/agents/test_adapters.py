"""Networks and policies that agents share, each by itself."""

import numpy as np
import pytest
import tensorflow as tf
from tf_agents.specs import array_spec, tensor_spec
from tf_agents.trajectories import time_step as ts
from tf_agents.utils import tensor_normalizer

from mtfx.agents.bcq_policy import BcqPolicy
from mtfx.agents.fusion_adapters import ActorNetwork, CriticNetwork, GaussianActorNetwork
from mtfx.agents.ranking_network import RankingNetwork
from mtfx.agents.xmtf_policy import XmtfPolicy
from mtfx.models.fusion_networks import ActionVae, Perturbation, TwinCritics

STATE = tensor_spec.TensorSpec([3], tf.float32)
ACTION = tensor_spec.from_spec(array_spec.BoundedArraySpec([2], np.float32, -1.0, 1.0))


def states(rows=4):
    return tf.constant(np.random.default_rng(0).normal(size=(rows, 3)), tf.float32)


def test_a_critic_is_asked_about_no_action_beyond_the_bounds():
    critic = CriticNetwork((STATE, ACTION), (5,), seed=1)
    far, _ = critic((states(), tf.fill([4, 2], 3.0)))
    bound, _ = critic((states(), tf.ones([4, 2])))
    inside, _ = critic((states(), tf.zeros([4, 2])))
    np.testing.assert_array_equal(far, bound)
    assert np.abs(bound - inside).min() > 0


def test_a_gaussian_actors_mode_is_that_of_the_deterministic_one():
    """Both are tanh of the MLP; a standard deviation out of its bounds is clipped to them."""
    gaussian = GaussianActorNetwork(STATE, ACTION, (5,), seed=1)
    distribution, _ = gaussian(states())
    means = gaussian.mlp(states())[:, :2]
    np.testing.assert_allclose(distribution.mode(), tf.tanh(means), rtol=1e-5)
    huge, _ = gaussian(1e6 * states())
    assert np.isfinite(huge.sample(seed=1)).all()


def test_xmtfs_policy_acts_on_normalised_states_unless_neutral():
    normalizer = tensor_normalizer.StreamingTensorNormalizer(STATE)
    normalizer.update(10.0 + 2.0 * states(200))
    actor = ActorNetwork(STATE, 2, (5,), seed=1)
    steps = ts.time_step_spec({"state": STATE})
    policies = [
        XmtfPolicy(steps, ACTION, actor=actor, normalizer=normalizer, neutral=neutral)
        for neutral in (False, True)
    ]
    usual, neutral = (policy.greedy_actions(states()) for policy in policies)
    seen = policies[0].normalized(states())
    assert np.abs(seen).max() <= 5.0
    np.testing.assert_allclose(usual, actor(seen)[0], rtol=1e-6)
    np.testing.assert_array_equal(neutral, np.zeros((4, 2)))


def test_a_ranking_networks_action_is_the_models_prediction(small_log):
    model = small_log.actor()
    network = RankingNetwork(model, small_log.environment().observation_spec())
    features = {"item": tf.constant([3, 4], tf.int64), "age": tf.constant([0.5, -1.0])}
    found, state = network(
        {"features": features, "feedback": tf.zeros([2, 2])}, network_state=("kept",)
    )
    np.testing.assert_allclose(found, tf.sigmoid(model(features)), rtol=1e-6)
    assert state == ("kept",)


@pytest.fixture
def bcq():
    return BcqPolicy(
        ts.time_step_spec(STATE),
        ACTION,
        vae=ActionVae(3, 2, 2, (6,), seed=1),
        perturbation=Perturbation(3, 2, 0.1, (6,), seed=2),
        critics=TwinCritics(3, 2, (6,), seed=3),
        sampled_actions=5,
        latent_clip=0.5,
    )


def test_bcq_takes_the_candidate_that_the_first_critic_holds_best(bcq):
    latents = tf.random.stateless_normal([4, 5, bcq.vae.latent_dim], [1, 2])
    candidates = bcq.candidates(states(), latents).numpy()
    values = bcq.critics.first(states(), candidates).numpy()
    wanted = candidates[np.arange(4), values.argmax(axis=1)]
    np.testing.assert_array_equal(bcq.best_actions(states(), latents), wanted)


def test_bcqs_draws_follow_from_a_tensors_seed(bcq):
    first, again, other = (
        bcq.sampled_best_actions(states(), tf.constant(seed)) for seed in ([1, 2], [1, 2], [1, 3])
    )
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0
