"""Fit of the scales of fused predictions: the medians of raw ones on the training split.

Here and not where the ranking model is trained, because here are the raw sessions with the items'
durations, the exported model as it is served, and the choice of what is fused. Whatever is trained
in the world keeps its scales: they are saved with it and go from there into the ranker.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator, Sequence

import numpy as np
import tensorflow as tf

from mtfx.datasets.file_names import literal
from mtfx.datasets.fused_predictions import FusedPrediction, with_scales
from mtfx.environments.simulator.fitting.predictions import RankingPredictions
from mtfx.errors import DataError
from mtfx.models.fusion.predictions import PredictionMap

#: Sessions that are drawn, and impressions of theirs that are enough: the median's standard error
#: is then less than 1% of the distribution.
_SESSIONS, _IMPRESSIONS, _AT_ONCE = 4_000, 20_000, 64
_SEED = 20220408
#: A median of 0 has no ratio to anything: where predictions are nothing but 0.
_LEAST = 1e-6


def fit_scales(
    predict: RankingPredictions, fused: Sequence[FusedPrediction], examples: str
) -> tuple[FusedPrediction, ...]:
    """Fits the scales of predictions that have one; the others stay as they are.

    Args:
      predict: The ranking model.
      fused: What is fused.
      examples: URI of SessionExampleGen's artifact: some sessions of its split ``train``, drawn
        uniformly, are predicted as a service would ask for them.

    Raises:
      DataError: if the split has no session.
      ValueError: if a raw prediction is no finite number from 0 on.
    """
    scaled = [one for one in fused if one.has_scale]
    if not scaled:
        return tuple(fused)
    mapped = PredictionMap(scaled)
    values: dict[str, list[np.ndarray]] = {one.name: [] for one in scaled}
    found = 0
    for sessions in _drawn(os.path.join(literal(examples), "Split-train", "*")):
        raw, there = predict.raw(sessions)
        durations = np.ones_like(there, np.float32)
        if mapped.needs_duration:
            read = mapped.durations(tf.constant(sessions))
            durations = read.to_tensor(shape=there.shape).numpy()
        for one in scaled:
            known = there if one.kind == "regression" else there & (durations > 0)
            by = 1.0 if one.kind == "regression" else durations[known]
            values[one.name].append(raw[one.task][known] / by)
        found += int(there.sum())
        if found >= _IMPRESSIONS:
            break
    return with_scales(fused, {name: _median(name, parts) for name, parts in values.items()})


def _drawn(pattern: str) -> Iterator[list[bytes]]:
    """Sessions drawn from all files (Vitter's algorithm R), in an order that is random too."""
    files = sorted(tf.io.gfile.glob(pattern))
    records = tf.data.TFRecordDataset(files, compression_type="GZIP", buffer_size=1 << 20)
    draw, kept = random.Random(_SEED), []
    for number, record in enumerate(records.as_numpy_iterator()):
        if number < _SESSIONS:
            kept.append(record)
        elif (place := draw.randrange(number + 1)) < _SESSIONS:
            kept[place] = record
    if not kept:
        raise DataError(f"no session in {pattern}")
    draw.shuffle(kept)
    for first in range(0, len(kept), _AT_ONCE):
        yield kept[first : first + _AT_ONCE]


def _median(name: str, parts: Sequence[np.ndarray]) -> float:
    everything = np.concatenate(parts) if parts else np.zeros(0)
    if not everything.size:
        return 1.0
    if not (np.isfinite(everything) & (everything >= 0)).all():
        raise ValueError(f"the ranking model's {name} holds values that are no numbers from 0 on")
    return max(float(np.median(everything)), _LEAST)
