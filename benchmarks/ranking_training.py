"""Speed of training a ranking model, against the machine's own matmul peak.

Run as ``python -m benchmarks.ranking_training``. It writes session files of a realistic shape,
trains on them through the project's own input pipeline and training step, and alternates with a
plain float32 matmul, so that whatever else the machine does slows both alike. On a busy machine the
share per CPU second is the one to trust.

Work is counted as the papers write the layers: six operations per weight and impression. The first
layer gets by with fewer (``StateRepresentation``); what is left is printed too.
"""

from __future__ import annotations

import dataclasses
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import click
import numpy as np
import tensorflow as tf

from mtfx.datasets.spec import Task
from mtfx.models.config import MODEL_SIZES, ModelConfig, ModelSize
from mtfx.models.history_columns import HistoryColumns
from mtfx.models.input_features import InputFeature
from mtfx.models.mtl.registry import BACKBONES, BackboneConfig
from mtfx.models.ranking_model import RankingModel
from mtfx.trainers.ranking.config import TrainingConfig
from mtfx.trainers.ranking.input import impression_batches
from mtfx.trainers.ranking.training import build_for_training

INPUTS = (
    InputFeature("user_id", "categorical", 50_000),
    InputFeature("item_id", "categorical", 50_000),
    InputFeature("author_id", "categorical", 20_000),
    InputFeature("music_id", "categorical", 10_000),
    InputFeature("tag", "categorical", 500),
    InputFeature("hour", "categorical", 32),
    InputFeature("day_of_week", "categorical", 15),
    InputFeature("tab", "categorical", 24),
    InputFeature("activity", "categorical", 16),
    InputFeature("upload_type", "categorical", 32),
    InputFeature("duration", "numeric"),
    InputFeature("age_of_item", "numeric"),
)
SESSION_LEVEL = ("user_id", "activity")
TASKS = (Task("is_click"), Task("long_view", parent="is_click"))
PAST = ("item_id", "author_id", "tag", "tab", "upload_type", "duration")
MEAN_SESSION_LENGTH = 14
#: Matmuls `[m, k] x [k, n]`, the best of which is the peak.
PEAK_SHAPES = ((2048, 2048, 2048), (4096, 1024, 1024), (2048, 512, 4096))


