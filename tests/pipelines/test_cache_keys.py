"""Every flag that changes a result changes the cache key of a stage; the others are listed here.

A flag that is added to a command has to be added to one of its two tables.
"""

import json

import pytest
from tfx.dsl.compiler import compiler

from mtfx.cli.__main__ import cli
from mtfx.cli.shared_flags import Invocation
from mtfx.environments.simulator.world import save_world
from mtfx.pipelines import daily, fusion, local_runner, ranking
from mtfx.pipelines.day_check import create_check
from mtfx.pipelines.infra_validation import InfraValidation
from tests.simulator_worlds import random_world

PLACE = "where outputs go, or what is shown: no part of the result"
SPEED = "how fast: processes and what Beam is told"
BEGIN = "whether the cache is used at all"

#: By the name of its field, what makes another result of a flag.
RANKING = {
    "dataset": ["synthetic-video"],
    "data_dir": ["data-2"],
    "tasks": ["click"],
    "backbone": ["ple"],
    "model_size": ["paper"],
    "epochs": ["2"],
    "batch_size": ["64"],
    "learning_rate": ["0.01"],
    "patience": ["1"],
    "task_weights": ["click=2"],
    "loss_weighting": ["pcgrad"],
    "name": ["rmtl"],
    "settings": ["lambda=0.5", "--method", "rmtl"],
    "critic_path": ["critics", "--method", "rmtl"],
    "base_model": ["model"],
    "mixed_precision": [],
    "strategy": ["mirrored"],
    "jit_compile": [],
    "deterministic": [],
    "seed": ["1"],
    "split_fractions": ["0.5,0.3,0.2"],
    "gap_minutes": ["10"],
    "max_session_length": ["9"],
    "history_length": ["9"],
    "max_bad_rows": ["0.5"],
    "pattern": ["day-{SPAN}/*"],
    "span": ["2", "--pattern", "day-{SPAN}/*"],
    "schema_file": ["schema.pbtxt"],
    "min_auc": ["0.9"],
    "max_auc_drop": ["0.5"],
    "allow_worse_than_rate": [],
    "min_r_squared": ["0.5", "--tasks", "watch_time_ms"],
}
RANKING_NOT = {
    "output_dir": PLACE,
    "compare_trees": PLACE,
    "beam_workers": SPEED,
    "beam_args": SPEED,
    "cache": BEGIN,
    "debug": PLACE,
}
FUSION = {
    "run_dir": ["run-2"],
    "method": ["td3"],
    "baselines": ["constant"],
    "formula": ["formula3"],
    "leave_out": ["play_integrity"],
    "reward": ["interaction"],
    "exploration": ["noise"],
    "explore_around": ["bo"],
    "response": ["published"],
    "users": ["50"],
    "pool": ["200"],
    "candidates": ["50"],
    "sessions": ["99"],
    "eval_sessions": ["99"],
    "train_steps": ["99"],
    "batch_size": ["99"],
    "settings": ["rho=0.2"],
    "push": ["best"],
    "estimator": ["fqe"],
    "max_return_drop": ["0.5"],
    "keep_simulator": ["--served-log", "served"],
    "headroom": [],
    "ope_penalty": ["0.5"],
    "data_dir": ["served"],
    "pattern": ["*.gz", "--served-log", "served"],
    "span": ["2", "--served-log", "served", "--pattern", "day-{SPAN}/*"],
    "base_policy": ["model"],
    "candidate_buckets": ["64"],
    "platform": ["docker"],
    "tag": ["2.0.0", "--infra-validator", "docker"],
    "seed": ["1"],
}
FUSION_NOT = {"beam_workers": SPEED, "beam_args": SPEED, "cache": BEGIN, "debug": PLACE}
SIMULATOR = {
    "run_dir": ["run-2"],
    "leave_out": ["play_integrity"],
    "response": ["fitted"],
    "predictions": ["true"],
    "users": ["50"],
    "pool": ["200"],
    "seed": ["1"],
}
SIMULATOR_NOT = {"cache": BEGIN, "debug": PLACE}
DAILY = {
    "dataset": ["synthetic-video"],
    "data_dir": ["data-2"],
    "pattern": ["other-{SPAN}/*"],
    "window": ["1"],
    "history_days": ["1"],
    "history_length": ["9"],
    "served_dir": ["served"],
    "served_pattern": ["other-{SPAN}/*.parquet", "--served-dir", "served"],
    "drift_threshold": ["0.5"],
    "label_drift": ["2"],
    "keep_simulator": ["--served-dir", "served"],
    "rows_drift": ["3"],
    "max_bad_rows": ["0.5"],
    "tasks": ["click"],
    "backbone": ["ple"],
    "model_size": ["paper"],
    "epochs": ["2"],
    "batch_size": ["64"],
    "min_auc": ["0.9"],
    "max_auc_drop": ["0.5"],
    "min_r_squared": ["0.5"],
    "allow_worse_than_rate": [],
    "method": ["td3"],
    "baselines": ["bo"],
    "formula": ["formula3"],
    "leave_out": ["play_integrity"],
    "reward": ["interaction"],
    "users": ["50"],
    "pool": ["200"],
    "candidates": ["50"],
    "sessions": ["99"],
    "eval_sessions": ["99"],
    "train_steps": ["99"],
    "settings": ["rho=0.2"],
    "estimator": ["fqe"],
    "max_return_drop": ["0.5"],
    "candidate_buckets": ["64"],
    "seed": ["1"],
    "span": ["5", "--from", "4"],
}
DAILY_NOT = {
    "start": "which days are run",
    "output_dir": PLACE,
    "beam_workers": SPEED,
    "beam_args": SPEED,
    "debug": PLACE,
}
#: What a command is given before a flag is added.
GIVEN = {
    "ranking": ["--dataset", "kuairand", "--data-dir", "data", "--output-dir", "out"],
    "fusion": ["--run-dir", "run"],
    "simulator": ["--run-dir", "run"],
    "daily": ["--dataset", "kuairand", "--data-dir", "data", "--output-dir", "run", "--span", "4"],
}
TABLES = {
    "ranking": (RANKING, RANKING_NOT),
    "fusion": (FUSION, FUSION_NOT),
    "simulator": (SIMULATOR, SIMULATOR_NOT),
    "daily": (DAILY, DAILY_NOT),
}


