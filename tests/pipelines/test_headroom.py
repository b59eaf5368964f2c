"""``mtfx headroom`` of a simulator and of a run."""

import dataclasses
import json

import numpy as np
import pytest

from mtfx.cli.__main__ import main
from mtfx.components.headroom_estimator import HeadroomEstimator
from mtfx.environments.simulator.config import CIRCULAR
from mtfx.environments.simulator.published_response import PublishedResponse
from mtfx.environments.simulator.world import save_world
from mtfx.evaluation.simulator.headroom import FUNCTIONS, rows_from_json
from mtfx.models.fusion.config import FusionConfig
from tests.simulator_worlds import FEEDBACKS, random_world


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    directory = tmp_path_factory.mktemp("world")
    save_world(random_world(users=30, pool=20), directory)
    return directory


def test_a_simulators_headroom_is_printed_and_written(world, tmp_path, capfd):
    options = ["--sessions", "60", "--samples", "4", "--output-dir", str(tmp_path / "out")]
    assert main(["headroom", "--simulator", str(world), *options]) == 0
    said = capfd.readouterr().out
    assert all(title in " ".join(said.split()) for title in ("equal weights", "oracle"))
    found = json.loads((tmp_path / "out" / "headroom.json").read_text())
    assert [row.name for row in rows_from_json(found["rows"])] == list(FUNCTIONS)
    assert found["options"]["sessions"] == 60
    assert (tmp_path / "out" / "headroom.png").read_bytes().startswith(b"\x89PNG")


def test_a_circular_world_is_called_so_and_keeps_its_rules(tmp_path, capfd):
    other = random_world(users=12, pool=20)
    rng = np.random.default_rng(0)
    tables = {
        "watch_s": rng.uniform(1.0, 30.0, (12, 20)),
        "chances": np.full((12, 20, 3), 0.5),
        "logged_s": np.full(12, 5_000.0),
        "duration_s": np.full((12, 20), 30.0),
    }
    response = PublishedResponse(tables, FEEDBACKS)
    save_world(dataclasses.replace(other, response=response), tmp_path / "world")
    options = ["--sessions", "20", "--samples", "1", "--output-dir", str(tmp_path / "out")]
    assert main(["headroom", "--simulator", str(tmp_path / "world"), *options]) == 0
    assert "circular: users answer with" in " ".join(capfd.readouterr().out.split())
    found = json.loads((tmp_path / "out" / "headroom.json").read_text())
    assert found["caveat"] == CIRCULAR
    # All 20 items are shown: nobody leaves of his own accord, and satisfaction lasts.
    seconds = [row.watch_s.mean for row in rows_from_json(found["rows"])]
    assert max(seconds) == pytest.approx(min(seconds), rel=1e-5)


def test_a_runs_rules_and_formula_are_taken(world, tmp_path):
    report = tmp_path / "run" / "fusion" / "report"
    report.mkdir(parents=True)
    config = {"candidates": 7, "formula": "formula1", "reward": "time"}
    (report / "summary.json").write_text(json.dumps({"config": config, "simulator": str(world)}))
    options = ["--sessions", "40", "--samples", "2", "--output-dir", str(tmp_path / "out")]
    assert main(["headroom", "--run-dir", str(tmp_path / "run"), *options]) == 0
    found = json.loads((tmp_path / "out" / "headroom.json").read_text())
    assert FusionConfig.from_dict(found["formula"]).formula == "formula1"


def test_what_cannot_be_valued_is_one_line(world, tmp_path, capfd):
    out = ["--output-dir", str(tmp_path / "out")]
    for arguments, said in (
        ([], "give either --run-dir or --simulator"),
        (["--run-dir", "a", "--simulator", "b"], "give either --run-dir or --simulator"),
        (["--simulator", str(tmp_path / "no")], "where a simulator's world should be"),
        (["--run-dir", str(tmp_path / "no")], "mtfx fusion"),
    ):
        assert main(["headroom", *arguments, *out]) != 0
        error = capfd.readouterr().err
        assert said in error
        assert "Traceback" not in error


def test_the_component_is_cached_by_the_code_and_the_rules():
    assert set(HeadroomEstimator.SPEC_CLASS.PARAMETERS) == {
        "fusion",
        "simulator_config",
        "sessions",
        "seed",
        "code_version",
    }
