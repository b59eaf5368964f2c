"""BatchRL-MTF's equations (3)-(7) and Algorithm 1 against NumPy, and what must not happen."""

import contextlib

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from tf_agents.trajectories import time_step as ts

from mtfx.agents.bcq import BcqAgent
from mtfx.agents.building import build_agent
from mtfx.agents.config import BcqConfig
from mtfx.agents.transition_tensors import TransitionTensors, experience
from tests.agents.numpy_networks import draw, mlp, moved, values_of

STATES, ACTIONS, LATENTS, SAMPLES, ROWS = 4, 3, 5, 6, 8
CONFIG = BcqConfig(
    hidden_units=(7, 6),
    latent_dim=LATENTS,
    sampled_actions=SAMPLES,
    gamma=0.8,
    target_update_tau=0.3,
    target_update_period=3,
)


def decode(agent, states, latents):
    return np.tanh(mlp(agent.vae.decoder, states, latents))


def perturb(network, states, actions, rho=0.15):
    return np.clip(actions + rho * np.tanh(mlp(network.mlp, states, actions)), -1, 1)


def q(critics, member, states, actions):
    return mlp(critics.members[member], states, actions)[:, 0]


@pytest.fixture
def agent():
    """With biases that are not 0, and targets that are not the networks."""
    agent = build_agent("bcq", STATES, ACTIONS, CONFIG, seed=1)
    networks = (agent.vae, agent.perturbation, agent.critics)
    for network in (*networks, agent.target_perturbation, agent.target_critics):
        for number, variable in enumerate(network.trainable_variables):
            shift = draw(*variable.shape, seed=number + len(network.name))
            variable.assign_add(0.3 * shift)
    return agent


@pytest.fixture
def data():
    return TransitionTensors(
        tf.constant(draw(ROWS, STATES)),
        tf.constant(np.tanh(draw(ROWS, ACTIONS, seed=1))),
        tf.constant(draw(ROWS, seed=2)),
        tf.constant(draw(ROWS, STATES, seed=3)),
        tf.constant(np.resize([1.0, 1.0, 0.0], ROWS).astype(np.float32)),
    )


def test_vae_loss_3(agent, data):
    noise = draw(ROWS, LATENTS, seed=4)
    mean, log_std = np.split(mlp(agent.vae.encoder, data.states, data.actions), 2, axis=1)
    std = np.exp(np.clip(log_std, -4, 15))
    error = np.square(data.actions - decode(agent, data.states, mean + std * noise)).sum(axis=1)
    # KL of two Gaussians, term by term, for each dimension of z.
    divergence = (np.log(1 / std) + (std**2 + mean**2) / 2 - 0.5).sum(axis=1)
    expected = np.mean(error + CONFIG.kl_weight * divergence)
    loss = agent.vae_loss(data.states, data.actions, noise)
    assert float(loss) == pytest.approx(expected, rel=1e-4)


def test_perturbation_loss_5(agent, data):
    latents = draw(ROWS, LATENTS, seed=4)
    actions = perturb(agent.perturbation, data.states, decode(agent, data.states, latents))
    expected = -np.mean(q(agent.critics, 0, data.states, actions))
    loss = agent.perturbation_loss(data.states, latents)
    assert float(loss) == pytest.approx(expected, rel=1e-4)


def numpy_targets(agent, data, latents):
    states = np.asarray(data.next_states)
    best = np.full(ROWS, -np.inf)
    for sample in range(latents.shape[1]):
        generated = decode(agent, states, latents[:, sample])
        actions = perturb(agent.target_perturbation, states, generated)
        values = [q(agent.target_critics, member, states, actions) for member in (0, 1)]
        best = np.maximum(best, np.minimum(*values))
    return np.where(data.discounts == 0, data.rewards, data.rewards + 0.8 * data.discounts * best)


def td_targets(agent, data, latents):
    return agent.td_targets(data.rewards, data.discounts, data.next_states, latents).numpy()


def test_td_targets_7(agent, data):
    latents = draw(ROWS, SAMPLES, LATENTS, seed=4)
    expected = numpy_targets(agent, data, latents)
    np.testing.assert_allclose(td_targets(agent, data, latents), expected, rtol=1e-4, atol=1e-5)


def test_what_follows_a_session_is_not_seen(agent, data):
    latents = draw(ROWS, SAMPLES, LATENTS, seed=4)
    over = data.discounts[:, None] == 0
    blind = data._replace(next_states=tf.where(over, np.nan, data.next_states))
    targets = td_targets(agent, blind, latents)
    np.testing.assert_array_equal(targets, td_targets(agent, data, latents))
    ended = data.discounts.numpy() == 0
    assert ended.any()
    np.testing.assert_array_equal(targets[ended], data.rewards.numpy()[ended])


