"""CQL(H) on SAC (Kumar et al., 2020, equation 4 and appendix F) against NumPy and SciPy."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats
from scipy.special import logsumexp
from tf_agents.trajectories import time_step as ts

from mtfx.agents.building import build_agent, q_values
from mtfx.agents.config import CqlSacConfig
from mtfx.agents.transition_tensors import TransitionTensors, experience
from tests.agents.numpy_networks import critic, draw, mlp, moved, shift, values_of

STATES, ACTIONS, ROWS, SAMPLES = 4, 3, 6, 5
CONFIG = CqlSacConfig(
    hidden_units=(7, 6), gamma=0.8, sampled_actions=SAMPLES, cql_alpha=2.0, target_update_tau=0.3
)


def critics(agent):
    return agent._critic_network_1, agent._critic_network_2


def targets(agent):
    return agent._target_critic_network_1, agent._target_critic_network_2


def small_agent():
    agent = build_agent("cql_sac", STATES, ACTIONS, CONFIG, seed=1)
    shift([agent._actor_network, *critics(agent), *targets(agent)])
    # Actions away from the bounds, where float32 can no longer tell their densities.
    last = agent._actor_network.mlp
    last.kernels[-1].assign(0.2 * last.kernels[-1])
    last.biases[-1].assign([0.3, -0.2, 0.1, -1.0, -1.2, -0.8])
    return agent


@pytest.fixture(scope="module")
def agent():
    return small_agent()


@pytest.fixture(scope="module")
def data():
    return TransitionTensors(
        tf.constant(draw(ROWS, STATES)),
        tf.constant(np.tanh(draw(ROWS, ACTIONS, seed=1))),
        tf.constant(draw(ROWS, seed=2)),
        tf.constant(draw(ROWS, STATES, seed=3)),
        tf.constant(np.resize([1.0, 1.0, 0.0], ROWS).astype(np.float32)),
    )


def numpy_log_density(agent, states, actions):
    """Of a Gaussian squashed by tanh: the normal density by the slope of tanh."""
    mean, log_std = np.split(mlp(agent._actor_network.mlp, states), 2, axis=1)
    before = np.arctanh(actions.astype(np.float64))
    density = stats.norm.logpdf(before, mean, np.exp(np.clip(log_std, -20, 2)))
    return (density - np.log(1 - np.square(actions.astype(np.float64)))).sum(axis=1)


def test_cql_loss(agent, data, monkeypatch):
    """log Σ exp Q / density over the policy's and uniform actions, less Q of the data."""
    asked = []
    plain = agent._get_q_values

    def recorded(inputs, *arguments, **options):
        asked.append(inputs[1])
        return plain(inputs, *arguments, **options)

    monkeypatch.setattr(agent, "_get_q_values", recorded)
    loss = agent._cql_loss(ts.restart(data.states, ROWS), data.actions, training=True)
    own, uniform = (asked[place].numpy().reshape(ROWS, SAMPLES, ACTIONS) for place in (0, 1))
    states = data.states.numpy()
    total = 0.0
    for network in critics(agent):
        scores = np.empty([ROWS, 2 * SAMPLES])
        for number in range(SAMPLES):
            scores[:, number] = critic(network, states, own[:, number])
            scores[:, number] -= numpy_log_density(agent, states, own[:, number])
            scores[:, SAMPLES + number] = critic(network, states, uniform[:, number])
            scores[:, SAMPLES + number] += ACTIONS * np.log(2)
        total += np.mean(logsumexp(scores, axis=1) - critic(network, states, data.actions))
    assert float(loss) == pytest.approx(total / 2, rel=1e-3)


def test_sampled_actions_are_the_policys_and_uniform(agent, monkeypatch):
    asked = []
    plain = agent._get_q_values

    def recorded(inputs, *arguments, **options):
        asked.append(inputs[1])
        return plain(inputs, *arguments, **options)

    monkeypatch.setattr(agent, "_get_q_values", recorded)
    state = draw(1, STATES)
    many = 800
    states = tf.constant(np.repeat(state, many, axis=0))
    agent._cql_loss(ts.restart(states, many), tf.zeros([many, ACTIONS]))
    own, uniform = (asked[place].numpy().reshape(-1, ACTIONS) for place in (0, 1))
    assert own.shape == (many * SAMPLES, ACTIONS)
    mean, log_std = np.split(mlp(agent._actor_network.mlp, state)[0], 2)
    for column in range(ACTIONS):
        normal = stats.norm(mean[column], np.exp(log_std[column]))
        before = np.arctanh(np.clip(own[:, column].astype(np.float64), -1 + 1e-9, 1 - 1e-9))
        assert stats.kstest(before, normal.cdf).pvalue > 1e-3
        assert stats.kstest(uniform[:, column], stats.uniform(-1, 2).cdf).pvalue > 1e-3


