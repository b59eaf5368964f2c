"""What xMTF's training leaves: cells of states as they come, and how the log's order differs."""

import types

import numpy as np
import pytest
import tensorflow as tf

from mtfx.agents.building import build_agent
from mtfx.agents.config import Td3Config, XmtfConfig
from mtfx.datasets.transitions.spec import TransitionManifest
from mtfx.errors import DataError
from mtfx.models.export.policy import PolicyMetadata, SavedPolicy, export_policy
from mtfx.models.fusion.config import CellsConfig, FormulaFreeConfig, FusionConfig, build_fusion
from mtfx.trainers.fusion.config import FusionTrainerConfig
from mtfx.trainers.fusion.export import exported_fusion, order_agreement, policy_module
from mtfx.trainers.fusion.run import run_fn
from tests.transition_batches import SPEC

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
    actions=RNG.uniform(-1, 1, (ROWS, TASKS)).astype(np.float32),
    predictions=tf.constant(RNG.random((ROWS, CANDIDATES, TASKS)).astype(np.float16)),
    # The shown candidate, which the random part that is kept may lack or hold.
    shown=tf.constant(RNG.random((ROWS, TASKS)).astype(np.float16)),
    mask=tf.constant(RNG.random((ROWS, CANDIDATES)) < 0.7),
    num_transitions=ROWS,
)


def logged_by(fusion, *, rows=60, seed=0):
    """A log of requests whose shown candidate is the first of a fusion's ranking."""
    random = np.random.default_rng(seed)
    states = (7 + 3 * random.normal(size=(rows, STATES))).astype(np.float32)
    actions = random.uniform(-1, 1, (rows, TASKS)).astype(np.float32)
    predictions = random.random((rows, CANDIDATES, TASKS)).astype(np.float16)
    scores = fusion.scores(*map(tf.constant, (predictions.astype(np.float32), actions, states)))
    return types.SimpleNamespace(
        states=states,
        actions=actions,
        predictions=tf.constant(predictions),
        shown=tf.constant(predictions[np.arange(rows), np.argmax(scores, axis=1)]),
        mask=tf.ones([rows, CANDIDATES], tf.bool),
        num_transitions=rows,
    )


def one_after_another(*tables):
    """A window of several days."""
    names = ("states", "actions", "predictions", "shown", "mask")
    columns = {name: tf.concat([getattr(one, name) for one in tables], 0) for name in names}
    return types.SimpleNamespace(**columns, num_transitions=len(columns["states"]))


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
    np.testing.assert_allclose(actions, agent.greedy_actions(states), rtol=1e-5, atol=1e-6)
    normalised = (TABLE.states - TABLE.states.mean(0)) / TABLE.states.std(0)
    np.testing.assert_allclose(agent.normalized(states), normalised, atol=0.02)
    wanted = agent.fusion.scores(predictions, actions, agent.normalized(states))
    found = saved.fusion(TASKS).scores(predictions, actions, states)
    np.testing.assert_allclose(found, wanted, rtol=1e-5)


def test_the_agreement_with_the_log_by_loops():
    agent = build()
    table = types.SimpleNamespace(**vars(TABLE))
    candidates = TABLE.predictions.numpy()
    candidates[2, 3] = TABLE.shown.numpy()[2]
    mask = TABLE.mask.numpy()
    mask[2, 3] = True
    table.predictions, table.mask = tf.constant(candidates), tf.constant(mask)

    def score(row, predictions):
        return agent.fusion.scores(
            tf.constant(predictions[np.newaxis, np.newaxis].astype(np.float32)),
            tf.constant(TABLE.actions[row : row + 1]),
            agent.normalized(tf.constant(TABLE.states[row : row + 1])),
        ).numpy()[0, 0]

    alike = pairs = 0
    for row in range(ROWS):
        first = score(row, TABLE.shown.numpy()[row])
        for place in np.flatnonzero(mask[row]):
            if (row, place) == (2, 3):
                continue  # the shown one itself
            pairs += 1
            alike += score(row, candidates[row, place]) < first
    assert order_agreement(agent, table) == pytest.approx(alike / pairs)


def test_each_day_is_compared_with_the_fusion_that_logged_it(tmp_path):
    """The first day is explored without cells; the second is ranked by the first policy's."""
    agent = build()
    fusion = exported_fusion(agent, FREE)
    about = PolicyMetadata("xmtf", STATES, TASKS, ("click", "like"), fusion.to_dict())
    export_policy(policy_module(agent, STATES), str(tmp_path), about)
    first = logged_by(build_fusion(FREE, TASKS), seed=1)
    second = logged_by(SavedPolicy(str(tmp_path)).fusion(TASKS), seed=2)
    # Cells that have learnt nothing yet, and so are not the identity.
    assert order_agreement(agent, first) < 0.9
    assert order_agreement(agent, second) == 1.0
    window = order_agreement(agent, one_after_another(first, second))
    assert window == pytest.approx((order_agreement(agent, first) + 1.0) / 2)
    # Other cells than those that served.
    other = build_agent(
        "xmtf", STATES, TASKS, XmtfConfig(hidden_units=(6,), cells=CELLS), 5, CANDIDATES
    )
    other.normalizer.update(tf.constant(TABLE.states))
    assert order_agreement(other, second) < 0.9


def test_requests_of_one_candidate_say_nothing():
    table = types.SimpleNamespace(**vars(TABLE))
    table.predictions = tf.constant(TABLE.shown)[:, tf.newaxis]
    table.mask = tf.ones([ROWS, 1], tf.bool)
    assert order_agreement(build(), table) is None


def test_without_trained_cells_there_is_nothing_to_save_or_to_compare():
    agent = build(inner_stage=False)
    assert exported_fusion(agent, FREE) == FREE
    assert order_agreement(agent, TABLE) is None
    td3 = build_agent("td3", STATES, TASKS, Td3Config(hidden_units=(6,)))
    assert exported_fusion(td3, FusionConfig()) == FusionConfig()
    assert order_agreement(td3, TABLE) is None
    assert not hasattr(policy_module(td3, STATES), "scores")


def test_a_log_of_another_fusion_is_not_trained_on(tmp_path):
    weights = FusionConfig().action_meaning()
    TransitionManifest(SPEC, {}, 0, 1, fusion=weights).write(str(tmp_path))
    config = FusionTrainerConfig("xmtf", XmtfConfig(cells=CELLS), FREE, str(tmp_path / "ckpt"))
    assert FusionTrainerConfig.from_dict(config.to_dict()) == config
    arguments = types.SimpleNamespace(
        custom_config=config.to_dict(),
        train_files=[str(tmp_path / "Split-train" / "*")],
    )
    with pytest.raises(DataError, match=r"actions of the fusion .*formula2.* not of .*xmtf"):
        run_fn(arguments)
    with pytest.raises(ValueError, match=r"learns coefficients of the fusion .*xmtf.* not of"):
        FusionTrainerConfig("xmtf", XmtfConfig(), FusionConfig(), "")
