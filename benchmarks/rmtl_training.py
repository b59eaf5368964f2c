"""Cost of RMTL: its stages' samples/s, against plain training of the same backbone.

Run as ``python -m benchmarks.rmtl_training``. Rounds of plain, critic and retraining steps
alternate, so that whatever else the machine does slows all alike; the ratio is per round.
"""

from __future__ import annotations

import os
import statistics
import tempfile

import click
import tensorflow as tf
from tf_agents.drivers import dynamic_step_driver
from tf_agents.replay_buffers import tf_uniform_replay_buffer

from benchmarks.ranking_training import (
    INPUTS,
    TASKS,
    Seconds,
    feature_spec,
    measure,
    write_sessions,
)
from mtfx.agents.critic_weighting import CriticWeighting
from mtfx.agents.rmtl import RmtlAgent
from mtfx.agents.rmtl_config import RmtlConfig
from mtfx.environments.sessions.replay import SessionReplayEnvironment
from mtfx.models.config import MODEL_SIZES, ModelConfig, model_sizes
from mtfx.models.critics import build_critics
from mtfx.models.loss_weighting.base import LossWeighting
from mtfx.models.mtl.registry import BACKBONES
from mtfx.models.ranking_model import RankingModel
from mtfx.trainers.ranking.config import RmtlTrainingConfig, TrainingConfig
from mtfx.trainers.ranking.input import impression_batches, load_sessions
from mtfx.trainers.ranking.rmtl import critic_config
from mtfx.trainers.ranking.training import build_for_training


@click.command(context_settings={"show_default": True})
@click.option("--backbone", "backbones", multiple=True, default=("esmm", "mmoe", "ple"))
@click.option("--model-size", type=click.Choice(MODEL_SIZES), default="paper")
@click.option("--batch-size", type=click.IntRange(min=1), default=2048, help="Impressions.")
@click.option("--rounds", type=click.IntRange(min=1), default=5, help="Of all kinds of step.")
@click.option("--steps", type=click.IntRange(min=1), default=8, help="Steps per kind and round.")
@click.option("--small", is_flag=True, help="MMoE, two rounds of three steps, for a quick look.")
def main(
    backbones: tuple[str, ...],
    model_size: str,
    batch_size: int,
    rounds: int,
    steps: int,
    small: bool,
) -> None:
    """Prints samples/s of plain training, of the critics' stage, and of retraining."""
    if small:
        backbones, rounds, steps = ("mmoe",), 2, 3
    if unknown := sorted(set(backbones) - set(BACKBONES)):
        raise click.UsageError(f"no backbone {unknown[0]!r}; there are: {', '.join(BACKBONES)}")
    click.echo(
        f"{model_size} sizes, batch {batch_size:,}, {len(INPUTS)} features, {len(TASKS)} tasks, "
        f"{os.cpu_count()} cores, TensorFlow {tf.__version__}; samples/s in the median round"
    )
    for backbone in backbones:
        plain, critics, retraining = _seconds(backbone, model_size, batch_size, rounds, steps)
        rates = [
            batch_size / statistics.median(s.wall for s in kind)
            for kind in (plain, critics, retraining)
        ]
        click.echo(
            f"{backbone:<14} plain {rates[0]:>9,.0f}   critics {rates[1]:>9,.0f} "
            f"({_ratio(plain, critics):.2f}x)   retraining {rates[2]:>9,.0f} "
            f"({_ratio(plain, retraining):.2f}x)"
        )


def _ratio(plain: list[Seconds], other: list[Seconds]) -> float:
    return statistics.median(p.wall / o.wall for p, o in zip(plain, other, strict=True))


def _seconds(
    backbone: str, model_size: str, batch_size: int, rounds: int, steps: int
) -> tuple[list[Seconds], list[Seconds], list[Seconds]]:
    """Seconds per step of every round: plain, critics, retraining."""
    sizes, state = model_sizes(backbone, model_size, 0)  # type: ignore[arg-type]
    model_config = ModelConfig(backbone=backbone, sizes=sizes, state=state)
    training = TrainingConfig(batch_size=batch_size)

    def build(weighting: LossWeighting | None) -> RankingModel:
        return RankingModel(INPUTS, TASKS, model_config, weighting=weighting)

    with tempfile.TemporaryDirectory() as directory:
        write_sessions(directory, batch_size * max(16, steps * 2))
        files = os.path.join(directory, "*.gz")
        batches = impression_batches(
            files,
            feature_spec(),
            INPUTS,
            TASKS,
            batch_size,
            shuffle=True,
            seed=0,
            drop_remainder=True,
        )
        table = load_sessions(files, feature_spec(), INPUTS, TASKS)
        plain = build_for_training(lambda: build(None), batches, training)
        critic_sizes = critic_config(model_config, 0, RmtlTrainingConfig())
        environment = SessionReplayEnvironment(table, 256)
        agent = RmtlAgent(
            environment.time_step_spec(),
            environment.action_spec(),
            plain,
            plain,
            build_critics(INPUTS, TASKS, critic_sizes),
            build_critics(INPUTS, TASKS, critic_sizes),
            RmtlConfig(),
        )
        weighting = CriticWeighting(TASKS, [1.0] * len(TASKS), agent.loss_weights)
        retrained = build_for_training(lambda: build(weighting), batches, training)
        plain_batches, retraining_batches = iter(batches.repeat()), iter(batches.repeat())
        plain_step, retraining_step = (m.make_train_function() for m in (plain, retrained))
        buffer = tf_uniform_replay_buffer.TFUniformReplayBuffer(
            agent.collect_data_spec, batch_size=256, max_length=200
        )
        dynamic_step_driver.DynamicStepDriver(
            environment, agent.collect_policy, [buffer.add_batch], num_steps=table.num_impressions
        ).run()
        samples = iter(buffer.as_dataset(batch_size, 2, 2).prefetch(2))
        critic_step = tf.function(lambda: agent.train(next(samples)[0]).loss)
        kinds = (
            lambda: plain_step(plain_batches),
            critic_step,
            lambda: retraining_step(retraining_batches),
        )
        for step in kinds:
            measure(step, 2)
        found = [[measure(step, steps) for step in kinds] for _ in range(rounds)]
    plain_seconds, critic_seconds, retraining_seconds = (
        list(kind) for kind in zip(*found, strict=True)
    )
    return plain_seconds, critic_seconds, retraining_seconds


if __name__ == "__main__":
    main()
