"""Speed of training fusion agents, against d3rlpy's and against the machine's own matmul peak.

Run as ``python -m benchmarks.offline_rl --d3rlpy-python PATH``, where PATH is a Python that has
d3rlpy (it needs PyTorch, so it is no dependency of this project); without it there is no ratio.
Rounds of matmul, our steps and d3rlpy's alternate, so that whatever else the machine does slows all
alike, but on a busy machine only figures with one thread compare: threads of PyTorch wait for each
other in a loop, and two of them with less than two cores to themselves take many times as long.

Both sides have the same networks, sampled actions and threads, make their steps on one batch in
memory, and learn the same: no Lagrange multiplier of CQL, the actor of TD3 every other step. Only
d3rlpy repeats a state for each of its sampled actions, where ours multiplies it with the first
layer once. With one thread both spend nearly all of a CQL step in matmuls, at three quarters of the
peak, so no implementation of the same arithmetic can be twice as fast.
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

from benchmarks.ranking_training import Seconds, measure
from mtfx.agents.building import build_agent
from mtfx.agents.config import BcqConfig, CqlSacConfig, FusionAgentConfig, Td3Config
from mtfx.agents.offline_training import training_loop
from mtfx.agents.transition_tensors import TransitionTensors, transition_tensors

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
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    peak = matmul_peak()
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

    Where n vectors share a state, the state's part of the first layer is counted once. A network
    that learns costs its forward pass, as much again for the gradients of its weights, and that of
    its layers after the first for the gradients of what they take in.
    """

    def forward(inputs: int, outputs: int) -> int:
        return inputs * HIDDEN + HIDDEN * HIDDEN + HIDDEN * outputs

    def learn(inputs: int, outputs: int) -> int:
        return 3 * forward(inputs, outputs) - inputs * HIDDEN

    def many(count: int, vector: int, outputs: int) -> int:
        return STATE_DIM * HIDDEN + count * forward(vector, outputs)

    joined, latent = STATE_DIM + ACTION_DIM, 2 * ACTION_DIM
    critic = forward(joined, 1)
    learnt_critics = 2 * learn(joined, 1)
    if name == "bcq":
        count = DEFAULT_SAMPLES
        target = many(count, latent, ACTION_DIM) + many(count, ACTION_DIM, ACTION_DIM)
        target += 2 * many(count, ACTION_DIM, 1)
        decoder = forward(STATE_DIM + latent, ACTION_DIM)
        vae = learn(joined, 2 * latent) + 3 * decoder
        climbing = decoder + learn(joined, ACTION_DIM) + 2 * critic
        weights = target + vae + climbing + learnt_critics
    elif name == "td3":
        actor = forward(STATE_DIM, ACTION_DIM)
        every = 2 * actor + 3 * critic + learnt_critics
        # The actor learns every other step; its loss is computed in each.
        weights = every + (learn(STATE_DIM, ACTION_DIM) - actor + critic) / 2
    else:
        count = _cql_samples()
        inner = count * (HIDDEN * HIDDEN + HIDDEN)
        sampled = 2 * many(count, ACTION_DIM, 1) + inner
        actor = forward(STATE_DIM, 2 * ACTION_DIM)
        # Policy's and uniform actions for two critics, which also see the data's actions twice.
        weights = 2 * 2 * sampled + 2 * learnt_critics + 2 * critic
        weights += 3 * actor + learn(STATE_DIM, 2 * ACTION_DIM) + 2 * 2 * critic
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


def matmul_peak() -> Callable[[], tf.Tensor]:
    """A product of two square matrices of ``PEAK_SIZE``, whose speed is called the peak."""
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
    # What a free machine would give: others only ever slow a round down.
    peak = 2.0 * PEAK_SIZE**3 / min(top.wall for top in peaks)
    best = min(step.wall for step in ours)
    click.echo(
        f"{name:<8} {_rates(ours)}  {flops / 1e9:.2f} GFLOP a step, "
        f"{flops / best / peak:.2f} of the peak of {peak / 1e9:.0f} GFLOP/s"
    )
    if theirs:
        ratios = [their.wall / our.wall for our, their in zip(ours, theirs, strict=True)]
        cpu_ratios = [their.cpu / our.cpu for our, their in zip(ours, theirs, strict=True)]
        best_ratio = min(step.wall for step in theirs) / best
        click.echo(
            f"  d3rlpy {_rates(theirs)}  ratio {statistics.median(ratios):.2f} "
            f"(best {best_ratio:.2f}, per CPU second {statistics.median(cpu_ratios):.2f})"
        )


def _rates(steps: list[Seconds]) -> str:
    median = statistics.median(step.wall for step in steps)
    return f"{1 / median:6.1f} steps/s (best {1 / min(step.wall for step in steps):.1f})"


if __name__ == "__main__":
    main()
