"""``mtfx compare`` in a simulator and on logs, and what it refuses."""

import datetime
import json

import numpy as np
import polars as pl
import pytest
import tensorflow as tf

from mtfx.cli.__main__ import main
from mtfx.environments.simulator.config import SimulatorConfig
from mtfx.environments.simulator.dynamics import Simulator
from mtfx.environments.simulator.user_groups import user_groups
from mtfx.environments.simulator.world import save_world
from mtfx.models.export.policy import PolicyMetadata, PolicyModule, export_policy
from mtfx.models.fusion.config import FusionConfig
from mtfx.serving.exploration import TrialPlan
from tests.simulator_worlds import random_world
from tests.small_rankers import STATE, export_small_ranker

USERS = 450
FEEDBACK = ("click", "long_view", "like")
DAY_MS = 86_400_000
BEGIN = 20_000 * DAY_MS + 3_600_000


def save_policy(run, method, number, action, names, state_dim):
    value = tf.Variable(np.asarray([action], np.float32))
    module = PolicyModule(lambda s: tf.tile(value, [tf.shape(s)[0], 1]), [value], state_dim)
    formula = FusionConfig().to_dict()
    about = PolicyMetadata(method, state_dim, len(action), tuple(names), formula)
    stage = run / "fusion" / "pipeline" / f"PolicySearch-{method}" / "model" / str(number)
    export_policy(module, str(stage / "Format-Serving"), about)
    return stage / "Format-Serving"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """What ``mtfx fusion`` leaves, but for what nobody reads here."""
    directory = tmp_path_factory.mktemp("run")
    world = random_world(users=USERS, pool=30, skill=4.0)
    save_world(world, directory / "world")
    (directory / "fusion" / "report").mkdir(parents=True)
    config = {"candidates": 15, "reward": "default", "formula": FusionConfig().formula}
    summary = {"config": config, "simulator": str(directory / "world")}
    (directory / "fusion" / "report" / "summary.json").write_text(json.dumps(summary))
    size = Simulator(world, SimulatorConfig(candidates=15)).state_dim
    # Weights of 0 rank nothing; the older policy of the method must not be taken.
    save_policy(directory, "bad", 9, [1.0, 1.0, 1.0], world.prediction_names, size)
    save_policy(directory, "bad", 10, [-1.0, -1.0, -1.0], world.prediction_names, size)
    return directory


def compare(tmp_path, *arguments):
    code = main(["compare", *map(str, arguments), "--output-dir", str(tmp_path / "out")])
    path = tmp_path / "out" / "comparison.json"
    return code, json.loads(path.read_text()) if path.exists() else None


def test_policies_of_a_run_are_compared_in_its_simulator(run, tmp_path, capfd):
    arms = ("--control", "bad", "--treatment", "constant", "--days", "3", "--effect", "0.5")
    code, found = compare(tmp_path, "--run-dir", run, *arms, "--min-users", "50")
    assert code == 0
    watch = found["metrics"]["watch_s"]["looks"]
    assert len(watch) == 3
    assert watch[-1]["difference"] > 0.1
    assert watch[-1]["interval"][0] > 0
    judged = user_groups(np.arange(USERS)).evaluation
    plan = TrialPlan(0.5, "simulated 0")
    treated = sum(plan.arm(str(user)) == "treatment" for user in judged)
    assert found["users"] == [len(judged) - treated, treated]
    shown = "".join(capfd.readouterr())
    assert "watch time per user" in shown
    assert "model/10/Format-Serving" in shown
    assert (tmp_path / "out" / "index.html").exists()


@pytest.mark.slow
def test_a_policy_against_itself_is_not_decided(run, tmp_path):
    arms = ("--control", "constant", "--treatment", "constant", "--days", "2")
    code, found = compare(tmp_path, "--run-dir", run, *arms)
    assert (code, found["decision"]) == (0, "undecided")
    assert found["control"] == "constant (control)"
    again = compare(tmp_path, "--run-dir", run, *arms)[1]
    assert again["metrics"] == found["metrics"]
    other = compare(tmp_path, "--run-dir", run, *arms, "--seed", "1")[1]
    assert other["metrics"] != found["metrics"]


@pytest.mark.slow
def test_exported_rankers_and_policies_are_named_by_directory(run, tmp_path):
    world = random_world(users=USERS, pool=30, skill=4.0)
    ranker, _ = export_small_ranker(tmp_path, list(world.prediction_names), world.requests.config)
    policy = next((run / "fusion" / "pipeline").glob("*/model/9/Format-Serving"))
    code, found = compare(
        tmp_path, "--run-dir", run, "--control", policy, "--treatment", ranker, "--days", "1"
    )
    assert code == 0
    assert (found["control"], found["treatment"]) == ("bad Format-Serving", "ranker ranker")
    other, _ = export_small_ranker(tmp_path / "b", ["a", "b"], STATE)
    arms = ("--control", "constant", "--treatment", other)
    assert compare(tmp_path, "--run-dir", run, *arms)[0] == 1