class CapturedError(Exception):
    """What a command was about to run."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Folders with whatever the flags above name."""
    made = tmp_path_factory.mktemp("flags")
    (made / "model" / "Format-Serving").mkdir(parents=True)
    (made / "model" / "Format-Serving" / "saved_model.pb").write_bytes(b"1")
    (made / "critics").mkdir()
    (made / "critics" / "critics.json").write_text("{}")
    (made / "schema.pbtxt").write_text('feature { name: "a" }')
    for name in ("run", "run-2"):
        (made / name / "world").mkdir(parents=True)
        save_world(random_world(), made / name / "world")
        (made / name / "metadata.db").touch()
        data = {"dataset": "kuairand", "data_dir": str(made / f"data-of-{name}")}
        for report, content in (
            ("report", {"config": {"data": data}}),
            ("fusion/report", {"simulator": str(made / name / "world")}),
        ):
            (made / name / report).mkdir(parents=True)
            (made / name / report / "summary.json").write_text(json.dumps(content))
    for kind in ("data", "data-2", "served"):
        for below in ("", *(f"{name}-{day}" for name in ("day", "other") for day in (3, 4, 5))):
            (made / kind / below).mkdir(parents=True, exist_ok=True)
            (made / kind / below / "log_standard_x.csv").write_text("user_id\n")
    return made


