"""Plans of exploration and trials: the users they concern, and the seeds of their requests.

All are hashes, so that every server, language and day decides alike without asking anybody.
"""

from __future__ import annotations

import dataclasses
import hashlib
from typing import Literal

import numpy as np

#: ``policy``: served by the policy as it is. ``noise`` and ``random``: the two halves of
#: BatchRL-MTF's mixed exploration (section 3.3).
Arm = Literal["policy", "noise", "random"]
#: One more than the largest hash.
HASH_RANGE = 2**64


@dataclasses.dataclass(frozen=True)
class ExplorationPlan:
    """How users are divided into arms.

    Attributes:
      share: Share of the users that are explored with, half of them in each exploring arm. A user
        stays in an arm as long as ``salt`` does; with a larger share, those explored with before
        still are.
      salt: Another one divides the users in another way.
    """

    share: float = 0.1
    salt: str = "exploration"

    def __post_init__(self) -> None:
        if not 0.0 <= self.share <= 1.0:
            raise ValueError(f"share of explored users must be in [0, 1], got {self.share}")

    def arm(self, user_id: str) -> Arm:
        """The arm of a user."""
        place = stable_hash(f"{self.salt}/user/{user_id}") / HASH_RANGE
        if place >= self.share:
            return "policy"
        # A hash of its own: the halves must not move when the share does.
        return "random" if stable_hash(f"{self.salt}/half/{user_id}") % 2 else "noise"


@dataclasses.dataclass(frozen=True)
class TrialPlan:
    """How users are divided between the policy in use and another that is tried.

    Attributes:
      treatment_share: Share of the users that get the other policy. A user stays in a group as long
        as this and ``salt`` do: neither may change while a trial lasts.
      salt: One for each trial, so that the groups of one are not those of the next.
    """

    treatment_share: float = 0.5
    salt: str = "trial"

    def __post_init__(self) -> None:
        if not 0.0 <= self.treatment_share <= 1.0:
            raise ValueError(
                f"share of users to try a policy on must be in [0, 1], got {self.treatment_share}"
            )

    def arm(self, user_id: str) -> Literal["control", "treatment"]:
        """The group of a user; to be logged as the request's arm."""
        place = stable_hash(f"{self.salt}/trial/{user_id}") / HASH_RANGE
        return "treatment" if place < self.treatment_share else "control"


def request_seed(request_id: str) -> np.ndarray:
    """The seed of a request's exploration, int32 `[2]`: the same whenever it is asked again."""
    return np.asarray(divmod(stable_hash(f"seed/{request_id}"), 2**32), np.uint32).view(np.int32)


def stable_hash(text: str) -> int:
    """A hash that is the same on every machine and day, from 0 to below ``HASH_RANGE``."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")
