"""The law of the watch time of a video, given whether it was clicked and whether the view is long.

A view is long if it lasts h: 18 s, or the duration if that is shorter. The watch time of a clicked
video is that of X with log(X / h) = S (c + L), on the side of h on which the view is. L is standard
logistic noise, sigmoid(c) the usual chance of a long view; S grows with the duration and with the
video's hold. What of X goes beyond the end is replay, of which little is watched: d (X / d)^k, at
most ``MAX_LOOPS`` d. So the mean after a click is that of long views times their probability and
that of shorter ones times theirs.

A video that was not clicked is left within 7 s (or its end): h' (1 - (1 - v)^(1/b)) for uniform v.
In a tab of covers, where a video plays only after a click, that is 0 s.
"""

from __future__ import annotations

import dataclasses

import numpy as np

#: A view this long, or to the end of a shorter video, is a long view.
LONG_VIEW_MS = 18_000
#: Longest watch time without a click, but for ``LATE``.
SKIP_MS = 7_000
#: How often a video is played at most.
MAX_LOOPS = 3.0
#: Chance of a long view without a click, where videos play by themselves.
LATE = 0.0024
#: sigmoid(c) and c above.
USUAL_CHANCE = 0.85
USUAL_SCORE = float(np.log(USUAL_CHANCE / (1 - USUAL_CHANCE)))
#: b above: watch times without a click have the mean h' / (1 + b).
SKIP_SHAPE = 1.2
#: Mean of a long view without a click, in h: it is uniform between once and twice.
LATE_MEAN = 1.5
#: Durations, s, at which S and k are given; linear in the log of the duration between them.
_DURATION_S = (10.7, 26.4, 53.5, 94.0, 157.0, 300.0)
_SPREAD = (1.4, 0.52, 0.82, 1.0, 0.945, 0.825)
_REPLAY = (1.0, 0.4, 0.25, 0.15, 0.05, 0.01)
#: Weight of a video's hold in log S.
HOLD = 0.6
_LOG_LOOPS = np.float32(np.log(MAX_LOOPS))


