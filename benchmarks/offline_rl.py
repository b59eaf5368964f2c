"""Speed of training fusion agents, against d3rlpy's and against the machine's own matmul peak.

Run as ``python -m benchmarks.offline_rl --d3rlpy-python PATH``, where PATH is a Python that has
d3rlpy (it needs PyTorch, so it is no dependency of this project); without it there is no ratio.
Rounds of matmul, our steps and d3rlpy's alternate, so that whatever else the machine does slows all
alike. On a busy machine only the figures per CPU second count, and of these only the ones with one
thread: threads of PyTorch wait for each other busily.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
from collections.abc import Callable
from pathlib import Path

import click
import numpy as np
import tensorflow as tf

from agents.fusion_config import BcqConfig, CqlSacConfig, FusionAgentConfig, Td3Config
from agents.fusion_registry import build_agent
from agents.offline_training import TransitionTensors, training_loop, transition_tensors
from benchmarks.ranking_training import Seconds, measure

STATE_DIM, ACTION_DIM, HIDDEN = 71, 6, 256
#: A square matmul of this size is the peak; larger ones are not faster.
PEAK_SIZE = 1024
DEFAULT_SAMPLES = 10


@click.command(context_settings={"show_default": True})
@click.option("--d3rlpy-python", type=click.Path(exists=True, path_type=Path))
@click.option("--agent", "agents", multiple=True, default=("bcq", "td3", "cql_sac"))
@click.option("--batch-size", type=click.IntRange(min=1), default=256)
@click.option("--rounds", type=click.IntRange(min=1), default=7, help="Of all kinds of step.")
@click.option("--steps", type=click.IntRange(min=1), default=40, help="Steps per kind and round.")
@click.option("--threads", type=click.IntRange(min=0), default=0, help="0: one per core.")
@click.option("--small", is_flag=True, help="Two rounds of three steps, for a quick look.")
def main(
    d3rlpy_python: Path | None,
    agents: tuple[str, ...],
    batch_size: int,
    rounds: int,
    steps: int,
    threads: int,
    small: bool,
) -> None:
    """Prints steps/s, the ratio to d3rlpy's, and the share of the matmul peak."""
    if small:
        rounds, steps = 2, 3
    if unknown := sorted(set(agents) - set(CONFIGS)):
        raise click.UsageError(f"no agent {unknown[0]!r} here; there are: {', '.join(CONFIGS)}")
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    peak = _matmul_peak()
    other = None if d3rlpy_python is None else D3rlpy(d3rlpy_python, batch_size, threads)
    click.echo(
        f"batch {batch_size}, state {STATE_DIM}, action {ACTION_DIM}, {HIDDEN}x{HIDDEN}, "
        f"{DEFAULT_SAMPLES} sampled actions; {os.cpu_count()} cores, {threads or 'all'} threads, "
        f"load {os.getloadavg()[0]:.1f}; TensorFlow {tf.__version__}, "
        + ("no d3rlpy: give --d3rlpy-python for a ratio" if other is None else other.versions)
    )
    for name in agents:
        run = _our_steps(name, batch_size)
        ours: list[Seconds] = []
        theirs: list[Seconds] = []
        peaks: list[Seconds] = []
        run(2)
        if other is not None:
            other.measure(name, 2)
        for _ in range(rounds):
            peaks.append(measure(peak, 5))
            seconds = measure(lambda run=run: run(steps), 1)
            ours.append(Seconds(seconds.wall / steps, seconds.cpu / steps))
            if other is not None:
                theirs.append(other.measure(name, max(1, steps // 4)))
        _report(name, step_flops(name, batch_size), ours, theirs, peaks)


def step_flops(name: str, batch_size: int) -> float:
    """Floating-point operations of one step in matmuls, as they are executed.

    A network of W weights costs 2W per row forward, 2W for the gradient of its weights and 2W for
    that of its inputs. Where n vectors share a state, the state's part of the first layer is
    counted once.
    """
    first, rest = STATE_DIM * HIDDEN, HIDDEN * HIDDEN
    latent = 2 * ACTION_DIM
    critic = first + ACTION_DIM * HIDDEN + rest + HIDDEN
    actor = first + rest + HIDDEN * ACTION_DIM
    perturbation = first + ACTION_DIM * HIDDEN + rest + HIDDEN * ACTION_DIM
    decoder = first + latent * HIDDEN + rest + HIDDEN * ACTION_DIM
    encoder = first + ACTION_DIM * HIDDEN + rest + HIDDEN * 2 * latent
    if name == "bcq":
        target = decoder + perturbation + 2 * critic
        target = DEFAULT_SAMPLES * target - (DEFAULT_SAMPLES - 1) * 4 * first
        learnt = encoder + decoder + perturbation + 2 * critic
        weights = target + 3 * learnt + decoder + 2 * critic
    elif name == "td3":
        every = actor + 2 * critic + 3 * 2 * critic + actor + critic
        weights = every + (2 * actor + critic) / 2
    else:
        samples = 2 * _cql_samples()
        weights = 3 * 2 * critic * (samples + 2) + 2 * critic + 6 * actor + 2 * 2 * critic
    return 2.0 * batch_size * weights


class D3rlpy:
    """A process that makes steps of d3rlpy on request.

    Attributes:
      versions: Of d3rlpy and PyTorch.
    """

    def __init__(self, python: Path, batch_size: int, threads: int) -> None:
        """Starts the process; raises click.ClickException if it has no d3rlpy."""
        sizes = (STATE_DIM, ACTION_DIM, batch_size, HIDDEN, DEFAULT_SAMPLES, threads)
        script = Path(__file__).with_name("d3rlpy_steps.py")
        self._process = subprocess.Popen(
            [str(python), str(script), *map(str, sizes)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        versions = self._line()
        self.versions = f"d3rlpy {versions['d3rlpy']}, PyTorch {versions['torch']}"

    def measure(self, name: str, steps: int) -> Seconds:
        """Seconds of one step, the mean of several."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{name} {steps}\n")
        self._process.stdin.flush()
        seconds = self._line()
        return Seconds(seconds["wall"] / steps, seconds["cpu"] / steps)

    def _line(self) -> dict:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            _, errors = self._process.communicate()
            raise click.ClickException(f"d3rlpy's process ended: {errors.strip().splitlines()[-1]}")
        return json.loads(line)


def _cql_samples() -> int:
    """Of each of TF-Agents' two kinds, so that there are as many as of d3rlpy's three.

    d3rlpy draws n actions from π(s), from π(s') and uniformly, TF-Agents from π(s) and uniformly.
    """
    return DEFAULT_SAMPLES * 3 // 2


CONFIGS: dict[str, FusionAgentConfig] = {
    "bcq": BcqConfig(hidden_units=(HIDDEN, HIDDEN), sampled_actions=DEFAULT_SAMPLES),
    "td3": Td3Config(hidden_units=(HIDDEN, HIDDEN)),
    "cql_sac": CqlSacConfig(hidden_units=(HIDDEN, HIDDEN), sampled_actions=_cql_samples()),
}


def _our_steps(name: str, batch_size: int) -> Callable[[int], object]:
    rng = np.random.default_rng(0)

    def normal(*shape: int) -> np.ndarray:
        return rng.normal(size=(batch_size, *shape)).astype(np.float32)

    table = TransitionTensors(
        normal(STATE_DIM),
        rng.uniform(-1, 1, (batch_size, ACTION_DIM)).astype(np.float32),
        normal(),
        normal(STATE_DIM),
        (rng.random(batch_size) < 0.9).astype(np.float32),
    )
    agent = build_agent(name, STATE_DIM, ACTION_DIM, CONFIGS[name])
    run = training_loop(agent, transition_tensors(agent, table), batch_size, seed=0)
    return lambda steps: run(tf.constant(steps)).loss.numpy()


def _matmul_peak() -> Callable[[], tf.Tensor]:
    left, right = (tf.random.normal([PEAK_SIZE, PEAK_SIZE]) for _ in range(2))
    multiply = tf.function(lambda: tf.matmul(left, right))
    multiply()
    return multiply


def _report(
    name: str,
    flops: float,
    ours: list[Seconds],
    theirs: list[Seconds],
    peaks: list[Seconds],
) -> None:
    peak_flops = 2.0 * PEAK_SIZE**3
    wall = [
        flops / step.wall / (peak_flops / top.wall) for step, top in zip(ours, peaks, strict=True)
    ]
    cpu = [flops / step.cpu / (peak_flops / top.cpu) for step, top in zip(ours, peaks, strict=True)]
    line = (
        f"{name:<8} {1 / statistics.median(step.wall for step in ours):7.1f} steps/s  "
        f"{flops / 1e9:.2f} GFLOP  share of the peak {statistics.median(wall):.2f} "
        f"({statistics.median(cpu):.2f} per CPU second)"
    )
    if theirs:
        ratios = [their.wall / our.wall for our, their in zip(ours, theirs, strict=True)]
        cpu_ratios = [their.cpu / our.cpu for our, their in zip(ours, theirs, strict=True)]
        line += (
            f"  d3rlpy {1 / statistics.median(step.wall for step in theirs):6.1f} steps/s  "
            f"ratio {statistics.median(ratios):.2f} (per CPU second "
            f"{statistics.median(cpu_ratios):.2f})"
        )
    click.echo(line)


if __name__ == "__main__":
    main()
