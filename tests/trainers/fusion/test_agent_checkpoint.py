"""A warm start goes on as if training had not ended, but for what is declared to begin anew."""

import dataclasses
import re
import types
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from mtfx.agents.building import build_agent
from mtfx.agents.carried_state import OTHER_LEARNERS
from mtfx.agents.offline_training import train_offline
from mtfx.agents.registry import AGENTS
from mtfx.errors import DataError
from mtfx.models.fusion.config import CellsConfig
from mtfx.trainers.fusion.export import restore_agent, save_agent
from tests.agents.numpy_networks import draw

STATES, ACTIONS, CANDIDATES, ROWS = 4, 2, 5, 40
#: Every kind of agent whose checkpoint has variables of its own.
VARIANTS = [
    (name, outer)
    for name in AGENTS
    for outer in (("actor_critic", "batch_constrained") if name == "xmtf" else ("",))
]
#: xMTF's default here; the others' traces take longer, and they share the code.
FAST = ("xmtf", "actor_critic")
EACH = pytest.mark.parametrize(
    "variant",
    [
        pytest.param(one, marks=() if one == FAST else pytest.mark.slow, id="-".join(one))
        for one in VARIANTS
    ],
)


def table(seed):
    random = np.random.default_rng(seed)
    return types.SimpleNamespace(
        states=draw(ROWS, STATES, seed=seed),
        actions=np.tanh(draw(ROWS, ACTIONS, seed=seed + 1)),
        rewards=draw(ROWS, seed=seed + 2),
        next_states=draw(ROWS, STATES, seed=seed + 3),
        discounts=np.resize([1.0, 1.0, 0.0], ROWS).astype(np.float32),
        predictions=tf.constant(random.random((ROWS, CANDIDATES, ACTIONS)), tf.float16),
        mask=tf.ones([ROWS, CANDIDATES], tf.bool),
    )


def build(variant, seed=1, **changes):
    name, outer = variant
    own = {"cells": CellsConfig(hidden_units=(5,)), "warmup_steps": 2, "outer": outer}
    values = {"hidden_units": (6,), **(own if name == "xmtf" else {}), **changes}
    config = AGENTS[name].config(**values)
    candidates = CANDIDATES if name == "xmtf" else 0
    return build_agent(name, STATES, ACTIONS, config, seed=seed, candidates=candidates)


def trained(agent, steps, data_seed=10, **given):
    before = int(agent.train_step_counter)
    train_offline(agent, table(data_seed), steps, 8, seed=3, made_before=before, **given)
    return agent


def beside(directory):
    return str(directory / "Format-Serving")


def variables(agent, directory):
    """By path below the agent, every variable of its checkpoint."""
    reader = tf.train.load_checkpoint(tf.train.Checkpoint(agent=agent).write(str(directory / "c")))
    found = {
        name.removesuffix("/.ATTRIBUTES/VARIABLE_VALUE"): reader.get_tensor(name)
        for name in reader.get_variable_to_shape_map()
        if name.startswith("agent/")
    }
    return {name.removeprefix("agent/"): value for name, value in found.items()}


def owners(path, entry):
    """Names of the declared paths that a checkpoint's variable lies below."""
    # A moment of an optimizer is stored beneath the variable that it is of.
    moment = re.search(r"/\.OPTIMIZER_SLOT/agent/(.*)/[^/]+$", path)
    place = moment[1] if moment else path
    declared = [
        one for part in (entry.kept, entry.reset) for paths in part.values() for one in paths
    ]
    return [one for one in declared if place == one or place.startswith(f"{one}/")]


@EACH
def test_every_variable_of_an_agent_is_declared_once(variant, tmp_path):
    entry = AGENTS[variant[0]].carried
    for path in variables(trained(build(variant), 2), tmp_path):
        found = owners(path, entry)
        assert len(found) == 1, f"say in agents/carried_state.py what becomes of {path}: {found}"
        # It is a setting, and a checkpoint would bring yesterday's.
        assert "learning_rate" not in path


@pytest.mark.slow
@pytest.mark.parametrize("name", AGENTS)
def test_what_is_declared_exists(name, tmp_path):
    entry = AGENTS[name].carried
    found = {
        owner
        for variant in VARIANTS
        if variant[0] == name
        for path in variables(trained(build(variant), 2), tmp_path)
        for owner in owners(path, entry)
    }
    declared = {
        one for part in (entry.kept, entry.reset) for paths in part.values() for one in paths
    }
    assert found == declared


@EACH
def test_a_warm_start_goes_on_as_if_training_had_not_ended(variant, tmp_path):
    first = trained(build(variant), 3)
    save_agent(first, beside(tmp_path))
    # Another start and other data: whatever is not carried over differs.
    second = trained(build(variant, seed=1), 2, data_seed=50)
    restore_agent(second, beside(tmp_path))
    expected, found = (variables(trained(one, 3), tmp_path) for one in (first, second))
    assert expected.keys() == found.keys()
    for path, value in expected.items():
        np.testing.assert_allclose(found[path], value, rtol=1e-4, atol=1e-6, err_msg=path)