@dataclasses.dataclass(frozen=True)
class WatchLaw:
    """Constants of some videos' watch times; each float32 of the same shape.

    Attributes:
      log_threshold: Log of h in ms.
      log_duration: Log of the duration in ms.
      spread: S.
      replay: k.
      skip_ms: h'.
      long_ms: Mean watch time after a click, of a long view.
      short_ms: Likewise, of a shorter one.
    """

    log_threshold: np.ndarray
    log_duration: np.ndarray
    spread: np.ndarray
    replay: np.ndarray
    skip_ms: np.ndarray
    long_ms: np.ndarray
    short_ms: np.ndarray

    @classmethod
    def of(cls, duration_ms: np.ndarray, hold: np.ndarray) -> WatchLaw:
        """The law for videos of these durations and holds (unit variance), of one shape."""
        at, log_duration = np.log(1_000.0 * np.array(_DURATION_S)), np.log(duration_ms)
        log_threshold = np.log(np.minimum(duration_ms, LONG_VIEW_MS))
        spread, replay = (np.interp(log_duration, at, values) for values in (_SPREAD, _REPLAY))
        spread = spread * np.exp(HOLD * np.clip(hold, -2.5, 1.5))
        skip_ms = np.minimum(duration_ms, SKIP_MS)
        means = _means_ms(log_threshold, log_duration, spread, replay)
        columns = (log_threshold, log_duration, spread, replay, skip_ms, *means)
        return cls(*(column.astype(np.float32) for column in columns))

    def take(self, item: np.ndarray) -> WatchLaw:
        """The law of one video each, for laws of shape `[item]`."""
        return WatchLaw(
            *(getattr(self, field.name).take(item) for field in dataclasses.fields(self))
        )

    def clicked_ms(self, chance: np.ndarray, uniform: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Watch times after a click, and whether each is a long view.

        Args:
          chance: Of a long view, float32 `[n]`.
          uniform: In [0, 1), float32 `[n]`.
        """
        usual = np.float32(USUAL_CHANCE)
        long_view = uniform >= 1 - chance
        rest = np.where(long_view, 1 - uniform, uniform) / np.where(long_view, chance, 1 - chance)
        # Of a long view the distance from above, of a shorter one that from below.
        place = np.clip(rest * np.where(long_view, usual, 1 - usual), 1e-7, 1)
        logistic = np.log(place / (1 - place))
        excess = np.float32(USUAL_SCORE) + np.where(long_view, -logistic, logistic)
        beyond = self.log_threshold + self.spread * excess - self.log_duration
        beyond = np.where(beyond > 0, np.minimum(self.replay * beyond, _LOG_LOOPS), beyond)
        return np.exp(self.log_duration + beyond), long_view

    def skipped_ms(self, uniform: np.ndarray, late: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Watch times without a click, and whether each is a long view.

        Args:
          uniform: In [0, 1), float32 `[n]`.
          late: Chance of a long view, float32 `[n]`; 0 where a video does not play by itself.
        """
        stays = uniform >= 1 - late
        part = np.where(stays, (1 - uniform) / np.maximum(late, 1e-9), uniform / (1 - late))
        left = 1 - np.exp(np.log1p(-np.where(stays, 0, part)) / np.float32(SKIP_SHAPE))
        watch = np.where(stays, np.exp(self.log_threshold) * (1 + part), self.skip_ms * left)
        return np.where(late > 0, watch, 0), stays

    def mean_ms(self, click: np.ndarray, chance: np.ndarray, late: np.ndarray) -> np.ndarray:
        """Mean watch time, float32 `[n]`.

        Args:
          click: Probability, float32 `[n]`.
          chance: Of a long view given a click, float32 `[n]`.
          late: Of one without a click, float32 `[n]`; 0 where a video does not play by itself.
        """
        skipped = (1 - late) * self.skip_ms / np.float32(1 + SKIP_SHAPE)
        skipped += late * np.float32(LATE_MEAN) * np.exp(self.log_threshold)
        clicked = chance * self.long_ms + (1 - chance) * self.short_ms
        return click * clicked + (1 - click) * np.where(late > 0, skipped, 0)


def _means_ms(
    log_threshold: np.ndarray, log_duration: np.ndarray, spread: np.ndarray, replay: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Mean watch time of long views and of shorter ones after a click, float64 `[...]`.

    Both are integrals of P(watch time > t), by Gauss and Legendre: over [0, h] with t = h v², where
    the integrand is steep at 0, over [h, d] in log t, and over the replay.
    """
    nodes, weights = np.polynomial.legendre.leggauss(24)
    threshold, duration = np.exp(log_threshold), np.exp(log_duration)
    width = log_duration - log_threshold
    to_threshold, to_end, to_last = (np.zeros_like(duration) for _ in range(3))
    for node, weight in zip((nodes + 1) / 2, weights / 2, strict=True):
        above = 2 * np.log(node)
        to_threshold += 2 * node * weight * _survival(above / spread)
        to_end += weight * np.exp(node * width) * _survival(node * width / spread)
        loops = 1 + node * (MAX_LOOPS - 1)
        to_last += weight * _survival((width + np.log(loops) / replay) / spread)
    long_ms = threshold * (1 + width * to_end / USUAL_CHANCE)
    long_ms += duration * (MAX_LOOPS - 1) * to_last / USUAL_CHANCE
    short_ms = threshold * (to_threshold - USUAL_CHANCE) / (1 - USUAL_CHANCE)
    return long_ms, short_ms


def _survival(excess: np.ndarray) -> np.ndarray:
    """P(c + L > excess)."""
    return 1 / (1 + np.exp(np.clip(excess - USUAL_SCORE, -700, 700)))