@pytest.mark.parametrize("samples", [1, 4])
def test_a_state_is_not_repeated_but_its_values_are_the_librarys(data, samples):
    config = CqlSacConfig(hidden_units=(7, 6), sampled_actions=samples)
    agent = build_agent("cql_sac", STATES, ACTIONS, config, seed=1)
    states = np.repeat(data.states.numpy(), samples, axis=0)
    actions = np.tanh(draw(ROWS * samples, ACTIONS, seed=5))
    found = agent._get_q_values((states, actions), None, ROWS)
    for network, values in zip(critics(agent), found, strict=True):
        expected = critic(network, states, actions).reshape(ROWS, samples, 1)
        np.testing.assert_allclose(values, expected, rtol=1e-4, atol=1e-5)


def test_td_targets_have_no_entropy(agent, data, monkeypatch):
    """CQL's code backs up min Q̄ alone, SAC less the temperature times log π."""
    chosen = []
    plain = agent._actions_and_log_probs

    def recorded(*arguments, **options):
        chosen.append(plain(*arguments, **options))
        return chosen[-1]

    monkeypatch.setattr(agent, "_actions_and_log_probs", recorded)
    now = ts.restart(data.states, ROWS)
    after = ts.TimeStep(tf.fill([ROWS], 1), data.rewards, data.discounts, data.next_states)
    loss = agent._critic_loss_with_optional_entropy_term(
        now, data.actions, after, td_errors_loss_fn=tf.math.squared_difference, gamma=0.8
    )
    actions = chosen[0][0].numpy()
    following = [critic(network, data.next_states.numpy(), actions) for network in targets(agent)]
    y = data.rewards.numpy() + 0.8 * data.discounts.numpy() * np.minimum(*following)
    expected = sum(
        np.mean(np.square(y - critic(network, data.states.numpy(), data.actions.numpy())))
        for network in critics(agent)
    )
    assert float(loss) == pytest.approx(expected, rel=1e-4)


@pytest.mark.slow
def test_a_step(data):
    """What moves, how targets follow, and that the temperature heads for -dim(A) of entropy."""
    agent = small_agent()
    networks = (agent._actor_network, *critics(agent))
    before = [values_of(network) for network in networks]
    slow = [values_of(network) for network in targets(agent)]
    info = agent.train(experience(data, tf.range(ROWS)))
    for network, weights in zip(networks, before, strict=True):
        assert moved(weights, network)
    for network, target, old in zip(critics(agent), targets(agent), slow, strict=True):
        for source, was, now in zip(values_of(network), old, values_of(target), strict=True):
            np.testing.assert_allclose(now, 0.3 * source + 0.7 * was, atol=1e-6)
    extra = info.extra
    total = extra.critic_loss + 2.0 * extra.cql_loss + extra.actor_loss + extra.alpha_loss
    assert float(info.loss) == pytest.approx(float(total), rel=1e-4)
    assert agent._target_entropy == -ACTIONS


def test_values_and_policy(agent, data):
    states, actions = data.states.numpy(), data.actions.numpy()
    expected = np.minimum(*(critic(network, states, actions) for network in critics(agent)))
    np.testing.assert_allclose(q_values(agent, states, actions), expected, rtol=1e-4, atol=1e-5)
    mode = np.tanh(np.split(mlp(agent._actor_network.mlp, states), 2, axis=1)[0])
    found = agent.greedy_actions(data.states, tf.constant([1, 2]))
    np.testing.assert_allclose(found, mode, rtol=1e-4, atol=1e-5)
    step = agent.policy.action(ts.restart(data.states, ROWS))
    np.testing.assert_allclose(step.action, mode, rtol=1e-4, atol=1e-5)
