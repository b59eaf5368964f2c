"""Training on transitions in memory: minibatches, logs, checkpoints, and bad data."""

import numpy as np
import pytest
import tensorflow as tf

from mtfx.agents.building import build_agent, q_values
from mtfx.agents.config import BcqConfig, Td3Config
from mtfx.agents.offline_training import train_offline
from mtfx.agents.registry import AGENTS
from mtfx.agents.transition_tensors import TransitionTensors, experience, transition_tensors
from mtfx.errors import TrainingDivergedError
from tests.agents.numpy_networks import draw

STATES, ACTIONS, ROWS = 4, 2, 40
CONFIG = Td3Config(hidden_units=(8,))


def table(**changes):
    columns = {
        "states": draw(ROWS, STATES),
        "actions": np.tanh(draw(ROWS, ACTIONS, seed=1)),
        "rewards": draw(ROWS, seed=2),
        "next_states": draw(ROWS, STATES, seed=3),
        "discounts": np.resize([1.0, 1.0, 0.0], ROWS).astype(np.float32),
    }
    return TransitionTensors(**(columns | changes))


def small_agent(seed=1):
    return build_agent("td3", STATES, ACTIONS, CONFIG, seed=seed)


def weights(agent):
    return np.concatenate(
        [
            variable.numpy().ravel()
            for network in (agent._actor_network, agent._critic_network_1)
            for variable in network.trainable_variables
        ]
    )


def test_experience_is_what_the_agent_gets_back():
    data = transition_tensors(small_agent(), table())
    rows = tf.constant([5, 3, 3])
    agent = small_agent()
    now, policy_step, after = agent._as_transition(experience(data, rows))
    np.testing.assert_array_equal(now.observation, data.states.numpy()[[5, 3, 3]])
    np.testing.assert_array_equal(policy_step.action, data.actions.numpy()[[5, 3, 3]])
    np.testing.assert_array_equal(after.observation, data.next_states.numpy()[[5, 3, 3]])
    np.testing.assert_array_equal(after.reward, data.rewards.numpy()[[5, 3, 3]])
    np.testing.assert_array_equal(after.discount, [0, 1, 1])


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [name for name, entry in AGENTS.items() if not entry.needs_candidates]
)
def test_every_agent_trains_and_repeats_itself(name):
    config = AGENTS[name].config(hidden_units=(6,))
    found = []
    for _ in range(2):
        agent = build_agent(name, STATES, ACTIONS, config, seed=4)
        logs = train_offline(agent, table(), 5, 8, seed=2, log_every=5)
        assert int(agent.train_step_counter) == 5
        assert [log.step for log in logs] == [5]
        found.append((logs[0], q_values(agent, draw(ROWS, STATES), table().actions).numpy()))
    assert found[0][0].losses == pytest.approx(found[1][0].losses, rel=1e-5)
    np.testing.assert_allclose(found[0][1], found[1][1], rtol=1e-4, atol=1e-6)


def test_logs_are_means_and_values():
    agent = small_agent()
    seen = []
    logs = train_offline(agent, table(), 7, 8, log_every=3, on_log=seen.append)
    assert seen == logs
    assert [log.step for log in logs] == [3, 6, 7]
    # Fewer rows than the sample of the log has: with all of them in it, or some, the last log's
    # values lie between the lowest and the highest of the agent's.
    data = transition_tensors(agent, table())
    own = agent.greedy_actions(data.states, tf.constant([0, 0]))
    for value, actions in ((logs[-1].data_q, data.actions), (logs[-1].policy_q, own)):
        values = q_values(agent, data.states, actions).numpy()
        assert values.min() <= value <= values.max()
        assert value == pytest.approx(values.mean(), abs=2 * float(values.std()))


@pytest.mark.slow
def test_the_loss_of_a_log_is_the_mean_of_its_steps():
    single = train_offline(small_agent(), table(), 4, 8, seed=3, log_every=1)
    together = train_offline(small_agent(), table(), 4, 8, seed=3, log_every=4)
    assert [log.step for log in single] == [1, 2, 3, 4]
    # Target noise is drawn from the graph's seed, which counts draws, so they are equal too.
    expected = np.mean([log.losses["critic_loss"] for log in single])
    assert together[0].losses["critic_loss"] == pytest.approx(expected, rel=0.05)