@EACH
def test_the_optimizers_of_a_new_process_get_their_moments(variant, tmp_path):
    """They have no variables yet when the checkpoint is read."""
    first = trained(build(variant), 3)
    save_agent(first, beside(tmp_path))
    before = variables(first, tmp_path)
    second = build(variant, seed=2)
    restore_agent(second, beside(tmp_path))
    after = variables(trained(second, 1), tmp_path)
    second_moments = [path for path in before if path.endswith("/v")]
    assert second_moments
    for path in second_moments:
        # v = .999 v + .001 g²: had it begun at 0, it would be a step's share of three steps' sum.
        assert (after[path] >= 0.998 * before[path]).all(), path
    for path in before:
        if path.endswith("/iter"):
            assert before[path] <= after[path] <= before[path] + 1, path


@EACH
def test_a_warm_start_learns_at_the_rates_of_its_own_settings(variant, tmp_path):
    first = trained(build(variant), 3)
    save_agent(first, beside(tmp_path))
    before = variables(first, tmp_path)
    names = [
        field.name
        for field in dataclasses.fields(AGENTS[variant[0]].config)
        if field.name.endswith("learning_rate")
    ]
    assert names
    slow = build(variant, **dict.fromkeys(names, 1e-9))
    restore_agent(slow, beside(tmp_path))
    after = variables(trained(slow, 3), tmp_path)
    entry = AGENTS[variant[0]].carried
    learnt = {one for words in ("networks", "cells") for one in entry.kept.get(words, ())}
    compared = [path for path in before if "SLOT" not in path and set(owners(path, entry)) & learnt]
    assert compared
    for path in compared:
        np.testing.assert_allclose(after[path], before[path], atol=1e-6, err_msg=path)


def test_a_killed_training_that_began_warm_ends_as_if_it_had_not_been(tmp_path):
    save_agent(trained(build(FAST), 3), beside(tmp_path))

    def warm(steps, folder):
        agent = build(FAST)
        restore_agent(agent, beside(tmp_path))
        before = int(agent.train_step_counter)
        logs = train_offline(
            agent,
            table(10),
            steps,
            8,
            log_every=2,
            checkpoint_dir=str(tmp_path / folder),
            checkpoint_every=2,
            made_before=before,
        )
        return variables(agent, tmp_path), [log.step for log in logs]

    whole, steps = warm(6, "whole")
    assert steps == [2, 4, 6]
    warm(4, "parts")
    parts, steps = warm(6, "parts")
    assert steps == [6]
    for path, value in whole.items():
        np.testing.assert_allclose(parts[path], value, rtol=1e-4, atol=1e-6, err_msg=path)


def test_steps_that_were_not_made_are_not_counted():
    with pytest.raises(ValueError, match="has made 0 steps, not the 5 before"):
        train_offline(build(FAST), table(0), 1, 8, made_before=5)


def test_another_agents_state_is_refused(tmp_path):
    save_agent(build(FAST), beside(tmp_path))
    with pytest.raises(DataError, match="cannot be started from"):
        restore_agent(build(FAST, hidden_units=(7,)), beside(tmp_path))


def test_a_second_day_does_not_wipe_the_cells(tmp_path):
    """Counted from 0 again, the warm-up took cells from .26 to .03 of the identity."""
    warmup = 300
    settings = {
        "warmup_steps": warmup,
        "inner_learning_rate": 2e-2,
        "cells": CellsConfig("basis", hidden_units=(5,)),
    }

    def distance(agent):
        points = tf.constant(np.random.default_rng(0).random((ROWS, 24, ACTIONS)), tf.float32)
        states = agent.normalized(tf.constant(table(10).states))
        error = agent.fusion.inner(points, states) - points
        return float(tf.sqrt(tf.reduce_mean(tf.square(error))))

    first = trained(build(FAST, **settings), warmup + 200)
    learnt = distance(first)
    save_agent(first, beside(tmp_path))

    def after_a_second_day(*, from_zero):
        agent = build(FAST, **settings)
        restore_agent(agent, beside(tmp_path))
        assert distance(agent) == pytest.approx(learnt, rel=1e-5)
        if from_zero:
            agent.train_step_counter.assign(0)
        return distance(trained(agent, warmup))

    assert after_a_second_day(from_zero=False) > 0.85 * learnt
    # Without this the cells would have had nothing to lose.
    assert after_a_second_day(from_zero=True) < 0.6 * learnt


def test_every_learner_is_in_the_page():
    page = Path("docs/daily-loop.md").read_text(encoding="utf-8")
    rows = {
        row.split("|")[1].strip(): row
        for row in page.partition("## Warm start")[2].partition("\n## ")[0].splitlines()
        if row.startswith("|")
    }
    agents = {f"`{name}`": entry.carried for name, entry in AGENTS.items()}
    for name, carried in {**agents, **OTHER_LEARNERS}.items():
        _, _, kept, reset, _ = rows[name].split("|")
        for words, cell in ((carried.kept, kept), (carried.reset, reset)):
            for word in words:
                assert word in cell, (name, word)