@click.command(context_settings={"show_default": True})
@click.option("--backbone", type=click.Choice(list(BACKBONES)), default="mmoe")
@click.option("--batch-size", type=click.IntRange(min=1), default=2048, help="Impressions.")
@click.option("--rounds", type=click.IntRange(min=1), default=7, help="Peak and step, in turn.")
@click.option("--steps", type=click.IntRange(min=1), default=8, help="Training steps per round.")
@click.option("--precision", type=click.Choice(["float32", "bfloat16"]), default="float32")
@click.option("--jit/--no-jit", default=False, help="Compile the step with XLA.")
@click.option("--lazy/--dense", default=True, help="Adam on the embeddings.")
@click.option("--dropout", type=click.FloatRange(0, 1, max_open=True), default=0.2)
@click.option("--threads", type=click.IntRange(min=0), default=0, help="0: one per core.")
@click.option("--model-size", type=click.Choice(MODEL_SIZES), default="paper")
@click.option(
    "--history-length",
    type=click.IntRange(min=0),
    default=0,
    help="Earlier impressions per impression; users have none to this many before a session.",
)
@click.option("--small", is_flag=True, help="Two rounds of three steps, for a quick look.")
@click.option("--trace", type=click.Path(path_type=Path), help="Write a TensorBoard profile here.")
def main(
    backbone: str,
    batch_size: int,
    rounds: int,
    steps: int,
    precision: str,
    jit: bool,
    lazy: bool,
    dropout: float,
    threads: int,
    model_size: ModelSize,
    history_length: int,
    small: bool,
    trace: Path | None,
) -> None:
    """Prints samples/s and the share of the matmul peak that training reaches."""
    if small:
        rounds, steps = 2, 3
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    plain = ModelConfig.of_size(model_size, backbone)
    sizes = dataclasses.replace(plain.sizes or BackboneConfig(), dropout=dropout)
    settings = dataclasses.replace(plain, sizes=sizes)
    inputs = (*INPUTS, *history_inputs(history_length))
    history = HistoryColumns(inputs, TASKS) if history_length else None
    config = TrainingConfig(
        batch_size=batch_size,
        mixed_precision=precision == "bfloat16",
        jit_compile=jit,
        lazy_embeddings=lazy,
    )

    def build_model() -> RankingModel:
        return RankingModel(
            inputs,
            TASKS,
            settings,
            mixed_precision=config.mixed_precision,
        )

    with tempfile.TemporaryDirectory() as directory:
        wanted = batch_size * max(16, steps * 2)
        impressions = write_sessions(directory, wanted, history_length)
        batches = impression_batches(
            os.path.join(directory, "*.gz"),
            feature_spec(history_length),
            inputs,
            TASKS,
            batch_size,
            shuffle=True,
            seed=0,
            drop_remainder=True,
            history=history,
        )
        model = build_for_training(build_model, batches, config)
        iterator = iter(batches.repeat())
        train_step = model.make_train_function()
        train_step(iterator)
        train_step(iterator)
        peaks = [_matmul(*shape) for shape in PEAK_SHAPES]
        step_flops = 6 * batch_size * matmul_weights(model)
        if trace is not None:
            with tf.profiler.experimental.Profile(str(trace)):
                measure(lambda: train_step(iterator), steps)
        peak, peak_flops = max(peaks, key=lambda peak: peak[1] / measure(peak[0], 5).wall)
        step_times, peak_times = [], [measure(peak, 10)]
        for _ in range(rounds):
            step_times.append(measure(lambda: train_step(iterator), steps))
            peak_times.append(measure(peak, 10))
        pipeline = measure(lambda: sum(1 for _ in batches), 1)
    ratios = [
        (step_flops / step.wall) / (peak_flops / (before.wall + after.wall) * 2)
        for step, before, after in zip(step_times, peak_times, peak_times[1:], strict=False)
    ]
    step_rate = step_flops / min(step.wall for step in step_times)
    peak_rate = peak_flops / min(time.wall for time in peak_times)
    step_cpu = step_flops / statistics.median(step.cpu for step in step_times)
    peak_cpu = peak_flops / statistics.median(time.cpu for time in peak_times)
    vocabulary = sum(feature.vocabulary_size for feature in INPUTS)
    click.echo(
        f"machine           {_cpu()}, {os.cpu_count()} cores, {threads or 'all'} threads, "
        f"TensorFlow {tf.__version__}\n"
        f"model             {backbone}, {precision}, jit={jit}, lazy={lazy}, dropout={dropout}, "
        f"{len(INPUTS)} features, {vocabulary:,} embeddings, {model_size}, history "
        f"{history_length}\n"
        f"batch             {batch_size:,} impressions, {impressions:,} in the files\n"
        f"step              {step_flops / 1e9:.2f} GFLOP of matmul as the layers are written, "
        f"{performed_flops(model, batch_size) / 1e9:.2f} performed, "
        f"{1e3 * step_flops / step_rate:.0f} ms\n"
        f"samples/s         {batch_size * step_rate / step_flops:,.0f}\n"
        f"achieved          {step_rate / 1e9:.1f} GFLOP/s in the best round, "
        f"{step_cpu / 1e9:.1f} per CPU second\n"
        f"float32 peak      {peak_rate / 1e9:.1f} GFLOP/s in the best round, "
        f"{peak_cpu / 1e9:.1f} per CPU second\n"
        f"share of the peak {step_rate / peak_rate:.3f} best to best, "
        f"{statistics.median(ratios):.3f} in the median round, "
        f"{step_cpu / peak_cpu:.3f} per CPU second\n"
        f"                  (rounds: {' '.join(f'{ratio:.2f}' for ratio in ratios)})\n"
        f"pipeline alone    {impressions // batch_size * batch_size / pipeline.wall:,.0f} "
        "impressions/s" + _caution()
    )


def matmul_weights(model: RankingModel) -> int:
    """Multiply-adds of one impression's forward pass in matmuls, which is their weights' number.

    The backward pass has two matmuls for each, of the same size. Embeddings, biases, and the
    weighted sums of experts are left out.
    """
    return sum(
        int(np.prod(weight.shape))
        for weight in model.trainable_variables
        if "embedding" not in weight.name and "bias" not in weight.name
    )


def performed_flops(model: RankingModel, batch_size: int) -> int:
    """Operations of a step's matmuls, the first layer regrouped as StateRepresentation does it."""
    representation = model.state_representation
    dim, units = representation.config.embedding_dim, representation.mlp[0].units
    sizes = [f.vocabulary_size for f in representation.inputs if not f.is_history]
    wide = sum(size > dim for size in sizes)
    narrow = [size for size in sizes if 0 < size <= dim]
    columns = sum(narrow) + sizes.count(0)
    written = 6 * batch_size * len(sizes) * dim * units
    # Ones and zeros get no gradient: two matmuls in the place of three.
    regrouped = batch_size * (6 * wide * dim + 4 * columns) * units + 6 * columns * dim * units
    return 6 * batch_size * matmul_weights(model) - written + regrouped


def history_inputs(length: int) -> tuple[InputFeature, ...]:
    """The inputs that are about earlier impressions; none where there is no room for any."""
    if not length:
        return ()
    kept = [feature for feature in INPUTS if feature.name in PAST]
    numbers = ("age_s", *(task.name for task in TASKS))
    values = (
        *(InputFeature(name, "numeric") for name in numbers),
        *(feature for feature in kept if feature.kind == "numeric"),
    )
    ids = tuple(feature for feature in kept if feature.kind != "numeric")
    return (
        InputFeature("history_ids", "history_ids", length=length, columns=ids),
        InputFeature("history_values", "history_values", length=length, columns=values),
    )


