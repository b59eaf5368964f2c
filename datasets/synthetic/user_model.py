"""The constants of the user model; ``docs/synthetic-data.md`` explains each.

Scores are logits. Affinity, bias and quality have unit variance before they are weighted.
"""

from __future__ import annotations

import dataclasses

FACTORS = 8
#: Share of a latent's variance that the columns of the user and item tables explain.
OBSERVED_SHARE = 0.6
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
      utility_weights: Weight of the shared utility in each feedback's score.
      trait_sd: Standard deviation of a user's and of an item's own inclination to each feedback.
      affinity: Weight of the affinity of user and item in the utility.
      bias: Weight of the user's general liking.
      quality: Weight of the item's quality.
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
    """

    tasks: tuple[str, ...]
    rates: tuple[float, ...]
    utility_weights: tuple[float, ...]
    trait_sd: tuple[float, ...]
    affinity: float
    bias: float
    quality: float
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

    @property
    def session_spacing_ms(self) -> int:
        """Least distance between two session starts of a user."""
        longest_step_ms = 20 * 60_000
        return self.longest_session_ms + longest_step_ms + SESSION_PAUSE_MS

    @property
    def max_sessions(self) -> int:
        """Sessions of a user that fit into half of the log's time."""
        return (self.end_ms - self.start_ms) // (2 * self.session_spacing_ms)


VIDEO_MODEL = UserModel(
    tasks=("click", "long_view", "like", "follow", "comment", "forward", "hate"),
    rates=(0.3793, 0.2635, 0.0151, 0.0012, 0.0025, 0.0009, 0.0004),
    utility_weights=(1.0, 0.8, 0.9, 0.9, 0.7, 0.8, -0.8),
    trait_sd=(0.2, 0.3, 0.6, 0.6, 0.6, 0.6, 0.5),
    affinity=0.6,
    bias=0.45,
    quality=0.5,
    satisfaction=5.0,
    mood_sd=0.07,
    candidates=4,
    policy_noise=1.0,
    popularity_exponent=0.7,
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

SHOP_MODEL = UserModel(
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
