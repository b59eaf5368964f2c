"""Training steps of d3rlpy on request; ``benchmarks.offline_rl`` runs it in a Python of its own.

It imports nothing of this project, so that d3rlpy may live in another environment. Each line on
standard input, an algorithm and a number of steps, is answered by a line of JSON with their seconds
by the clock and of all cores.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any


def main() -> None:
    """Answers requests until standard input ends; arguments are sizes and threads, 0 for all."""
    state_dim, action_dim, batch_size, hidden, samples, threads = map(int, sys.argv[1:])
    try:
        import d3rlpy  # pyright: ignore[reportMissingImports]
        import numpy as np
        import torch  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        sys.exit(f"this Python has no d3rlpy: {error}")
    torch.manual_seed(0)
    if threads:
        torch.set_num_threads(threads)
    encoder = d3rlpy.models.encoders.VectorEncoderFactory([hidden, hidden])
    # Every network of ours has these layers too, and no Lagrange multiplier is learnt.
    shared = {"batch_size": batch_size, "gamma": 0.95, "actor_encoder_factory": encoder}
    shared["critic_encoder_factory"] = encoder
    algos = d3rlpy.algos
    configs = {
        "bcq": algos.BCQConfig(
            **shared, imitator_encoder_factory=encoder, n_action_samples=samples
        ),
        "td3": algos.TD3Config(**shared, update_actor_interval=2),
        "cql_sac": algos.CQLConfig(**shared, n_action_samples=samples, alpha_learning_rate=0.0),
    }
    rng = np.random.default_rng(0)

    def normal(size: int) -> Any:
        return rng.normal(size=(batch_size, size)).astype(np.float32)

    batch = d3rlpy.dataset.TransitionMiniBatch(
        observations=normal(state_dim),
        actions=rng.uniform(-1, 1, (batch_size, action_dim)).astype(np.float32),
        rewards=normal(1),
        next_observations=normal(state_dim),
        next_actions=rng.uniform(-1, 1, (batch_size, action_dim)).astype(np.float32),
        terminals=(rng.random((batch_size, 1)) < 0.1).astype(np.float32),
        intervals=np.ones((batch_size, 1), np.float32),
        transitions=[],
    )
    agents = {}
    for name, config in configs.items():
        agents[name] = config.create(device="cpu:0")
        agents[name].create_impl((state_dim,), action_dim)
    print(json.dumps({"d3rlpy": d3rlpy.__version__, "torch": torch.__version__}), flush=True)
    for line in sys.stdin:
        name, steps = line.split()
        wall, cpu = time.perf_counter(), time.process_time()
        for _ in range(int(steps)):
            agents[name].update(batch)
        seconds = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
        print(json.dumps(seconds), flush=True)


if __name__ == "__main__":
    main()
