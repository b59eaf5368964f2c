"""``--method``: what is refused at once, and what reaches the trainer."""

import dataclasses
import json

import pytest

from mtfx.datasets.spec import Task
from mtfx.errors import UserError
from mtfx.pipelines.config import RankingPipelineConfig
from mtfx.pipelines.method_options import MethodOptions
from mtfx.pipelines.options import DataOptions
from mtfx.trainers.ranking.config import RankingTrainerConfig, RmtlTrainingConfig
from mtfx.trainers.ranking.settings import RmtlSettings


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MethodOptions("dqn"), "--method 'dqn' is not one of supervised, rmtl"),
        (lambda: MethodOptions(settings=(("lambda", 0.5),)), "are for --method rmtl"),
        (lambda: MethodOptions(critic_path="x"), "are for --method rmtl"),
        (lambda: MethodOptions("rmtl", (("epochs", 3),)), "--set knows no 'epochs'"),
        (lambda: MethodOptions("rmtl", (("gamma", 2),)), "--set gamma=2"),
        (lambda: MethodOptions("rmtl", (("retrain_from", "x"),)), "pretrained, scratch"),
    ],
)
def test_wrong_flags_are_refused(make, message):
    with pytest.raises(UserError, match=message):
        make()


def test_tasks_and_critics_are_checked(tmp_path):
    binary, regression = Task("click"), Task("watch", kind="regression")
    MethodOptions().check([regression])
    with pytest.raises(UserError, match="watch is a regression"):
        MethodOptions("rmtl").check([binary, regression])
    with pytest.raises(UserError, match="holds no critics"):
        MethodOptions("rmtl", critic_path=str(tmp_path)).check([binary])
    (tmp_path / "critics.json").write_text("{}")
    MethodOptions("rmtl", critic_path=str(tmp_path)).check([binary])


def test_settings_reach_the_trainer():
    assert MethodOptions().build(64) is None
    options = MethodOptions(
        "rmtl", (("lambda", 0.3), ("critic_epochs", 2), ("max_loss", 4.0)), "critics"
    )
    built = options.build(64)
    assert built.agent.penalty == 0.3
    assert built.agent.min_reward == -4.0
    assert (built.critics.passes, built.critics.batch_size) == (2, 64)
    assert built.critic_path == "critics"


def test_defaults_agree_with_the_trainers():
    built = MethodOptions("rmtl").build(2048)
    own = RmtlTrainingConfig()
    assert built.agent == own.agent
    assert built.critics == own.critics
    assert built.critic_dropout == own.critic_dropout
    assert built.retrain_from == own.retrain_from
    assert built.critic_features == own.critic_features
    assert built == RmtlSettings().training_config("rmtl", 2048)


def test_the_configuration_survives_json_and_changes_the_digest():
    data = DataOptions("retailrocket", "logs")
    plain = RankingPipelineConfig(data, "out")
    rmtl = dataclasses.replace(plain, method_options=MethodOptions("rmtl", (("lambda", 0.3),)))
    assert RankingPipelineConfig.from_json(rmtl.to_json()) == rmtl
    assert rmtl.config_digest != plain.config_digest
    trainer = RankingTrainerConfig(
        dataset="retailrocket",
        tasks=("click", "pay"),
        model=rmtl.model,
        training=rmtl.training,
        checkpoint_dir="c",
        rmtl=rmtl.rmtl,
    )
    values = json.loads(json.dumps(trainer.to_dict()))
    assert RankingTrainerConfig.from_dict(values) == trainer


def test_where_no_task_is_named_rmtl_takes_the_binary_ones():
    data = DataOptions("kuairand", "logs")
    rmtl = RankingPipelineConfig(data, "out", method_options=MethodOptions("rmtl"))
    assert rmtl.data.tasks == ("click", "long_view")
    rmtl.check_tasks()
    plain = RankingPipelineConfig(data, "out")
    assert "watch_time_ms" in [task.name for task in plain.data.selected_tasks()]
    named = RankingPipelineConfig(
        dataclasses.replace(data, tasks=("watch_time_ms",)),
        "out",
        method_options=MethodOptions("rmtl"),
    )
    with pytest.raises(UserError, match="watch_time_ms is a regression"):
        named.check_tasks()
