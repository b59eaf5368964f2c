"""What xMTF's training leaves: cells of states as they come, and how the log's order differs."""

import types

import numpy as np
import pytest
import tensorflow as tf

from agents.fusion_config import Td3Config, XmtfConfig
from agents.fusion_registry import build_agent
from datasets.errors import DataError
from datasets.transitions import TransitionManifest
from models.fusion.cells_config import CellsConfig
from models.fusion.config import FormulaFreeConfig, FusionConfig
from models.fusion.saved_policy import PolicyMetadata, SavedPolicy, export_policy
from tests.transition_batches import SPEC
from trainers.fusion import run_fn
from trainers.fusion_config import FusionTrainerConfig
from trainers.fusion_export import exported_fusion, order_agreement, policy_module

STATES, CANDIDATES, TASKS, ROWS = 3, 6, 2, 9
CELLS = CellsConfig(hidden_units=(5,))
FREE = FormulaFreeConfig(CELLS.low, CELLS.high)


def build(**changes):
    config = XmtfConfig(hidden_units=(6,), cells=CELLS, **changes)
    agent = build_agent("xmtf", STATES, TASKS, config, seed=1, candidates=CANDIDATES)
    # As after some training: the states are far from their normalised values.
    agent.normalizer.update(tf.constant(TABLE.states))
    return agent


RNG = np.random.default_rng(0)
TABLE = types.SimpleNamespace(
    states=(7 + 3 * RNG.normal(size=(ROWS, STATES))).astype(np.float32),
    predictions=tf.constant(RNG.random((ROWS, CANDIDATES, TASKS)).astype(np.float16)),
    mask=tf.constant(RNG.random((ROWS, CANDIDATES)) < 0.7),
    num_transitions=ROWS,
)


@pytest.mark.parametrize(
    "outer", ["actor_critic", pytest.param("batch_constrained", marks=pytest.mark.slow)]
)
def test_the_exported_policy_is_the_agent_with_its_normaliser(outer, tmp_path):
    agent = build(outer=outer)
    fusion = exported_fusion(agent, FREE)
    assert fusion == FormulaFreeConfig(CELLS.low, CELLS.high, saved_cells=True)
    about = PolicyMetadata("xmtf", STATES, TASKS, ("click", "like"), fusion.to_dict())
    export_policy(policy_module(agent, STATES), str(tmp_path), about)
    saved = SavedPolicy(str(tmp_path))
    states = tf.constant(TABLE.states)
    predictions = tf.cast(TABLE.predictions, tf.float32)
    actions = saved.act(states)
    if outer == "actor_critic":
        np.testing.assert_allclose(actions, agent.greedy_actions(states), rtol=1e-5, atol=1e-6)
    normalised = (TABLE.states - TABLE.states.mean(0)) / TABLE.states.std(0)
    np.testing.assert_allclose(agent.normalized(states), normalised, atol=0.02)
    wanted = agent.fusion.scores(predictions, actions, agent.normalized(states))
    found = saved.fusion(TASKS).scores(predictions, actions, states)
    np.testing.assert_allclose(found, wanted, rtol=1e-5)


def test_the_agreement_of_two_orders_by_loops():
    agent = build()
    predictions = TABLE.predictions.numpy().astype(np.float32)
    states = tf.constant(TABLE.states)
    action = agent.greedy_actions(states).numpy()
    a = np.where(action < 0, 0.45 * action, 4.0 * action)[:, np.newaxis]
    log = (predictions * (1 + a * predictions)).sum(axis=2)
    own = agent.fusion.scores(
        tf.constant(predictions), tf.constant(action), agent.normalized(states)
    ).numpy()
    alike = pairs = 0
    for row in range(ROWS):
        for i in np.flatnonzero(TABLE.mask[row]):
            for j in np.flatnonzero(TABLE.mask[row]):
                if log[row, i] < log[row, j]:
                    pairs += 1
                    alike += own[row, i] < own[row, j]
    assert order_agreement(agent, TABLE, FREE) == pytest.approx(alike / pairs)


def test_without_trained_cells_there_is_nothing_to_save_or_to_compare():
    agent = build(inner_stage=False)
    assert exported_fusion(agent, FREE) == FREE
    assert order_agreement(agent, TABLE, FREE) is None
    td3 = build_agent("td3", STATES, TASKS, Td3Config(hidden_units=(6,)))
    assert exported_fusion(td3, FusionConfig()) == FusionConfig()
    assert order_agreement(td3, TABLE, FusionConfig()) is None
    assert not hasattr(policy_module(td3, STATES), "scores")


def test_a_log_of_another_fusion_is_not_trained_on(tmp_path):
    weights = FusionConfig().action_meaning()
    TransitionManifest(SPEC, {}, 0, 1, fusion=weights).write(str(tmp_path))
    config = FusionTrainerConfig("xmtf", XmtfConfig(cells=CELLS), FREE, str(tmp_path / "ckpt"))
    assert FusionTrainerConfig.from_custom_config(config.to_custom_config()) == config
    arguments = types.SimpleNamespace(
        custom_config=config.to_custom_config(),
        train_files=[str(tmp_path / "Split-train" / "*")],
    )
    with pytest.raises(DataError, match=r"actions of the fusion .*formula2.* not of .*xmtf"):
        run_fn(arguments)
    with pytest.raises(ValueError, match=r"learns coefficients of the fusion .*xmtf.* not of"):
        FusionTrainerConfig("xmtf", XmtfConfig(), FusionConfig(), "")
