"""The constants of the user model; ``docs/synthetic-data.md`` explains each.

Scores are logits. Affinity, bias and quality have unit variance before they are weighted.
"""

from __future__ import annotations

import dataclasses

FACTORS = 8
#: Share of a latent's variance that the columns of the user and item tables explain.
OBSERVED_SHARE = 0.6
#: Likewise of how much a user of videos watches, and of how much one interacts: shares with which
#: trees on the attributes alone reach about the AUC that they reach on the real log.
VIEWING_OBSERVED_SHARE = 0.07
INTERACTING_OBSERVED_SHARE = 0.36
#: The satisfaction after an impression is CARRY_OVER times itself plus the rest times the reward.
CARRY_OVER = 0.95
#: Below this satisfaction a user leaves.
LEAVE_BELOW = 0.1
#: Satisfaction at which it neither helps nor harms.
NEUTRAL_SATISFACTION = 0.3
#: Least and greatest satisfaction with which a session starts.
STARTING_SATISFACTION = (0.12, 0.8)
#: A pause longer than this separates two sessions (30 minutes), with a minute to spare.
SESSION_PAUSE_MS = 31 * 60_000


@dataclasses.dataclass(frozen=True)
class UserModel:
    """How users of one profile are shown items and respond.

    Attributes:
      tasks: Names of the feedbacks, each solved for after those before it.
      rates: Share of impressions with each feedback.
      utility_weights: Weight of the utility in each feedback's score.
      affinity: Weight of the affinity of user and item in the utility.
      satisfaction: Weight of the satisfaction's distance from neutral.
      mood_sd: Standard deviation of the satisfaction with which a session starts.
      candidates: Items among which the logging policy chooses by noisy affinity.
      policy_noise: Standard deviation of that noise.
      popularity_exponent: Of the power law by which candidates are drawn.
      activity_shape: Of the Pareto law of a user's sessions; smaller is a longer tail.
      max_activity: Sessions of the most active user, relative to the least active.
      session_length: Mean impressions of a session.
      depth_sd: Standard deviation of a user's own inclination to leave.
      leave_weight: How much satisfaction keeps a user.
      longest_session_ms: A session's last impression starts before this.
      start_ms: Start of the log, Unix time.
      end_ms: End of the log.
      utc_offset_hours: Local time of the users.
      pilot_blocks: Blocks that are simulated, at most, to calibrate the intercepts.
      solved_rows: Their impressions that are solved for; the more users differ in a rare feedback,
        the more it takes.
      block_tries: How often a log of one block, too large for many tries, is simulated whole to
        keep the try with the closest rates; 0 calibrates it as a longer log.
      rare_below: A feedback with a lower rate does not change satisfaction enough to be calibrated
        in more than one round.
    """

    tasks: tuple[str, ...]
    rates: tuple[float, ...]
    utility_weights: tuple[float, ...]
    affinity: float
    satisfaction: float
    mood_sd: float
    candidates: int
    policy_noise: float
    popularity_exponent: float
    activity_shape: float
    max_activity: float
    session_length: float
    depth_sd: float
    leave_weight: float
    longest_session_ms: int
    start_ms: int
    end_ms: int
    utc_offset_hours: float
    pilot_blocks: int = 8
    solved_rows: int = 30_000
    block_tries: int = 0
    rare_below: float = 0.0

    @property
    def session_spacing_ms(self) -> int:
        """Least distance between two session starts of a user."""
        longest_step_ms = 20 * 60_000
        return self.longest_session_ms + longest_step_ms + SESSION_PAUSE_MS

    @property
    def max_sessions(self) -> int:
        """Sessions of a user that fit into half of the log's time."""
        return (self.end_ms - self.start_ms) // (2 * self.session_spacing_ms)


@dataclasses.dataclass(frozen=True)
class ShopModel(UserModel):
    """A profile whose feedbacks share all of the utility.

    Attributes:
      trait_sd: Standard deviation of a user's and of an item's own inclination to each feedback.
      bias: Weight of the user's general liking in the utility.
      quality: Weight of the item's quality.
    """

    trait_sd: tuple[float, ...] = ()
    bias: float = 0.0
    quality: float = 0.0


@dataclasses.dataclass(frozen=True)
class Traits:
    """How the latents of users, or of items, weigh in each feedback's score.

    Attributes:
      viewing: Weight of what makes one watch.
      interacting: Weight of what makes one like, follow, comment and forward.
      own: Standard deviation of the feedback's own trait.
    """

    viewing: tuple[float, ...]
    interacting: tuple[float, ...]
    own: tuple[float, ...]


