"""The pipeline's configuration: validation, digest, round trip, and agreement with other layers."""

import dataclasses
import re
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtfx.errors import UserError
from mtfx.evaluation.config import Thresholds
from mtfx.models.config import MODEL_SIZES, ModelConfig
from mtfx.models.loss_weighting.registry import LOSS_WEIGHTINGS
from mtfx.models.mtl.registry import BACKBONES
from mtfx.pipelines.code_version import code_version, digest_of
from mtfx.pipelines.config import RankingPipelineConfig
from mtfx.pipelines.options import DataOptions
from mtfx.trainers.ranking.config import TrainingConfig


def config(**changes):
    data = DataOptions("retailrocket", "logs")
    return dataclasses.replace(RankingPipelineConfig(data, "out"), **changes)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: DataOptions("no such", "d"), "--dataset 'no such' is neither"),
        (lambda: DataOptions("a", "d", tasks=("click", "click")), "--tasks names a task twice"),
        (lambda: DataOptions("a", "d", pattern="../e/*"), "--pattern '../e/*' leads out of"),
        (lambda: DataOptions("a", "d", pattern="a/{SPAN}/../../../e"), "leads out of --data-dir"),
        (lambda: DataOptions("a", "d", pattern="/etc/*"), "leads out of --data-dir"),
        (lambda: DataOptions("a", "d", span=-1), "--span must not be negative"),
        (lambda: DataOptions("a", "d", split_fractions=(0.5, 0.2, 0.2)), "--split must be"),
        (lambda: DataOptions("a", "d", split_fractions=(0.8, 0.2)), "--split must be"),
        (lambda: DataOptions("a", "d", split_fractions=(1.0, 0.2, -0.2)), "--split must be"),
        (lambda: DataOptions("a", "d", gap_minutes=0), "--gap-minutes must be positive"),
        (lambda: DataOptions("a", "d", max_session_length=0), "--max-session-length"),
        (
            lambda: DataOptions("a", "d", history_length=-1),
            "--history-length is a number from 0",
        ),
        (lambda: DataOptions("a", "d", history_length=1001), "from 0 to 1000, got 1001"),
        (lambda: DataOptions("a", "d", history_spans=(1,)), "--pattern '*' has no {SPAN}"),
        (lambda: DataOptions("a", "d", max_bad_rows=1.5), "--max-bad-rows is a share"),
        (lambda: DataOptions("a", "d", max_bad_rows=float("nan")), "--max-bad-rows is a share"),
        (lambda: config(seed=-1), "--seed must be from 0"),
        (lambda: config(output_dir="./logs"), "--output-dir and --data-dir are the same"),
        (lambda: config(beam_pipeline_args=("runner",)), "--beam-arg 'runner' does not begin"),
    ],
)
def test_a_wrong_value_names_its_flag(make, message):
    with pytest.raises(UserError, match=re.escape(message)):
        make()


def test_check_names_what_is_missing(tmp_path):
    def check(**data):
        values = {"dataset": "retailrocket", "data_dir": str(tmp_path), **data}
        config(data=DataOptions(**values), output_dir=str(tmp_path / "out")).check()

    with pytest.raises(UserError, match=r"--dataset: unknown data set 'nothing'; known: kuairand"):
        check(dataset="nothing")
    with pytest.raises(UserError, match=r"--dataset: cannot load data set 'no_module:SPEC'"):
        check(dataset="no_module:SPEC")
    with pytest.raises(UserError, match=r"--tasks: .* has no task 'like'; it has: click, pay"):
        check(tasks=("like",))
    with pytest.raises(UserError, match=r"--data-dir .*absent is not a directory"):
        check(data_dir=str(tmp_path / "absent"))
    with pytest.raises(UserError, match=r"has no log of data set retailrocket.*events\.csv"):
        check()
    (tmp_path / "events.csv").touch()
    check()
    with pytest.raises(UserError, match=r"--schema .*absent is not a file"):
        check(schema_file=str(tmp_path / "absent"))
    check(data_dir="gs://bucket/logs")
    day = tmp_path / "day-1"
    day.mkdir()
    (tmp_path / "events.csv").rename(day / "events.csv")
    with pytest.raises(UserError, match=r"name their folder|has no log"):
        check()
    check(pattern="day-{SPAN}/*")
    (tmp_path / "out").touch()
    with pytest.raises(UserError, match=r"--output-dir .* is a file"):
        check(pattern="day-{SPAN}/*")