PLAN = TrialPlan()


def log_rows(users=300, days=3, lift=1.0, arm=PLAN.arm):
    """Requests as `mtfx join-feedback` writes them, of the columns that matter."""
    rng = np.random.default_rng(1)
    rows = []
    for user in range(users):
        group = arm(f"u{user}")
        for day in range(days):
            for play in range(int(rng.integers(1, 4))):
                watch = float(rng.gamma(2.0, 5.0)) * (lift if group == "treatment" else 1.0)
                rows.append(
                    {
                        "request_id": f"{user}-{day}-{play}",
                        "user_id": f"u{user}",
                        "timestamp_ms": BEGIN + day * DAY_MS + play * 60_000,
                        "behaviour_policy": group,
                        "watch_s": watch,
                        "feedback": [1.0, 0.0, float(rng.random() < 0.1)],
                    }
                )
    return rows


def write(directory, rows, parts=2):
    for part in range(parts):
        (directory / f"join-{part}").mkdir(parents=True, exist_ok=True)
        pl.DataFrame(rows[part::parts]).write_parquet(directory / f"join-{part}" / "part-0.parquet")
    return directory


LOGGED = ("--control", "control", "--treatment", "treatment", "--feedback", ",".join(FEEDBACK))


def test_arms_of_a_log_are_compared(tmp_path):
    rows = log_rows(lift=1.6)
    log = write(tmp_path / "log [nov]", [*rows, *rows[:5]])
    write(log / "join-0.partial", [{**rows[0], "behaviour_policy": "nobody"}], 1)
    code, found = compare(tmp_path, "--interactions", log, *LOGGED, "--effect", "0.2")
    assert (code, found["decision"]) == (0, "better")
    begin = datetime.date(1970, 1, 1) + datetime.timedelta(days=20_000)
    assert found["days"] == [str(begin + datetime.timedelta(days=day)) for day in range(3)]
    mine = [row for row in rows if row["behaviour_policy"] == "control"]
    users = len({row["user_id"] for row in mine})
    last = {name: metric["looks"][-1]["control"] for name, metric in found["metrics"].items()}
    assert last["watch_s"] == pytest.approx(sum(row["watch_s"] for row in mine) / users / 3)
    assert last["plays"] == pytest.approx(len(mine) / users / 3)
    # Clicks are no positive interaction where there are likes.
    likes = sum(row["feedback"][2] for row in mine)
    assert last["positive_rate"] == pytest.approx(likes / len(mine))
    assert "5 repeated requests are left out." in found["reasons"]


@pytest.mark.parametrize(
    "time_ms", [0, 1_700_000_000, 1_700_000_000_000_000, 1_100_000_000_000, 3_000_000_000_000, None]
)
def test_one_request_of_a_wrong_clock_leaves_the_trial_as_it_is(tmp_path, time_ms):
    rows = log_rows(lift=1.6)
    clean = compare(tmp_path, "--interactions", write(tmp_path / "clean", rows), *LOGGED)[1]
    first = {**rows[0], "request_id": "new", "timestamp_ms": time_ms, "watch_s": 9e6}
    log = write(tmp_path / "log", [*rows, first])
    code, found = compare(tmp_path, "--interactions", log, *LOGGED)
    assert code == 0
    assert found["metrics"] == clean["metrics"]
    assert (found["days"], found["decision"]) == (clean["days"], clean["decision"])
    assert any("1 requests are left out whose times" in reason for reason in found["reasons"])


def test_times_of_a_trial_are_read_by_their_type(tmp_path, capfd):
    log = write(tmp_path / "log", log_rows(lift=1.6))
    path = log / "join-0" / "part-0.parquet"
    milliseconds = pl.col("timestamp_ms").cast(pl.Datetime("ms"))
    rows = pl.read_parquet(path)
    rows.with_columns(milliseconds.cast(pl.Datetime("us"))).write_parquet(path)
    code, found = compare(tmp_path, "--interactions", log, *LOGGED, "--effect", "0.2")
    assert (code, len(found["days"])) == (0, 3)
    rows.with_columns(milliseconds.dt.date()).write_parquet(path)
    compare(tmp_path, "--interactions", log, *LOGGED)
    assert "part-0.parquet: column timestamp_ms is of type Date" in capfd.readouterr().err


def in_both(rows):
    first = next(row for row in rows if row["behaviour_policy"] == "control")
    return [*rows, {**first, "request_id": "new", "behaviour_policy": "treatment"}]


def one_user(rows):
    return [
        row for row in rows if row["behaviour_policy"] == "control" or row["user_id"] == treated
    ]