@pytest.mark.slow
def test_minibatches_follow_from_the_seed():
    ends = []
    for seed in (1, 1, 2):
        agent = build_agent("bcq", STATES, ACTIONS, BcqConfig(hidden_units=(6,)), seed=4)
        train_offline(agent, table(), 3, 8, seed=seed)
        ends.append(agent.critics.trainable_variables[0].numpy())
    np.testing.assert_allclose(ends[0], ends[1], rtol=1e-5, atol=1e-7)
    assert not np.allclose(ends[0], ends[2], rtol=1e-4)


@pytest.mark.slow
def test_training_resumes_where_it_was(tmp_path):
    config = BcqConfig(hidden_units=(6,))

    def trained(steps, directory):
        agent = build_agent("bcq", STATES, ACTIONS, config, seed=4)
        folder = str(tmp_path / directory)
        logs = train_offline(
            agent, table(), steps, 8, log_every=2, checkpoint_dir=folder, checkpoint_every=4
        )
        return agent, logs

    whole, _ = trained(9, "whole")
    trained(5, "parts [v2]")
    resumed, logs = trained(9, "parts [v2]")
    assert [log.step for log in logs] == [6, 8, 9]
    for first, second in zip(
        whole.critics.trainable_variables, resumed.critics.trainable_variables, strict=True
    ):
        np.testing.assert_allclose(first, second, rtol=1e-4, atol=1e-6)
    assert trained(9, "parts [v2]")[1] == []
    saved = list((tmp_path / "parts [v2]").glob("*.index"))
    assert [path.name for path in saved] == ["ckpt-9.index"]


def test_states_after_a_session_are_never_read():
    over = np.resize([1.0, 1.0, 0.0], ROWS)[:, None] == 0
    blind = np.where(over, np.nan, table().next_states).astype(np.float32)
    data = transition_tensors(small_agent(), table(next_states=blind))
    np.testing.assert_array_equal(data.next_states, np.where(over, 0, table().next_states))


def broken(name, value, row=7):
    column = np.array(getattr(table(), name))
    column[row] = value
    return {name: column}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (broken("rewards", np.nan), "rewards of the transitions holds no number, first in row 7"),
        (broken("states", np.inf), "states of the transitions holds no number, first in row 7"),
        (broken("actions", 1.5), r"actions are in \[-1, 1\], but one .* has 1.5"),
        (broken("next_states", np.nan, 0), "next_states .* first in row 0"),
        ({"actions": draw(ROWS, 5)}, r"actions .* should be \[40, 2\], not \(40, 5\)"),
        ({"states": draw(ROWS, 3)}, r"states .* should be \[40, 4\], not \(40, 3\)"),
        ({"rewards": draw(ROWS - 1)}, r"rewards .* should be \[40\], not \(39,\)"),
    ],
)
def test_data_no_agent_can_learn_from_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        train_offline(small_agent(), table(**changes), 1, 8)


def test_a_broken_number_is_named_by_its_row_wherever_it_is_in_it():
    states = np.array(table().states)
    states[9, STATES - 1] = np.nan
    with pytest.raises(ValueError, match="first in row 9"):
        transition_tensors(small_agent(), table(states=states))


def test_no_transitions_are_refused():
    empty = TransitionTensors(*(np.array(column)[:0] for column in table()))
    with pytest.raises(ValueError, match="no transitions to learn from"):
        train_offline(small_agent(), empty, 1, 8)


@pytest.mark.parametrize("name", [pytest.param("bcq", marks=pytest.mark.slow), "td3"])
def test_divergence_is_an_error_with_a_remedy(name):
    huge = np.full(ROWS, 1e30, np.float32)
    config = AGENTS[name].config(hidden_units=(6,))
    agent = build_agent(name, STATES, ACTIONS, config)
    with pytest.raises(TrainingDivergedError, match=r"diverged .* 2, .*; lower the critics'"):
        train_offline(agent, table(rewards=huge), 2, 8, log_every=2)
