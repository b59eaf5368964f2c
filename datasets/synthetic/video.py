"""The ``video`` profile: short videos, KuaiRand's files."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl

from mtfx.datasets.synthetic.behaviour import BlockImpressions, Outcome, ProfileWorld, sigmoid
from mtfx.datasets.synthetic.blocks import Block, Stream, generator
from mtfx.datasets.synthetic.config import SyntheticConfig
from mtfx.datasets.synthetic.latents import BLOCK_ITEMS, Users, effects
from mtfx.datasets.synthetic.truth import truth_frame
from mtfx.datasets.synthetic.user_model import VIDEO_MODEL
from mtfx.datasets.synthetic.video_tables import make_users, make_videos, user_effects, video_table

TAG = "synthetic"
LOGS = ("standard_4_08_to_4_21", "standard_4_22_to_5_08", "random_4_22_to_5_08")
#: A view this long, or to the end of a shorter video, is a long view.
LONG_VIEW_MS = 18_000
_SECOND_PERIOD_MS = 1_650_556_800_000  # 2022-04-22 00:00 +08:00
TABS, _TAB_SHARES = (0, 1, 2, 4, 6), (0.12, 0.62, 0.08, 0.14, 0.04)
_TAB_WEIGHT = 0.35
#: Spread of the log of the watch time of a clicked video.
WATCH_SPREAD = 0.5
#: How often a video is played at most.
MAX_LOOPS = 3.0
#: log of the median watch time of a video that was not clicked, and the spread around it.
_SKIP_LOG_MS, SKIP_SPREAD = float(np.log(700.0)), 0.5
#: Factors of the probabilities of like, follow, comment, forward and hate.
CLICKED = np.array([1.0, 1.0, 1.0, 1.0, 0.5], np.float32)
UNCLICKED = np.array([0.15, 0.15, 0.15, 0.15, 1.0], np.float32)
_DAYS = np.array([20220408 + d for d in range(23)] + [20220501 + d for d in range(8)])


class VideoWorld(ProfileWorld):
    """Users of a short-video app.

    Attributes:
      videos: What the video table says about the items.
      log_threshold_ms: Log of the watch time that makes a long view, float32 `[item]`.
    """

    def __init__(self, config: SyntheticConfig):
        self.model = VIDEO_MODEL
        self._seed = config.seed
        self.items, self.videos = make_videos(config.seed, self.model, config.item_count)
        self._effects = user_effects(config.seed)
        self._tab_effect = np.float32(_TAB_WEIGHT) * effects(
            generator(config.seed, Stream.WORLD, 3), len(TABS)
        )
        self._tab_ends = np.cumsum(_TAB_SHARES)[:-1]
        threshold = np.minimum(self.videos.duration_ms, LONG_VIEW_MS)
        self.log_threshold_ms = np.log(threshold).astype(np.float32)
        second_share = (self.model.end_ms - _SECOND_PERIOD_MS) / (
            self.model.end_ms - self.model.start_ms
        )
        self.random_probability = config.random_share / (config.random_share + second_share)
        self.random_from_ms = _SECOND_PERIOD_MS

    def users(self, block: Block) -> Users:
        """See base class."""
        return make_users(self._seed, self.model, self._effects, block)

    def session_context(self, rng: np.random.Generator, sessions: int) -> np.ndarray:
        """The tab in which the session takes place."""
        return np.searchsorted(self._tab_ends, rng.random(sessions)).astype(np.int8)

    def circumstances(
        self, item: np.ndarray, time_ms: np.ndarray, context: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """The tab's effect, and the score of a long view without a click."""
        side = (np.float32(_SKIP_LOG_MS) - self.log_threshold_ms[item]) / np.float32(SKIP_SPREAD)
        return self._tab_effect[context], side

    def probabilities(self, scores: np.ndarray, side: np.ndarray) -> np.ndarray:
        """See base class."""
        result = sigmoid(scores)
        click = result[:, :1].copy()
        result[:, 1:2] = click * result[:, 1:2] + (1 - click) * sigmoid(side)[:, None]
        result[:, 2:] *= click * CLICKED + (1 - click) * UNCLICKED
        return result

    def respond(
        self, rng: np.random.Generator, item: np.ndarray, scores: np.ndarray, side: np.ndarray
    ) -> Outcome:
        """Draws click, then the watch time given it, then the rest.

        The log of the watch time is logistic around the score of a long view, so that it passes
        the threshold with just that probability. Reward: 0.4 for a click, 0.4 for a long view,
        0.2 for any further positive feedback; none with a hate.
        """
        draws = rng.random(scores.shape, dtype=np.float32)
        labels = np.empty(scores.shape, bool)
        click = draws[:, 0] < sigmoid(scores[:, 0])
        chance = np.clip(draws[:, 1], 1e-7, 1 - 1e-7)
        logistic = np.log(chance / (1 - chance))
        excess = np.where(
            click,
            np.float32(WATCH_SPREAD) * (scores[:, 1] + logistic),
            np.float32(SKIP_SPREAD) * (side + logistic),
        )
        watch = np.exp(excess + self.log_threshold_ms[item])
        duration = self.videos.duration_ms[item]
        threshold = np.minimum(duration, LONG_VIEW_MS)
        watch_ms = np.minimum(watch, MAX_LOOPS * duration).astype(np.int64)
        # Single precision may put a watch time just below a threshold that it reaches.
        watch_ms = np.where(excess >= 0, np.maximum(watch_ms, threshold), watch_ms)
        labels[:, 0], labels[:, 1] = click, watch_ms >= threshold
        further = sigmoid(scores[:, 2:]) * np.where(click[:, None], CLICKED, UNCLICKED)
        labels[:, 2:] = draws[:, 2:] < further
        reward = 0.4 * click + 0.4 * labels[:, 1] + 0.2 * labels[:, 2:6].any(axis=1)
        reward = (reward * ~labels[:, 6]).astype(np.float32)
        pause = 1_000 + (3_000 * rng.random(len(item), dtype=np.float32)).astype(np.int64)
        return Outcome(labels, reward, watch_ms + pause, watch_ms)

    def log_frames(
        self,
        rng: np.random.Generator,
        block: Block,
        impressions: BlockImpressions,
        probabilities: np.ndarray | None,
    ) -> dict[str, pl.DataFrame]:
        """The two standard logs and the random one, and the truth of each."""
        item, time_ms, labels = impressions.item, impressions.time_ms, impressions.labels
        log = _log(rng, impressions, self.items.ids[item], self.videos.duration_ms[item])
        log = log.with_columns(user_id=block.first_user + impressions.user)
        log_of_row = np.where(impressions.is_random, 2, time_ms >= _SECOND_PERIOD_MS)
        frames = {}
        truth = None
        if probabilities is not None:
            truth = truth_frame(
                log.select("user_id", "video_id", "time_ms"),
                self.model.tasks,
                labels,
                probabilities,
                impressions.satisfaction,
            )
        for number, name in enumerate(LOGS):
            rows = pl.Series(np.flatnonzero(log_of_row == number))
            frames[f"log_{name}_{TAG}"] = log[rows]
            if truth is not None:
                frames[f"truth_{name}_{TAG}"] = truth[rows]
        return frames

    def item_frames(self) -> Iterator[tuple[str, pl.DataFrame]]:
        """The video table."""
        for first in range(0, len(self.items.ids), BLOCK_ITEMS):
            rows = video_table(self._seed, self.items.ids, self.videos, first)
            yield f"video_features_basic_{TAG}", rows


