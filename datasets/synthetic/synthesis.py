"""Synthesis of a data set: written block by block, and put in place when it is whole."""

from __future__ import annotations

import collections
import concurrent.futures
import dataclasses
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import polars as pl

from mtfx.datasets.synthetic.behaviour import BlockImpressions, Intercepts, ProfileWorld, Truth
from mtfx.datasets.synthetic.blocks import Block, Stream, generator, split_into_blocks
from mtfx.datasets.synthetic.calibration import calibrate
from mtfx.datasets.synthetic.config import SyntheticConfig
from mtfx.datasets.synthetic.files import TableFiles
from mtfx.datasets.synthetic.manifest import Manifest, read_manifest, write_manifest
from mtfx.datasets.synthetic.shop import ShopWorld
from mtfx.datasets.synthetic.simulation import make_block
from mtfx.datasets.synthetic.video import TAG, VideoWorld
from mtfx.files import atomic_path

_WORLDS: dict[str, Callable[[SyntheticConfig], ProfileWorld]] = {
    "video": VideoWorld,
    "shop": ShopWorld,
}


@dataclasses.dataclass(frozen=True)
class SynthesisSummary:
    """What was written.

    Attributes:
      files: Paths, sorted.
      rows: Rows by file name, without headers.
      users: Users with an impression.
      items: Items shown at least once.
      rates: Share of the standard impressions (or views) with each feedback.
      seconds: Wall time; near zero if the data set was already there.
    """

    files: tuple[Path, ...]
    rows: dict[str, int]
    users: int
    items: int
    rates: dict[str, float]
    seconds: float


def synthesize(
    config: SyntheticConfig,
    output_dir: str | os.PathLike[str],
    progress: Callable[[int], None] | None = None,
    workers: int = 1,
) -> SynthesisSummary:
    """Writes the data set of ``config`` to ``output_dir``.

    Everything goes to a directory beside it first, which is renamed at the end: what is found at
    ``output_dir`` is whole. A finished data set of the same config is left as it is. Memory grows
    with the number of items and of workers, not with the impressions.

    Args:
      config: What to synthesize.
      output_dir: A directory that does not exist, is empty, or holds this very data set.
      progress: Called after each block with the number of impressions it added.
      workers: Threads that simulate blocks; the result does not depend on it.

    Returns:
      What was written.

    Raises:
      ValueError: if ``output_dir`` holds something else.
    """
    started = time.monotonic()
    target = Path(output_dir).absolute()
    if (done := read_manifest(target, config)) is not None:
        return _summary(target, done, time.monotonic() - started)
    with atomic_path(target) as partial:
        partial.mkdir()
        manifest = _write(config, partial, progress, workers)
        write_manifest(partial, manifest)
    return _summary(target, manifest, time.monotonic() - started)


def _summary(target: Path, manifest: Manifest, seconds: float) -> SynthesisSummary:
    return SynthesisSummary(
        files=tuple(target / file.name for file in manifest.files),
        rows={file.name: file.rows for file in manifest.files},
        users=manifest.users,
        items=manifest.items,
        rates=manifest.rates,
        seconds=seconds,
    )


def _write(
    config: SyntheticConfig,
    directory: Path,
    progress: Callable[[int], None] | None,
    workers: int,
) -> Manifest:
    world = _WORLDS[config.profile](config)
    blocks = split_into_blocks(config)
    intercepts = calibrate(config.seed, world, blocks)
    positives = np.zeros(len(world.model.tasks), np.int64)
    users, shown = 0, np.zeros(len(world.items.ids), bool)
    with TableFiles(str(directory), config.format) as files:
        for stem, frame in world.item_frames():
            files.append(stem, frame)
        for made in _make_all(config, world, blocks, intercepts, workers):
            for stem, frame in made.frames.items():
                files.append(stem, frame)
            positives += made.positives
            users += made.users
            shown[made.items] = True
            if progress is not None:
                progress(made.impressions)
    return Manifest(
        config=config,
        files=files.written(),
        users=users,
        items=int(shown.sum()),
        rates=dict(zip(world.model.tasks, (positives / config.impressions).tolist(), strict=True)),
    )


@dataclasses.dataclass(frozen=True)
class _Made:
    """A block's rows by file stem, and what to count of it."""

    frames: dict[str, pl.DataFrame]
    impressions: int
    positives: np.ndarray
    users: int
    items: np.ndarray


def _make_all(
    config: SyntheticConfig,
    world: ProfileWorld,
    blocks: list[Block],
    intercepts: Intercepts,
    workers: int,
) -> Iterator[_Made]:
    """Makes the blocks, in their order, at most ``workers`` and one more ahead."""
    if workers <= 1:
        for block in blocks:
            yield _make(config, world, block, intercepts)
        return
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        pending: collections.deque[concurrent.futures.Future[_Made]] = collections.deque()
        for block in blocks:
            pending.append(pool.submit(_make, config, world, block, intercepts))
            if len(pending) > workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


def _make(
    config: SyntheticConfig, world: ProfileWorld, block: Block, intercepts: Intercepts
) -> _Made:
    users, impressions = make_block(
        config.seed, world, block, intercepts, keep_scores=config.with_truth
    )
    rng = generator(config.seed, Stream.LOG_COLUMNS, block.index)
    truth = _truth(world, impressions, intercepts)
    frames = world.log_frames(rng, block, impressions, truth)
    if users.table is not None:
        frames[f"user_features_{TAG}"] = users.table
    return _Made(
        frames=frames,
        impressions=len(impressions.item),
        positives=impressions.labels[~impressions.is_random].sum(axis=0),
        users=int(np.count_nonzero(np.bincount(impressions.user))),
        items=impressions.item,
    )


def _truth(
    world: ProfileWorld, impressions: BlockImpressions, intercepts: Intercepts
) -> Truth | None:
    if impressions.scores is None or impressions.side is None:
        return None
    scores = impressions.scores + intercepts.tasks
    return Truth(
        probabilities=world.probabilities(scores, impressions.side),
        mean_extra_ms=world.mean_extra_ms(impressions.item, scores, impressions.side),
    )
