"""Open-loop load: requests arrive when they arrive, whether or not earlier ones are answered."""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent import futures

import numpy as np

from mtfx.serving.messages import RankingError


@dataclasses.dataclass(frozen=True)
class LoadConfig:
    """A load.

    Attributes:
      rate: Requests per second on average; arrivals are a Poisson process.
      seconds: How long requests arrive.
      in_flight: Requests that may wait for an answer at once; more wait in the client, and their
        wait counts.
      seed: Of the arrivals.
    """

    rate: float
    seconds: float
    in_flight: int = 64
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("rate", "seconds", "in_flight"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")


@dataclasses.dataclass(frozen=True)
class LoadResult:
    """What came of it.

    Attributes:
      latencies_ms: Of the answered requests, from the time at which each was due to arrive, float64
        `[answered]`: a server that falls behind cannot hide it by slowing the client down.
      errors: Unanswered requests by kind.
      seconds: From the first arrival to the last answer.
    """

    latencies_ms: np.ndarray
    errors: dict[str, int]
    seconds: float

    def percentile_ms(self, share: float) -> float:
        """Latency that ``share`` of the answers, in percent, do not exceed; NaN without answers."""
        if not len(self.latencies_ms):
            return float("nan")
        return float(np.percentile(self.latencies_ms, share))

    @property
    def throughput(self) -> float:
        """Answers per second."""
        return len(self.latencies_ms) / self.seconds


def run_load(
    send: Callable[[int], object],
    config: LoadConfig,
    on_arrival: Callable[[int], None] | None = None,
) -> LoadResult:
    """Sends requests.

    Args:
      send: Sends request number n and returns when it is answered; raises RankingError.
      config: The load.
      on_arrival: Told how many have arrived.

    Returns:
      Latencies and errors.
    """
    rng = np.random.default_rng(config.seed)
    due = np.cumsum(rng.exponential(1 / config.rate, max(1, round(config.rate * config.seconds))))
    latencies: list[float] = []
    errors: Counter[str] = Counter()
    lock = threading.Lock()

    def one(number: int) -> None:
        try:
            send(number)
        except RankingError as error:
            with lock:
                errors[error.kind] += 1
            return
        finished = time.perf_counter()
        with lock:
            latencies.append((finished - begun - due[number]) * 1e3)

    with _without_long_pauses(), futures.ThreadPoolExecutor(config.in_flight) as pool:
        begun = time.perf_counter()
        waiting = []
        for number, at in enumerate(due):
            delay = begun + at - time.perf_counter()
            if delay > 0:
                time.sleep(delay)
            waiting.append(pool.submit(one, number))
            if on_arrival is not None:
                on_arrival(number + 1)
        for future in waiting:
            future.result()
    return LoadResult(np.asarray(latencies), dict(errors), time.perf_counter() - begun)


@contextlib.contextmanager
def _without_long_pauses() -> Iterator[None]:
    """Keeps the garbage collector from what is there already.

    A process with TensorFlow has most of a million objects, and a full collection of them stops
    all threads for about a second: dozens of requests would be late by our own fault.
    """
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