def _log(
    rng: np.random.Generator,
    impressions: BlockImpressions,
    video_id: np.ndarray,
    duration: np.ndarray,
) -> pl.DataFrame:
    """The log's columns in KuaiRand's order; the three stay columns carry no signal."""
    size = len(video_id)
    local_hour = (
        impressions.time_ms - VIDEO_MODEL.start_ms
    ) // 3_600_000  # the log starts at a local midnight
    labels = impressions.labels.astype(np.int8)
    click, comment = impressions.labels[:, 0], impressions.labels[:, 4]
    chance = rng.random(size, dtype=np.float32)
    profile = chance < np.where(click, 0.03, 0.004)
    reads_comments = comment | (chance > np.where(click, 0.9, 0.99))
    profile_stay, comment_stay = np.zeros(size, np.int64), np.zeros(size, np.int64)
    profile_stay[profile] = 8_000 * rng.standard_exponential(int(profile.sum()))
    comment_stay[reads_comments] = 9_000 * rng.standard_exponential(int(reads_comments.sum()))
    return pl.DataFrame(
        {
            "user_id": impressions.user,
            "video_id": video_id,
            "date": _DAYS[local_hour // 24],
            "hourmin": local_hour % 24 * 100,
            "time_ms": impressions.time_ms,
            "is_click": labels[:, 0],
            "is_like": labels[:, 2],
            "is_follow": labels[:, 3],
            "is_comment": labels[:, 4],
            "is_forward": labels[:, 5],
            "is_hate": labels[:, 6],
            "long_view": labels[:, 1],
            "play_time_ms": impressions.extra_ms,
            "duration_ms": duration,
            "profile_stay_time": profile_stay,
            "comment_stay_time": comment_stay,
            "is_profile_enter": profile.astype(np.int8),
            "is_rand": impressions.is_random.astype(np.int8),
            "tab": np.asarray(TABS, np.int8)[impressions.context],
        }
    )