def test_check_knows_what_the_model_needs(tmp_path):
    (tmp_path / "events.csv").touch()

    def check(model, tasks):
        data = DataOptions("retailrocket", str(tmp_path), tasks=tasks)
        config(data=data, model=model).check()

    with pytest.raises(UserError, match="--backbone esmm needs task 'click'"):
        check(ModelConfig("esmm"), ("pay",))
    check(ModelConfig("esmm"), ("pay", "click"))
    with pytest.raises(UserError, match="--task-weight names 'pay', which is not trained"):
        check(ModelConfig(task_weights=(("pay", 2.0),)), ("click",))


@given(
    st.sampled_from(list(BACKBONES)),
    st.sampled_from(MODEL_SIZES),
    st.sampled_from(list(LOSS_WEIGHTINGS)),
    st.lists(st.sampled_from(["click", "pay"]), unique=True).map(tuple),
    st.floats(0, 1),
    st.integers(1, 100),
    st.integers(0, 2**31 - 1),
)
def test_json_round_trip(backbone, size, weighting, tasks, max_bad_rows, epochs, seed):
    original = config(
        data=DataOptions("retailrocket", "logs", tasks=tasks, max_bad_rows=max_bad_rows),
        model=ModelConfig.of_size(
            size,
            backbone,
            task_weights=tuple((task, 2.0) for task in tasks),
            loss_weighting=weighting,
        ),
        training=TrainingConfig(epochs=epochs),
        seed=seed,
    )
    assert RankingPipelineConfig.from_json(original.to_json()) == original


def test_the_digest_covers_what_decides_the_model_and_nothing_else():
    base = config().config_digest
    assert re.fullmatch("[0-9a-f]{12}", base)
    assert config(output_dir="elsewhere", beam_pipeline_args=("--x",)).config_digest == base
    others = [
        config(seed=1),
        config(data=DataOptions("retailrocket", "logs", gap_minutes=5.0)),
        config(model=ModelConfig("ple")),
        config(model=ModelConfig(loss_weighting="gradnorm")),
        config(training=TrainingConfig(epochs=7)),
        config(thresholds=Thresholds(min_auc=0.6)),
    ]
    assert len({base, *(other.config_digest for other in others)}) == len(others) + 1


def test_the_configuration_needs_no_tensorflow():
    code = (
        "import sys, mtfx.pipelines.config\n"
        "heavy = {'tensorflow', 'tfx', 'apache_beam', 'tf_keras'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_one_seed_is_that_of_the_model_and_of_its_training():
    for name in BACKBONES:
        for size in MODEL_SIZES:
            model = config(model=ModelConfig.of_size(size, name), seed=3).model
            assert isinstance(model.sizes, BACKBONES[name].config)
            assert model.sizes.seed == 3
    weighted = config(model=ModelConfig(loss_weighting="pcgrad"))
    assert weighted.model.loss_weighting == "pcgrad"
    assert config().thresholds == Thresholds()
    assert config(thresholds=Thresholds(min_auc=0.6)).thresholds.min_auc == 0.6
    assert config(seed=3).training == TrainingConfig(seed=3)


def test_the_code_version_changes_with_any_source_file(tmp_path):
    assert re.fullmatch(r"\d+\.\d+\.\d+\+[0-9a-f]{12}", code_version())
    source = tmp_path / "models" / "deep" / "new.py"
    source.parent.mkdir(parents=True)
    source.write_text("a = 1\n")
    first = digest_of(tmp_path)
    source.write_text("a = 2\n")
    second = digest_of(tmp_path)
    source.rename(source.with_name("renamed.py"))
    third = digest_of(tmp_path)
    assert len({first, second, third}) == 3
    only = digest_of(tmp_path, ("datasets",))
    source.with_name("renamed.py").unlink()
    assert digest_of(tmp_path, ("datasets",)) == only
    assert digest_of(tmp_path) == only
