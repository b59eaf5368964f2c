"""``mtfx explain`` on exported rankers: where states come from, what is written, bad input."""

import csv
import dataclasses
import json
import shutil

import numpy as np
import pytest

from mtfx.cli.__main__ import main
from mtfx.environments.simulator.config import SimulatorConfig
from mtfx.environments.simulator.dynamics import Simulator
from mtfx.environments.simulator.world import save_world
from mtfx.pipelines.explain import ranker_of_run
from mtfx.serving.interaction_log import InteractionLogger, RequestContext
from mtfx.serving.messages import Ranking
from tests.simulator_worlds import random_world
from tests.small_rankers import export_small_ranker

WORLD = random_world(users=8, pool=15)
NAMES = Simulator(WORLD).state_names


@pytest.fixture(scope="module")
def ranker(tmp_path_factory):
    directory = tmp_path_factory.mktemp("ranker")
    return str(export_small_ranker(directory, WORLD.prediction_names, WORLD.requests.config)[0])


@pytest.fixture(scope="module")
def world_dir(tmp_path_factory):
    directory = tmp_path_factory.mktemp("world")
    save_world(WORLD, directory)
    return str(directory)


def write_csv(path, rows, names=NAMES):
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["user", *names])
        writer.writerows(rows)
    return str(path)


@pytest.mark.slow
def test_states_of_a_file(ranker, tmp_path, capfd):
    rows = np.random.default_rng(0).normal(size=(2, len(NAMES))).round(3)
    table = write_csv(tmp_path / "states.csv", [["ann", *rows[0]], ["", *rows[1]]])
    listed = tmp_path / "states.json"
    listed.write_text(
        json.dumps([{"user": "ann", "state": list(rows[0])}, {"state": list(rows[1])}])
    )
    found = []
    for file in (table, str(listed)):
        out = tmp_path / f"out-{len(found)}"
        arguments = ["explain", "--ranker", ranker, "--requests", file, "--output-dir", str(out)]
        assert main(arguments) == 0
        found.append(json.loads((out / "curves.json").read_text()))
        assert (out / "curves.png").stat().st_size > 1000
    assert found[0]["users"] == found[1]["users"] == ["ann", "2"]
    assert found[0]["contribution"] == found[1]["contribution"]
    assert len(found[0]["grid"]) == 201
    assert "task_0" in capfd.readouterr().out


@pytest.mark.slow
def test_states_of_a_request_log(ranker, tmp_path, capfd):
    rng = np.random.default_rng(0)
    states = rng.normal(size=(6, len(NAMES))).astype(np.float32)
    answers = [
        Ranking(*(np.zeros(1),) * 2, np.zeros([1, 3]), np.zeros(3), state) for state in states
    ]
    with InteractionLogger(tmp_path / "log") as log:
        for number, answer in enumerate(answers):
            user = "abc"[number % 3]
            context = RequestContext(f"r{number}", "s", user, number, "policy")
            log.log_request(context, b"", answer, 0, 1.0)
    source = ["--ranker", ranker, "--requests", str(tmp_path / "log" / "requests")]
    assert run(tmp_path, *source, "--points", "3") == 0
    found = json.loads((tmp_path / "out" / "curves.json").read_text())
    assert found["users"] == ["a", "b", "c"]
    table = write_csv(tmp_path / "last.csv", [["b", *states[4].tolist()]])
    assert run(tmp_path, *source, "--points", "3", "--user", "b") == 0
    logged = json.loads((tmp_path / "out" / "curves.json").read_text())
    assert run(tmp_path, "--ranker", ranker, "--requests", table, "--points", "3") == 0
    assert logged == json.loads((tmp_path / "out" / "curves.json").read_text())
    assert logged["contribution"] == found["contribution"][1:2]
    (tmp_path / "none").mkdir()
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "a.parquet").write_bytes(b"x")
    with InteractionLogger(tmp_path / "other") as log:
        context = RequestContext("r", "s", "a", 0, "policy")
        log.log_request(context, b"", dataclasses.replace(answers[0], state=np.zeros(2)), 0, 1.0)
    cases = (
        ([*source, "--user", "z"], "has no such user"),
        ([*source[:3], str(tmp_path / "none")], "holds no Parquet file"),
        ([*source[:3], str(tmp_path / "damaged")], "is no log of served requests"),
        ([*source[:3], str(tmp_path / "other" / "requests")], "user a has 2 numbers"),
    )
    assert_all_named(tmp_path, capfd, cases)


def run(tmp_path, *arguments):
    return main(["explain", *arguments, "--output-dir", str(tmp_path / "out")])


@pytest.mark.slow
def test_users_of_a_simulator(ranker, world_dir, tmp_path):
    arguments = ["--ranker", ranker, "--simulator", world_dir, "--points", "5"]
    assert run(tmp_path, *arguments, "--user", "3,6") == 0
    found = json.loads((tmp_path / "out" / "curves.json").read_text())
    assert found["users"] == ["3", "6"]
    assert np.shape(found["inner"]) == (2, 3, 5)
    assert run(tmp_path, *arguments) == 0
    assert json.loads((tmp_path / "out" / "curves.json").read_text())["users"] == list("0247")