@dataclasses.dataclass(frozen=True)
class VideoModel(UserModel):
    """A profile with two families of feedback, viewing and interacting.

    Attributes:
      interest_weights: Weight of the second affinity, that of interacting.
      satisfaction_weights: Weight of the satisfaction's term.
      users: Of the latents of users.
      videos: Of those of videos.
      lengths_s: Durations, s, at which ``length_scores`` are given; linear in their log between.
      length_scores: What the duration adds to each feedback's score, by task.
    """

    interest_weights: tuple[float, ...] = ()
    satisfaction_weights: tuple[float, ...] = ()
    users: Traits = Traits((), (), ())
    videos: Traits = Traits((), (), ())
    lengths_s: tuple[float, ...] = ()
    length_scores: dict[str, tuple[float, ...]] = dataclasses.field(default_factory=dict)


#: Calibrated to the figures of ``real_figures``; see ``docs/synthetic-data.md``.
VIDEO_MODEL = VideoModel(
    tasks=("click", "long_view", "like", "follow", "comment", "forward", "hate"),
    rates=(0.3793, 0.2635, 0.0151, 0.0012, 0.0025, 0.0009, 0.0004),
    utility_weights=(1.0, 0.45, 0.3, 0.3, 0.3, 0.3, -0.5),
    interest_weights=(0.0, 0.0, 0.6, 0.6, 0.6, 0.6, 0.0),
    satisfaction_weights=(1.0, 0.8, 0.9, 0.9, 0.7, 0.8, -0.8),
    users=Traits(
        viewing=(0.86, 0.2, 0.2, -0.2, 0.0, -0.2, -0.4),
        interacting=(0.0, 0.0, 6.3, 1.2, 1.2, 1.2, 0.0),
        own=(0.1, 0.25, 2.2, 0.8, 0.8, 0.8, 0.8),
    ),
    videos=Traits(
        viewing=(1.13, 0.4, -0.62, -0.33, -0.6, -0.75, -0.4),
        interacting=(0.0, 0.0, 3.35, 0.61, 0.73, 0.76, 0.0),
        own=(0.1, 0.5, 1.88, 0.94, 0.8, 0.75, 0.5),
    ),
    lengths_s=(10.7, 26.4, 53.5, 94.0, 157.0, 300.0),
    length_scores={
        "click": (-0.54, 0.02, 0.2, 0.15, 0.03, -0.06),
        "long_view": (-1.35, 0.0, 0.2, 0.2, 0.05, -0.05),
        "like": (2.2, 0.57, -0.3, -0.55, -1.02, -1.6),
        "follow": (-0.15, -0.1, 0.0, 0.1, 0.1, 0.05),
        "comment": (0.25, 0.15, 0.0, -0.1, -0.2, -0.3),
        "forward": (0.4, 0.2, 0.0, -0.1, -0.2, -0.4),
    },
    affinity=0.6,
    satisfaction=5.0,
    mood_sd=0.07,
    candidates=4,
    policy_noise=1.0,
    popularity_exponent=0.6,
    pilot_blocks=12,
    solved_rows=160_000,
    block_tries=6,
    rare_below=0.1,
    activity_shape=1.8,
    max_activity=50.0,
    session_length=10.0,
    depth_sd=0.5,
    leave_weight=6.0,
    longest_session_ms=40 * 60_000,
    start_ms=1_649_347_200_000,  # 2022-04-08 00:00 +08:00
    end_ms=1_652_025_600_000,  # 2022-05-09 00:00 +08:00
    utc_offset_hours=8.0,
)

SHOP_MODEL = ShopModel(
    tasks=("click", "pay"),
    rates=(69_332 / 2_664_312, 22_457 / 2_664_312),
    utility_weights=(1.0, 0.6),
    trait_sd=(0.2, 0.4),
    affinity=0.6,
    bias=0.5,
    quality=0.5,
    satisfaction=4.0,
    mood_sd=0.07,
    candidates=4,
    policy_noise=1.0,
    popularity_exponent=0.8,
    activity_shape=1.3,
    max_activity=5_000.0,
    session_length=1.5,
    depth_sd=0.8,
    leave_weight=6.0,
    longest_session_ms=60 * 60_000,
    start_ms=1_430_622_001_000,  # 2015-05-03 03:00:01 UTC
    end_ms=1_442_545_200_000,  # 2015-09-18 03:00 UTC
    utc_offset_hours=0.0,
)
