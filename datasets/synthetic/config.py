"""Configuration of a synthesis: profile, size, seed, and how users and items grow with the size."""

from __future__ import annotations

import dataclasses
from typing import Literal

Profile = Literal["video", "shop"]
Format = Literal["csv", "csv.gz", "parquet"]

PROFILES: tuple[Profile, ...] = ("video", "shop")
FORMATS: tuple[Format, ...] = ("csv", "csv.gz", "parquet")
MAX_IMPRESSIONS = 1_000_000_000


@dataclasses.dataclass(frozen=True)
class PublishedSize:
    """Size of the data set that a profile imitates.

    Attributes:
      impressions: Rows of the standard log, or views.
      users: Users with an impression.
      items: Items shown.
      max_impressions_per_user: Mean impressions of a user that still fit into the log's days.
    """

    impressions: int
    users: int
    items: int
    max_impressions_per_user: int


#: KuaiRand-Pure (its standard log) and RetailRocket.
PUBLISHED: dict[str, PublishedSize] = {
    "video": PublishedSize(1_436_609, 27_285, 7_583, 300),
    "shop": PublishedSize(2_664_312, 1_407_580, 235_061, 300),
}


@dataclasses.dataclass(frozen=True)
class SyntheticConfig:
    """One synthetic data set; the same config gives the same bytes.

    Attributes:
      profile: ``video`` has KuaiRand's files, ``shop`` RetailRocket's.
      impressions: Rows of the standard log (video) or views (shop), met exactly; at least 1,000.
      seed: Of everything that is random.
      users: Users; None grows them in proportion to the impressions, with the published number at
        the published size.
      items: Items; None lets them grow as :func:`default_items` says.
      format: Of every file.
      with_truth: Also write ``truth_*`` files with the probability of each feedback.
      random_share: Rows of the random exposure log as a share of ``impressions`` (video only),
        met approximately; KuaiRand-Pure has 0.83.

    Raises:
      ValueError: at construction, naming the field and the allowed values.
    """

    profile: Profile = "video"
    impressions: int = 100_000
    seed: int = 0
    users: int | None = None
    items: int | None = None
    format: Format = "csv"
    with_truth: bool = False
    random_share: float = 0.1

    def __post_init__(self) -> None:
        if self.profile not in PROFILES:
            raise ValueError(f"profile {self.profile!r} is not one of {', '.join(PROFILES)}")
        if self.format not in FORMATS:
            raise ValueError(f"format {self.format!r} is not one of {', '.join(FORMATS)}")
        if not 1_000 <= self.impressions <= MAX_IMPRESSIONS:
            raise ValueError(
                f"impressions {self.impressions:,} is not between 1,000 and {MAX_IMPRESSIONS:,}"
            )
        if self.seed < 0:
            raise ValueError(f"seed {self.seed} is negative")
        if not 0.0 <= self.random_share <= 1.0:
            raise ValueError(f"random_share {self.random_share} is not between 0 and 1")
        if self.items is not None and not 10 <= self.items <= 50_000_000:
            raise ValueError(f"items {self.items:,} is not between 10 and 50,000,000")
        if self.users is not None:
            least = -(-self.impressions // PUBLISHED[self.profile].max_impressions_per_user)
            if not least <= self.users <= self.impressions:
                raise ValueError(
                    f"users {self.users:,} is not between {least:,} and {self.impressions:,}: with "
                    f"fewer, their {self.impressions:,} impressions do not fit into the days of "
                    "the log; with more, some would have none"
                )

    @property
    def user_count(self) -> int:
        """Users asked for, or the default for this size."""
        return self.users or default_users(self.profile, self.impressions)

    @property
    def item_count(self) -> int:
        """Items asked for, or the default for this size."""
        return self.items or default_items(self.profile, self.impressions)


def default_users(profile: Profile, impressions: int) -> int:
    """Users in proportion to the impressions, as many as published at the published size."""
    published = PUBLISHED[profile]
    return max(1, round(published.users * impressions / published.impressions))


def default_items(profile: Profile, impressions: int) -> int:
    """Items of a log of this size.

    The number grows with the square root of the impressions (Heaps' law, exponent 1/2), and below
    the published size of ``shop`` in proportion to them, so that a small shop's items are still
    viewed as often as a large one's.
    """
    published = PUBLISHED[profile]
    share = impressions / published.impressions
    scale = share if profile == "shop" and share < 1 else share**0.5
    return max(50, round(published.items * scale))