@pytest.mark.slow
def test_a_runs_last_ranker(ranker, world_dir, tmp_path):
    report = tmp_path / "run" / "fusion" / "report"
    report.mkdir(parents=True)
    config = {"candidates": SimulatorConfig.candidates}
    summary = {"ranker": ranker, "simulator": world_dir, "config": config}
    (report / "summary.json").write_text(json.dumps(summary))
    assert run(tmp_path, "--run-dir", str(tmp_path / "run"), "--user", "1") == 0
    assert json.loads((tmp_path / "out" / "curves.json").read_text())["method"] == "small"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("user,age\nann,3\n", "lacks the columns attribute_0"),
        (
            ",".join(NAMES) + "\n" + ",".join(["x"] * len(NAMES)),
            "row 1, column attribute_0: 'x' is no",
        ),
        (",".join(NAMES) + "\n" + ",".join(["nan"] * len(NAMES)), "'nan' is no finite number"),
        (",".join(NAMES) + "\n1,2\n", "row 1, column attribute_2: None is no finite number"),
        (",".join(NAMES) + "\n", "holds no states"),
        (",".join(NAMES) + "\n" + "1" * 200_000 + "\n", "is no CSV behind line 1"),
        (",".join(NAMES) + "\n" + "1," * len(NAMES) + "1\n", "row 1 has more fields"),
    ],
)
def test_a_bad_file_is_named_by_row_and_column(ranker, tmp_path, capfd, content, words):
    (tmp_path / "states.csv").write_text(content)
    code = run(tmp_path, "--ranker", ranker, "--requests", str(tmp_path / "states.csv"))
    assert code == 1
    assert words in capfd.readouterr().err.replace("\n", " ")
    assert not (tmp_path / "out" / "curves.json").exists()


def assert_all_named(tmp_path, capfd, cases):
    for arguments, words in cases:
        assert run(tmp_path, *arguments) == 1
        assert words in capfd.readouterr().err.replace("\n", " "), arguments


def test_a_renamed_run_is_explained_by_what_is_in_it(ranker, world_dir, tmp_path, capfd):
    """Its report has the paths of the former folder, which may still be there beside a copy."""
    first, second = tmp_path / "first", tmp_path / "second"
    places = {
        "ranker": "fusion/pipeline/RankerExporter/model/9/Format-Serving",
        "simulator": "fusion/pipeline/SimulatorGen/simulator/3",
    }
    for name, source in (("ranker", ranker), ("simulator", world_dir)):
        shutil.copytree(source, first / places[name])
    summary = {name: str(first / place) for name, place in places.items()}
    report = first / "fusion" / "report" / "summary.json"
    report.parent.mkdir(parents=True)
    report.write_text(json.dumps({**summary, "config": {"candidates": 15}}))
    shutil.copytree(first, second)
    found = ranker_of_run(str(second))
    assert (found.ranker, found.simulator) == tuple(str(second / p) for p in places.values())
    default = {"candidates": None, "pool": None, "response": "published"}
    report.write_text(json.dumps({**summary, "config": default}))
    assert ranker_of_run(str(first)).candidates == 1_000
    assert run(tmp_path, "--run-dir", str(second), "--points", "5") == 0
    shutil.rmtree(second / places["ranker"])
    assert run(tmp_path, "--run-dir", str(second)) == 1
    assert "the ranker of its last fusion, is not there" in capfd.readouterr().err.replace(
        "\n", " "
    )


def test_flags_that_do_not_fit(ranker, world_dir, tmp_path, capfd):
    cases = (
        ([], "either --run-dir or --ranker"),
        (["--ranker", ranker], "--ranker needs states"),
        (["--run-dir", str(tmp_path)], "no run of `mtfx fusion`"),
        (["--ranker", str(tmp_path), "--simulator", world_dir], "holds no ranker"),
        (["--ranker", ranker, "--simulator", world_dir, "--points", "1"], "--points must be"),
    )
    assert_all_named(tmp_path, capfd, cases)


@pytest.mark.slow
def test_other_bad_input(ranker, world_dir, tmp_path, capfd):
    (tmp_path / "states.json").write_text('[{"state": [1, 2]}]')
    (tmp_path / "broken.json").write_text("[")
    (tmp_path / "states.txt").write_text("1")
    other = tmp_path / "other"
    save_world(random_world(users=3, pool=15, attributes=2), other)
    given = ["--ranker", ranker]
    cases = (
        ([*given, "--simulator", world_dir, "--user", "99"], "no such user"),
        ([*given, "--simulator", str(other)], "of another ranking model"),
        ([*given, "--requests", str(tmp_path / "states.json")], "request 1: `state`"),
        ([*given, "--requests", str(tmp_path / "broken.json")], "is no JSON"),
        ([*given, "--requests", str(tmp_path / "states.txt")], "neither a .csv nor"),
        ([*given, "--requests", str(tmp_path / "none.csv")], "cannot be read"),
    )
    assert_all_named(tmp_path, capfd, cases)
