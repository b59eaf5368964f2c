"""xMTF's Table 3 in its published simulator: the design, and a trial in both worlds."""

import dataclasses

import numpy as np
import pytest

from mtfx.environments.simulator.config import CIRCULAR
from mtfx.environments.simulator.dynamics import Simulator
from mtfx.environments.simulator.published_response import PublishedResponse
from mtfx.environments.simulator.world import INDEPENDENT, load_world, save_world
from mtfx.errors import UserError
from mtfx.experiments.engine.data import describe_world
from mtfx.experiments.engine.design import FusionOptions
from mtfx.experiments.engine.table_text import markdown
from mtfx.experiments.engine.tables import fill_table
from mtfx.experiments.xmtf.published import published, run_trial
from mtfx.experiments.xmtf.run import expected_watch, ranked_by
from mtfx.experiments.xmtf.trial import XmtfTrial
from tests.experiments.xmtf.test_run import SETTINGS
from tests.simulator_worlds import FEEDBACKS, random_world


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A published world, and the same with independent users in it."""
    directory = tmp_path_factory.mktemp("world")
    independent = random_world(users=60, pool=20)
    rng = np.random.default_rng(0)
    response = PublishedResponse(
        {
            "watch_s": rng.uniform(0.0, 30.0, (60, 20)),
            "chances": np.asarray(independent.predictions),
            "logged_s": rng.uniform(0.0, 3_000.0, 60),
            "duration_s": np.full((60, 20), 30.0),
        },
        FEEDBACKS,
    )
    save_world(dataclasses.replace(independent, response=response), directory)
    save_world(independent, directory / INDEPENDENT)
    return directory


def test_the_rules_are_the_published_ones_and_all_are_held_against_batchrl():
    [table] = published(FusionOptions((0, 1), (("steps", 7),))).tables
    columns = {column.title: column for column in table.columns}
    for column in table.columns:
        config = column.trials[0].config
        assert (config.candidates, config.max_views) == (1_000, 97)
        assert len(column.trials) == 2
    assert columns["xMTF"].trials[0].config.steps == 7
    assert columns["xMTF"].against == {
        "BatchRL-MTF-2": "BatchRL-MTF-2",
        "longest expected": "longest expected",
    }
    assert columns["BatchRL-MTF-2"].against == {"longest expected": "longest expected"}
    assert columns["xMTF"].paper == {("simulator", "watch_s"): 1279.7}
    [smaller] = published(FusionOptions((0,), (("candidates", 50),))).tables
    assert smaller.columns[0].trials[0].config.candidates == 50
    results = {
        trial.key: {
            "metrics": {
                name: {"watch_s": watch, "views": 9.0, "positive_rate": 0.5}
                for name in ("simulator", "independent")
            }
        }
        for column, watch in zip(table.columns, (100, 110, 120, 125, 130, 140.4, 260), strict=True)
        for trial in column.trials
    }
    text = markdown(fill_table(table, (0, 1), results))
    assert "+8.00%" in text
    assert "independent" in text


def test_longest_first_is_ranked_by_the_answer_itself(world):
    published_world = Simulator(load_world(world))
    table = expected_watch(published_world.world.response, seed=3)
    watch = published_world.world.response.arrays()["watch_s"]
    np.testing.assert_array_equal(np.argsort(table[..., 0]), np.argsort(watch))
    ranked = ranked_by(published_world, table)
    assert ranked.world.prediction_names == ("expected",)
    assert ranked.config == published_world.config


@pytest.mark.slow
@pytest.mark.parametrize("subject", ["equal", "longest", "batchrl_2", "xmtf"])
def test_a_policy_is_measured_in_both_worlds(world, subject):
    data = describe_world(str(world))
    assert data.facts()[-1] == CIRCULAR
    trial = XmtfTrial(subject, 0, tuple({**dict(SETTINGS), "max_views": 10}.items()))
    metrics = run_trial(data, trial, {})["metrics"]
    assert metrics["simulator"]["watch_s"] != metrics["independent"]["watch_s"]
    assert all(metrics[name]["views"] >= 1 for name in ("simulator", "independent"))
    if subject == "longest":
        equal = run_trial(data, XmtfTrial("equal", 0, trial.settings), {})["metrics"]
        assert metrics["simulator"]["watch_s"] > equal["simulator"]["watch_s"]


def test_another_world_is_refused(world):
    data = describe_world(str(world / INDEPENDENT))
    with pytest.raises(UserError, match="does not answer with the ranking model's prediction"):
        run_trial(data, XmtfTrial("equal", 0), {})
