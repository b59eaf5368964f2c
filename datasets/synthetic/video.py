"""The ``video`` profile: short videos, KuaiRand's files."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl

from mtfx.datasets.synthetic.behaviour import (
    BlockImpressions,
    Outcome,
    ProfileWorld,
    Truth,
    sigmoid,
)
from mtfx.datasets.synthetic.blocks import Block
from mtfx.datasets.synthetic.config import SyntheticConfig
from mtfx.datasets.synthetic.latents import BLOCK_ITEMS, Users
from mtfx.datasets.synthetic.truth import truth_frame
from mtfx.datasets.synthetic.user_model import (
    FACTORS,
    NEUTRAL_SATISFACTION,
    VIDEO_MODEL,
    VideoModel,
)
from mtfx.datasets.synthetic.video_tables import make_users, make_videos, user_effects, video_table
from mtfx.datasets.synthetic.watch_law import LATE, LONG_VIEW_MS, WatchLaw

TAG = "synthetic"
LOGS = ("standard_4_08_to_4_21", "standard_4_22_to_5_08", "random_4_22_to_5_08")
_SECOND_PERIOD_MS = 1_650_556_800_000  # 2022-04-22 00:00 +08:00
#: Tabs of the real log with their shares of the sessions, and what each adds to the utility.
TABS, _TAB_SHARES = (0, 1, 2, 4, 6), (0.155, 0.72, 0.03, 0.065, 0.03)
_TAB_UTILITY = np.array([-2.4, 0.1, 0.1, 0.5, -1.7], np.float32)
#: The tab that shows covers: a video plays there only after a click.
COVERS = 0
#: Factors of the probabilities of like, follow, comment, forward and hate.
CLICKED = np.ones(5, np.float32)
UNCLICKED = np.array([0.22, 0.12, 0.03, 0.08, 1.0], np.float32)
_DAYS = np.array([20220408 + d for d in range(23)] + [20220501 + d for d in range(8)])


class VideoWorld(ProfileWorld):
    """Users of a short-video app.

    Attributes:
      videos: What the video table says about the items.
      watch: The law of their watch times.
    """

    model: VideoModel

    def __init__(self, config: SyntheticConfig):
        self.model = VIDEO_MODEL
        self._seed = config.seed
        self.items, self.videos = make_videos(config.seed, self.model, config.item_count)
        self.watch = WatchLaw.of(self.videos.duration_ms, self.videos.hold)
        self._effects = user_effects(config.seed)
        self._tab_ends = np.cumsum(_TAB_SHARES)[:-1]
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
        """The tab's effect, and the chance of a long view without a click."""
        late = np.where(np.asarray(TABS)[context] == COVERS, np.float32(0), np.float32(LATE))
        return _TAB_UTILITY[context], late

    def situation_scores(
        self,
        factors: np.ndarray,
        item: np.ndarray,
        affinity: np.ndarray,
        shift: np.ndarray,
        satisfaction: np.ndarray,
    ) -> np.ndarray:
        """The affinity of viewing with the tab, that of interacting, and the satisfaction."""
        utility = np.float32(self.model.affinity) * affinity + shift
        theirs = interests(self.items.factors.take(item, axis=0))
        interest = np.einsum("nf,nf->n", theirs, factors) / np.float32(FACTORS**0.5)
        distance = satisfaction - np.float32(NEUTRAL_SATISFACTION)
        scores = utility[:, None] * np.asarray(self.model.utility_weights, np.float32)
        scores += interest[:, None] * np.asarray(self.model.interest_weights, np.float32)
        return scores + distance[:, None] * satisfaction_slopes()

    def probabilities(self, scores: np.ndarray, side: np.ndarray) -> np.ndarray:
        """See base class."""
        result = sigmoid(scores)
        click = result[:, :1].copy()
        result[:, 1:2] = click * result[:, 1:2] + (1 - click) * side[:, None]
        result[:, 2:] *= click * CLICKED + (1 - click) * UNCLICKED
        return result

    def mean_extra_ms(self, item: np.ndarray, scores: np.ndarray, side: np.ndarray) -> np.ndarray:
        """The mean watch time."""
        return self.watch.take(item).mean_ms(sigmoid(scores[:, 0]), sigmoid(scores[:, 1]), side)

    def respond(
        self, rng: np.random.Generator, item: np.ndarray, scores: np.ndarray, side: np.ndarray
    ) -> Outcome:
        """Draws click, then the watch time given it, then the rest.

        Reward: 0.4 for a click, 0.4 for a long view, 0.2 for any further positive feedback; none
        with a hate.
        """
        draws = rng.random(scores.shape, dtype=np.float32)
        labels = np.empty(scores.shape, bool)
        click = draws[:, 0] < sigmoid(scores[:, 0])
        law = self.watch.take(item)
        clicked_ms, clicked_long = law.clicked_ms(sigmoid(scores[:, 1]), draws[:, 1])
        skipped_ms, skipped_long = law.skipped_ms(draws[:, 1], side)
        long_view = np.where(click, clicked_long, skipped_long)
        duration = self.videos.duration_ms[item]
        threshold = np.minimum(duration, LONG_VIEW_MS)
        watch_ms = np.where(click, clicked_ms, skipped_ms).astype(np.int64)
        # Single precision may put a watch time on the wrong side of a threshold.
        watch_ms = np.where(
            long_view, np.maximum(watch_ms, threshold), np.minimum(watch_ms, threshold - 1)
        )
        labels[:, 0], labels[:, 1] = click, long_view
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
        truth: Truth | None,
    ) -> dict[str, pl.DataFrame]:
        """The two standard logs and the random one, and the truth of each."""
        item, time_ms, labels = impressions.item, impressions.time_ms, impressions.labels
        log = _log(rng, impressions, self.items.ids[item], self.videos.duration_ms[item])
        log = log.with_columns(user_id=block.first_user + impressions.user)
        log_of_row = np.where(impressions.is_random, 2, time_ms >= _SECOND_PERIOD_MS)
        frames = {}
        drawn_from = None
        if truth is not None:
            drawn_from = truth_frame(
                log.select("user_id", "video_id", "time_ms"),
                self.model.tasks,
                labels,
                truth.probabilities,
                impressions.satisfaction,
                truth.mean_extra_ms,
            )
        for number, name in enumerate(LOGS):
            rows = pl.Series(np.flatnonzero(log_of_row == number))
            frames[f"log_{name}_{TAG}"] = log[rows]
            if drawn_from is not None:
                frames[f"truth_{name}_{TAG}"] = drawn_from[rows]
        return frames

    def item_frames(self) -> Iterator[tuple[str, pl.DataFrame]]:
        """The video table."""
        for first in range(0, len(self.items.ids), BLOCK_ITEMS):
            rows = video_table(self._seed, self.items.ids, self.videos, first)
            yield f"video_features_basic_{TAG}", rows


def interests(factors: np.ndarray) -> np.ndarray:
    """What of videos' factors meets a user's when it comes to interacting, of the same shape.

    The same factors in another order: who likes to watch what is told by the same columns as who
    interacts with what, but the two hardly know of each other, and for each user in another way.
    """
    return np.roll(factors, 1, axis=-1)


def satisfaction_slopes() -> np.ndarray:
    """What the satisfaction adds to each feedback's score, float32 `[task]`."""
    weights = np.asarray(VIDEO_MODEL.satisfaction_weights, np.float32)
    return np.float32(VIDEO_MODEL.satisfaction) * weights


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
