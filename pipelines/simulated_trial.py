"""A trial in the simulator: its users are divided, and each visits once a day."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mtfx.environments.simulator.dynamics import Simulator
from mtfx.environments.simulator.runner import SessionRunner
from mtfx.environments.simulator.user_groups import user_groups
from mtfx.environments.simulator.value import figures_of
from mtfx.errors import require
from mtfx.evaluation.ab_test.user_totals import ArmLog
from mtfx.pipelines.compared_policies import FusionRun, NamedPolicy
from mtfx.serving.exploration import TrialPlan

#: Told of an arm and how many sessions of it are going to be run.
Progress = Callable[[str, int], None]


def simulated_arms(
    run: FusionRun,
    policies: tuple[NamedPolicy, NamedPolicy],
    plan: TrialPlan,
    days: int,
    seed: int,
    progress: Progress,
) -> tuple[ArmLog, ArmLog]:
    """Serves two policies to two groups of the simulator's users that no policy learnt from.

    Args:
      run: Whose users.
      policies: The one in use and the other.
      plan: Divides the users by their ids, as a service would.
      days: How many; every user has a session on each.
      seed: Of everything random; each session has luck of its own.
      progress: Notified of what happens.

    Returns:
      What both groups did.

    Raises:
      UserError: if a group has fewer than 2 users.
    """
    ids = run.simulator.world.user_ids
    judged = user_groups(ids).evaluation
    arm_of = np.asarray([plan.arm(str(user)) for user in ids[judged]])
    groups = [judged[arm_of == arm] for arm in ("control", "treatment")]
    sizes = [len(group) for group in groups]
    require(
        min(sizes) >= 2,
        f"the simulator's {sum(sizes)} users that no policy learnt from make groups of {sizes[0]} "
        f"and {sizes[1]}; "
        "differences between users take 2 at least",
        "fit a simulator of more users with `mtfx fusion --users`, or change --treatment-share",
    )
    first, second = (
        _arm(run.simulator, policy, group, days, (seed, place), progress)
        for place, (policy, group) in enumerate(zip(policies, groups, strict=True))
    )
    return first, second


def _arm(
    simulator: Simulator,
    named: NamedPolicy,
    users: np.ndarray,
    days: int,
    seed: tuple[int, int],
    progress: Progress,
) -> ArmLog:
    progress(named.name, len(users) * days)
    runner = SessionRunner(simulator, named.fusion, named.policy)
    figures = figures_of(runner, np.tile(users, days), seed, gamma=1.0)
    positives = figures.positive_rate * figures.views
    return ArmLog(
        named.name,
        np.tile(np.arange(len(users)), days),
        np.repeat(np.arange(days), len(users)),
        np.stack([figures.watch_s, figures.views, positives], axis=1),
    )