@pytest.fixture
def keys(folder, monkeypatch):
    """What enters the cache keys of all stages of a command line, by stage."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(InfraValidation, "check", lambda self: None)

    def run(pipeline, *_):
        raise CapturedError(_parameters(pipeline))

    def run_days(config, spans, *_):
        raise CapturedError(_of_a_day(config, spans[-1]))

    monkeypatch.setattr(local_runner, "run", run)
    monkeypatch.setattr(daily, "run_days", run_days)

    def of(command, *extra):
        with pytest.raises(CapturedError) as raised:
            cli.main([command, *GIVEN[command], *extra], standalone_mode=False, obj=Invocation())
        return raised.value.args[0]

    return of


def _parameters(pipeline):
    """Execution properties, what is said of imported artifacts, and whose outputs are inputs."""
    nodes = [node.pipeline_node for node in compiler.Compiler().compile(pipeline).nodes]
    return {
        node.node_info.id: [
            *(
                (name, value.SerializeToString(deterministic=True))
                for part in (node.parameters.parameters, node.outputs.outputs)
                for name, value in sorted(part.items())
            ),
            *(
                (name, tuple(channel.producer_node_query.id for channel in value.channels))
                for name, value in sorted(node.inputs.inputs.items())
            ),
        ]
        for node in nodes
    }


def _of_a_day(config, span):
    """Those of the three pipelines of a day in the middle of a loop."""
    served = tuple(day for day in config.served_spans() if day <= span)[-config.window :]
    check = create_check(
        config.ranking_of(span, (), "").data,
        config.output_dir,
        config.thresholds,
        "run/statistics",
        config.ranking.beam_pipeline_args,
    )
    first = span - config.window + 1
    earlier = tuple(range(first, span))
    past = tuple(range(max(first - config.history_days, 0), first))
    return [
        _parameters(check),
        _parameters(ranking.create_pipeline(config.ranking_of(span, earlier, "", past))),
        _parameters(fusion.create_pipeline(config.fusion_of(served, ""))),
    ]


def _flag(command, name):
    [option] = [one for one in cli.commands[command].params if one.name == name]
    names = option.secondary_opts if option.is_flag and option.default is True else option.opts
    return names[0], option.is_flag


@pytest.mark.parametrize("command", TABLES)
def test_every_flag_is_in_one_of_the_tables(command):
    changing, others = TABLES[command]
    names = [option.name for option in cli.commands[command].params]
    assert sorted(names) == sorted([*changing, *others])


@pytest.mark.parametrize(
    ("command", "name"), [(command, name) for command in TABLES for name in TABLES[command][0]]
)
def test_a_flag_that_changes_a_result_changes_a_key(keys, command, name):
    flag, is_switch = _flag(command, name)
    values = TABLES[command][0][name]
    value, rest = ([], values) if is_switch else (values[:1], values[1:])
    assert keys(command, *rest, flag, *value) != keys(command, *rest)


@pytest.mark.parametrize(("command", "flag"), [("ranking", "--no-cache"), ("fusion", "--no-cache")])
def test_keys_are_the_same_for_the_same_command_line(keys, command, flag):
    assert keys(command, flag) == keys(command)


def _edit(path, content):
    before = path.read_bytes()
    path.write_bytes(content)
    return before


@pytest.mark.parametrize(
    ("arguments", "file"),
    [
        (("ranking", "--base-model", "model"), "model/Format-Serving/saved_model.pb"),
        (("ranking", "--method", "rmtl", "--critics", "critics"), "critics/critics.json"),
        (("ranking", "--schema", "schema.pbtxt"), "schema.pbtxt"),
        (("fusion", "--base-policy", "model"), "model/Format-Serving/saved_model.pb"),
    ],
)
def test_what_a_flag_names_counts_by_its_content(keys, folder, arguments, file):
    before = keys(*arguments)
    held = _edit(folder / file, b'feature { name: "b" }')
    assert keys(*arguments) != before
    _edit(folder / file, held)
    assert keys(*arguments) == before


def test_the_simulator_looks_at_the_files_that_it_reads(keys, folder):
    log = folder / "data-of-run" / "log_random_x.csv"
    log.parent.mkdir()
    before = keys("simulator")
    log.write_text("user_id\n")
    first = keys("simulator")
    log.write_text("user_is\n")
    assert len({str(found) for found in (before, first, keys("simulator"))}) == 3