def test_critic_loss_6(agent, data):
    targets = draw(ROWS, seed=5)
    errors = [targets - q(agent.critics, j, data.states, data.actions) for j in (0, 1)]
    loss, mean_q = agent.critic_loss(data.states, data.actions, targets)
    assert float(loss) == pytest.approx(np.mean(np.square(errors), axis=1).sum(), rel=1e-4)
    assert float(mean_q) == pytest.approx(np.mean(targets - errors[0]), rel=1e-4)


def test_policy_4(agent, data):
    states, latents = data.states.numpy(), draw(ROWS, SAMPLES, LATENTS, seed=4)
    actions = np.stack(
        [
            perturb(agent.perturbation, states, decode(agent, states, z))
            for z in latents.swapaxes(0, 1)
        ]
    )
    values = np.stack([q(agent.critics, 0, states, action) for action in actions])
    expected = actions[values.argmax(axis=0), np.arange(ROWS)]
    chosen = agent.policy.best_actions(states, latents)
    np.testing.assert_allclose(chosen, expected, rtol=1e-4, atol=1e-5)


@settings(max_examples=20)
@given(
    rho=st.sampled_from([0.0, 0.05, 0.15, 0.7]), scale=st.floats(0.1, 30), seed=st.integers(0, 99)
)
def test_actions_stay_within_rho_of_what_the_generator_gives(rho, scale, seed):
    config = BcqConfig(hidden_units=(7,), latent_dim=LATENTS, sampled_actions=SAMPLES, rho=rho)
    agent = BcqAgent(*SPECS, config, seed=seed)
    for variable in agent.perturbation.trainable_variables:
        variable.assign(scale * variable)
    states, latents = scale * draw(ROWS, STATES, seed=seed), draw(ROWS, SAMPLES, LATENTS, seed=seed)
    generated = agent.vae.decode(states, latents).numpy()
    chosen = agent.policy.best_actions(states, latents).numpy()
    assert np.abs(chosen).max() <= 1
    distances = np.abs(generated - chosen[:, None]).max(axis=2).min(axis=1)
    assert (distances <= rho + 1e-6).all()


SPECS = (
    ts.time_step_spec(tf.TensorSpec([STATES], tf.float32)),
    build_agent("bcq", STATES, ACTIONS, CONFIG).action_spec,
)


def test_gradients_reach_only_what_each_loss_is_for(agent, data):
    latents, many = draw(ROWS, LATENTS, seed=4), draw(ROWS, SAMPLES, LATENTS, seed=4)
    groups = {
        "vae": agent.vae.trainable_variables,
        "perturbation": agent.perturbation.trainable_variables,
        "critics": agent.critics.trainable_variables,
        "targets": [
            *agent.target_perturbation.trainable_variables,
            *agent.target_critics.trainable_variables,
        ],
    }
    with tf.GradientTape(persistent=True) as tape:
        losses = {
            "vae": agent.vae_loss(data.states, data.actions, latents),
            "perturbation": agent.perturbation_loss(data.states, latents),
            "critics": agent.critic_loss(
                data.states,
                data.actions,
                agent.td_targets(data.rewards, data.discounts, data.next_states, many),
            )[0],
        }
    reached = {
        name: {
            group
            for group, variables in groups.items()
            if any(gradient is not None for gradient in tape.gradient(loss, variables))
        }
        for name, loss in losses.items()
    }
    assert reached["vae"] == {"vae"}
    assert reached["perturbation"] == {"perturbation", "critics"}  # The step leaves critics alone.
    assert reached["critics"] == {"critics"}


@contextlib.contextmanager
def weights_of_before(networks, before):
    """The networks with their former weights, while the block runs."""
    now = [values_of(network) for network in networks]
    assign(networks, before)
    yield
    assign(networks, now)


def assign(networks, values):
    for network, weights in zip(networks, values, strict=True):
        for variable, value in zip(network.trainable_variables, weights, strict=True):
            variable.assign(value)