treated = next(f"u{n}" for n in range(300) if TrialPlan().arm(f"u{n}") == "treatment")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda rows: [r for r in rows if r["behaviour_policy"] == "control"], "of this arm"),
        (one_user, "requests of 1 user of this arm"),
        (in_both, "1 users were served by both arms"),
        (
            lambda rows: [{**r, "watch_s": 0.0, "feedback": [0.0] * 3} for r in rows],
            "was the feedback joined?",
        ),
        (lambda rows: [{**r, "feedback": [1.0]} for r in rows], "--feedback names 3"),
        (lambda rows: [{**r, "watch_s": float("nan")} for r in rows], "lack a user"),
        (lambda rows: [{**r, "watch_s": "long"} for r in rows], "damaged or no Parquet file"),
        (
            lambda rows: [{**r, "timestamp_ms": r["timestamp_ms"] // 1000} for r in rows],
            "is it in s instead of ms",
        ),
        (lambda rows: [{"request_id": "a"}], "lacks user_id"),
    ],
)
def test_a_log_that_cannot_be_judged_is_refused_in_words(change, words, tmp_path, capfd):
    log = write(tmp_path / "log", change(log_rows(users=40)), parts=1)
    code, found = compare(tmp_path, "--interactions", log, *LOGGED)
    assert (code, found) == (1, None)
    shown = capfd.readouterr().err
    assert words in shown
    assert "Traceback" not in shown


@pytest.mark.parametrize("silent", ["control", "treatment"])
def test_an_arm_without_any_feedback_is_named(silent, tmp_path, capfd):
    """One side's client was updated and names other requests: its zeros are no outcome."""
    rows = [
        {**row, "watch_s": 0.0, "feedback": [0.0] * 3} if row["behaviour_policy"] == silent else row
        for row in log_rows(users=40)
    ]
    log = write(tmp_path / "log", rows, parts=1)
    assert compare(tmp_path, "--interactions", log, *LOGGED) == (1, None)
    assert f"requests of {silent} has watch time or an interaction" in (
        " ".join(capfd.readouterr().err.split())
    )


def test_a_damaged_or_missing_log_is_refused_in_words(tmp_path, capfd):
    log = write(tmp_path / "log", log_rows(users=40))
    (log / "join-1" / "part-0.parquet").write_bytes(b"PAR1 damaged")
    assert compare(tmp_path, "--interactions", log, *LOGGED) == (1, None)
    assert "join-1/part-0.parquet is damaged" in capfd.readouterr().err
    assert compare(tmp_path, "--interactions", tmp_path / "none", *LOGGED) == (1, None)
    assert "no Parquet file of joined requests" in capfd.readouterr().err


def test_groups_that_were_not_divided_as_planned_decide_nothing(tmp_path, capfd):
    def uneven(user):
        return TrialPlan(0.3).arm(user)

    log = write(tmp_path / "log", log_rows(users=500, lift=2.0, arm=uneven))
    code, found = compare(tmp_path, "--interactions", log, *LOGGED, "--effect", "0.2")
    assert (code, found["decision"], found["sample_ratio_mismatch"]) == (0, "invalid", True)
    assert "were not divided as planned" in capfd.readouterr().out
    share = ("--treatment-share", "0.3")
    found = compare(tmp_path, "--interactions", log, *LOGGED, "--effect", "0.2", *share)[1]
    assert found["decision"] == "better"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--control", "a", "--treatment", "b"), "give either --run-dir or --interactions"),
        (("--run-dir", "r", "--control", "a", "--treatment", "b", "--days", "0"), "--days"),
        (("--run-dir", "r", "--control", "a", "--treatment", "b", "--seed", "-1"), "--seed"),
        (("--run-dir", "r", "--control", "a", "--treatment", "b", "--alpha", "2"), "--alpha must"),
        (("--interactions", "i", "--control", "a", "--treatment", "b"), "takes --feedback"),
        (("--interactions", "i", "--control", "a", "--treatment", "a", "--feedback", "c"), "both"),
        (("--run-dir", "r", *LOGGED), "--feedback is for"),
        (("--run-dir", "nowhere", "--control", "a", "--treatment", "b"), "no run of `mtfx fusion`"),
    ],
)
def test_wrong_flags_are_named(arguments, words, tmp_path, capfd):
    assert compare(tmp_path, *arguments) == (1, None)
    assert words in capfd.readouterr().err


def test_an_unknown_policy_names_those_there_are(run, tmp_path, capfd):
    arms = ("--control", "constant", "--treatment", "../../nowhere")
    assert compare(tmp_path, "--run-dir", run, *arms) == (1, None)
    assert "the run has bad, constant" in capfd.readouterr().err
    arms = ("--control", run, "--treatment", "constant")
    assert compare(tmp_path, "--run-dir", run, *arms) == (1, None)
    assert "holds no policy or ranker" in capfd.readouterr().err