def write_sessions(directory: str, impressions: int, history_length: int = 0) -> int:
    """Writes session files laid out as TFX Transform does; returns the number of impressions."""
    rng = np.random.default_rng(0)
    written = 0
    options = tf.io.TFRecordOptions("GZIP")
    for shard in range(4):
        path = os.path.join(directory, f"transformed-{shard}.gz")
        with tf.io.TFRecordWriter(path, options) as writer:
            while written < impressions * (shard + 1) // 4:
                length = int(rng.geometric(1 / MEAN_SESSION_LENGTH))
                writer.write(_session(rng, length, history_length))
                written += length
    return written


def feature_spec(
    history_length: int = 0,
) -> dict[str, tf.io.RaggedFeature | tf.io.FixedLenFeature]:
    """The parsing spec of those files."""
    spec: dict[str, tf.io.RaggedFeature | tf.io.FixedLenFeature] = {}
    for feature in INPUTS:
        dtype = tf.int64 if feature.kind == "categorical" else tf.float32
        spec[feature.name] = (
            tf.io.FixedLenFeature([1], dtype)
            if feature.name in SESSION_LEVEL
            else tf.io.RaggedFeature(
                dtype, f"{feature.name}$ragged_values", row_splits_dtype=tf.int64
            )
        )
    for task in TASKS:
        spec[task.name] = tf.io.RaggedFeature(
            tf.float32, f"{task.name}$ragged_values", row_splits_dtype=tf.int64
        )
    if history_length:
        dtypes = {feature.name: feature.dtype for feature in INPUTS}
        for name in (*PAST, "timestamp_ms", *(task.name for task in TASKS)):
            dtype = tf.int64 if name == "timestamp_ms" else dtypes.get(name, tf.float32)
            for column in (name, f"history_{name}"):
                spec[column] = tf.io.RaggedFeature(
                    dtype, f"{column}$ragged_values", row_splits_dtype=tf.int64
                )
    return spec


def _session(rng: np.random.Generator, length: int, history_length: int) -> bytes:
    columns = _columns(rng, length, INPUTS)
    if history_length:
        past = int(rng.integers(0, history_length + 1))
        kept = [feature for feature in INPUTS if feature.name in PAST]
        earlier = _columns(rng, past, kept)
        columns |= {f"history_{name}": values for name, values in earlier.items()}
        for name, times in (("", 10**6 + np.arange(length)), ("history_", np.arange(past))):
            columns[f"{name}timestamp_ms$ragged_values"] = tf.train.Feature(
                int64_list=tf.train.Int64List(value=times)
            )
    return tf.train.Example(features=tf.train.Features(feature=columns)).SerializeToString()


def _columns(
    rng: np.random.Generator, length: int, features: Sequence[InputFeature]
) -> dict[str, tf.train.Feature]:
    columns: dict[str, tf.train.Feature] = {}
    for feature in features:
        if feature.kind == "numeric":
            values = rng.normal(size=length)
            columns[f"{feature.name}$ragged_values"] = tf.train.Feature(
                float_list=tf.train.FloatList(value=values)
            )
            continue
        level = feature.name in SESSION_LEVEL
        # Popularity falls with a power of the rank, as it does for items and users.
        skewed = rng.random(1 if level else length) ** 3
        values = (skewed * feature.vocabulary_size).astype(np.int64)
        columns[feature.name if level else f"{feature.name}$ragged_values"] = tf.train.Feature(
            int64_list=tf.train.Int64List(value=values)
        )
    for task in TASKS:
        columns[f"{task.name}$ragged_values"] = tf.train.Feature(
            float_list=tf.train.FloatList(value=rng.random(length) < 0.3)
        )
    return columns


def _matmul(m: int, k: int, n: int) -> tuple[Callable[[], tf.Tensor], int]:
    left, right = tf.random.normal([m, k]), tf.random.normal([k, n])
    return tf.function(lambda: tf.matmul(left, right)), 2 * m * k * n


@dataclasses.dataclass(frozen=True)
class Seconds:
    """Time of one call: by the clock, and of all cores that this process had."""

    wall: float
    cpu: float


def measure(call: Callable[[], object], repeats: int) -> Seconds:
    """Mean seconds of a call."""
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(repeats):
        call()
    return Seconds((time.perf_counter() - wall) / repeats, (time.process_time() - cpu) / repeats)


def _caution() -> str:
    """Says so if others use the machine: waiting for a core hits a matmul more than a step."""
    load, cores = os.getloadavg()[0], os.cpu_count() or 1
    if load <= cores + 1:
        return ""
    return f"\nload              {load:.1f} on {cores} cores: only the share per CPU second counts"


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


if __name__ == "__main__":
    main()