def test_algorithm_1(agent, data):
    """Lines 5-12, step by step: what each line uses, and when targets move."""
    batch = experience(data, tf.range(ROWS))
    sources = [agent.perturbation, agent.critics]
    targets = [agent.target_perturbation, agent.target_critics]
    for number in range(1, 8):
        latents = agent.latents(2, [ROWS, LATENTS]).numpy()
        many = agent.latents(1, [ROWS, SAMPLES, LATENTS]).numpy()
        before = [values_of(network) for network in (*sources, *targets)]
        generator = values_of(agent.vae)
        info = agent.train(batch).extra
        for network, weights in zip((agent.vae, *sources), (generator, *before), strict=False):
            assert moved(weights, network)
        # Line 5 comes first: all that follows samples from the updated generator.
        with weights_of_before([*sources, *targets], before):
            # Line 8 climbs the critics as they were before line 9.
            generated = decode(agent, data.states, latents)
            actions = perturb(agent.perturbation, data.states, generated)
            climbed = np.mean(q(agent.critics, 0, data.states, actions))
            assert float(info.perturbation_loss) == pytest.approx(-climbed, rel=1e-3)
            # Lines 6, 7 and 9, with the targets as they were.
            values = [q(agent.critics, j, data.states, data.actions) for j in (0, 1)]
            errors = numpy_targets(agent, data, many) - values
            expected = np.mean(np.square(errors), axis=1).sum()
            assert float(info.critic_loss) == pytest.approx(expected, rel=1e-3)
        # Lines 10 to 12.
        rate = 0.3 if number % 3 == 0 else 0.0
        for source, target, old in zip(sources, targets, before[2:], strict=True):
            for now, was, then in zip(values_of(source), old, values_of(target), strict=True):
                np.testing.assert_allclose(then, rate * now + (1 - rate) * was, atol=1e-6)
    assert int(agent.train_step_counter) == 7


def test_a_new_agent_starts_with_its_targets():
    agent = build_agent("bcq", STATES, ACTIONS, CONFIG, seed=3)
    for source, target in (
        (agent.critics, agent.target_critics),
        (agent.perturbation, agent.target_perturbation),
    ):
        for first, second in zip(values_of(source), values_of(target), strict=True):
            np.testing.assert_array_equal(first, second)


def test_latents_are_clipped_and_a_function_of_the_step():
    config = BcqConfig(hidden_units=(7,), latent_clip=0.5)
    agent = BcqAgent(*SPECS, config, seed=1)
    first = agent.latents(1, [500, 2]).numpy()
    assert np.abs(first).max() == 0.5
    assert not np.array_equal(first, agent.latents(2, [500, 2]))
    agent.train_step_counter.assign_add(1)
    assert not np.array_equal(first, agent.latents(1, [500, 2]))


def test_the_policy_is_a_function_of_its_seed(agent, data):
    first, again, other = (
        agent.greedy_actions(data.states, tf.constant(seed)).numpy()
        for seed in ([1, 2], [1, 2], [1, 3])
    )
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other)
    step = ts.restart(data.states, ROWS)
    np.testing.assert_array_equal(agent.policy.action(step, seed=tf.constant([1, 2])).action, first)


def test_without_a_seed_an_action_is_a_function_of_its_state(agent, data):
    together = agent.policy.action(ts.restart(data.states, ROWS)).action.numpy()
    assert together.shape == (ROWS, ACTIONS)
    agent.greedy_actions(data.next_states)
    np.testing.assert_array_equal(agent.greedy_actions(data.states), together)
    for row, state in enumerate(data.states):
        alone = agent.policy.action(ts.restart(state[tf.newaxis], 1)).action[0]
        np.testing.assert_allclose(alone, together[row], atol=1e-6)
    seeded = agent.greedy_actions(data.states, tf.constant([1, 2]))
    assert not np.allclose(seeded, together)


def test_the_kl_term_as_printed_would_make_the_generator_ignore_z():
    """A squared error is a Gaussian likelihood of variance 1/2; actions in [-1, 1] vary less.

    The optimum of a linear VAE (Lucas et al., 2019) encodes a component only if its variance is
    above the likelihood's: kl_weight / 2 here. Uniform actions have 1/3.
    """
    variance = 1 / 3

    def best_loss(kl_weight, std):
        # One dimension: z ~ N(m a, std²), â = w z, with the best w for a given m and std.
        scales = np.linspace(0, 3, 301)
        spread = variance * scales**2 + std**2
        error = variance - np.square(variance * scales) / spread
        divergence = np.log(1 / std) + spread / 2 - 0.5
        return scales, error + kl_weight * divergence

    for kl_weight, encodes in ((1.0, False), (BcqConfig().kl_weight, True)):
        losses = np.stack([best_loss(kl_weight, std)[1] for std in np.linspace(0.1, 1, 91)])
        scale = best_loss(kl_weight, 1.0)[0][np.unravel_index(losses.argmin(), losses.shape)[1]]
        assert (scale > 0.1) == encodes
