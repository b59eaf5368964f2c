"""Comparison of two policies on two groups of users: in a run's simulator, or as it was served."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from pathlib import Path

from mtfx.errors import require
from mtfx.evaluation.ab_test.trial import TrialSettings, judge_trial
from mtfx.evaluation.reports.ab_test import TrialReport, write_trial_report

_MAX_SEED = 2**31 - 1


@dataclasses.dataclass(frozen=True)
class CompareOptions:
    """A run of ``mtfx compare``.

    Attributes:
      control: The policy in use: of the simulator, ``constant``, a method of the run or a
        directory; of a log, the arm that its requests were logged with.
      treatment: The other, likewise.
      output_dir: Where the report goes.
      run_dir: Run of ``mtfx fusion`` whose simulator is used.
      interactions: Directory of joined requests, in place of ``run_dir``.
      feedback_names: Of the log, in order.
      days: Simulated days.
      seed: Of the simulation.
      settings: How the trial is judged.
    """

    control: str
    treatment: str
    output_dir: str
    run_dir: str | None = None
    interactions: str | None = None
    feedback_names: tuple[str, ...] = ()
    days: int = 14
    seed: int = 0
    settings: TrialSettings = dataclasses.field(default_factory=TrialSettings)

    def __post_init__(self) -> None:
        require(
            (self.run_dir is None) != (self.interactions is None),
            "give either --run-dir or --interactions",
            "a run's policies are compared in its simulator, logged interactions as they were",
        )
        require(self.days >= 1, f"--days must be at least 1, got {self.days}")
        require(
            0 <= self.seed <= _MAX_SEED, f"--seed must be from 0 to {_MAX_SEED}, got {self.seed}"
        )
        if self.interactions is None:
            require(not self.feedback_names, "--feedback is for --interactions alone")
            return
        require(
            bool(self.feedback_names),
            "--interactions takes --feedback",
            "give the names that `mtfx join-feedback` was given, in the same order",
        )
        require(
            self.control != self.treatment,
            f"--control and --treatment are both {self.control}: a log has two arms to compare",
        )


def run_compare(options: CompareOptions, progress: Callable[[str, int], None]) -> TrialReport:
    """Compares the policies and writes the report.

    Args:
      options: What to compare.
      progress: Notified of each group that is simulated: its policy and number of sessions.

    Raises:
      UserError: if there is no such run, policy or arm, or a group has fewer than 2 users.
      DataError: if a log, policy or simulator cannot be read.
    """
    report = (_logged if options.interactions is not None else _simulated)(options, progress)
    write_trial_report(Path(options.output_dir), report)
    return report


def _logged(options: CompareOptions, progress: Callable[[str, int], None]) -> TrialReport:
    del progress
    from mtfx.evaluation.ab_test.logged import logged_arms

    directory = options.interactions or ""
    arms = logged_arms(directory, options.control, options.treatment, options.feedback_names)
    for flag, arm in (("--control", arms.control), ("--treatment", arms.treatment)):
        require(
            arm.users >= 2,
            f"{flag} {arm.name}: {directory} has requests of {arm.users} user of this arm; "
            "differences between users take 2 at least",
        )
    result = judge_trial(arms.control, arms.treatment, arms.days, options.settings)
    where = f"Served requests in {os.path.abspath(directory)}, days in UTC."
    return TrialReport(result, where, arms.notes, dataclasses.asdict(options))


def _simulated(options: CompareOptions, progress: Callable[[str, int], None]) -> TrialReport:
    # Takes TensorFlow, which logs do not.
    from mtfx.pipelines.compared_policies import FusionRun
    from mtfx.pipelines.simulated_trial import simulated_arms
    from mtfx.serving.exploration import TrialPlan

    run = FusionRun(options.run_dir or "")
    control = run.policy("--control", options.control)
    treatment = run.policy("--treatment", options.treatment)
    if control.name == treatment.name:
        # The same policy twice shows what comes by chance.
        control = control._replace(name=f"{control.name} (control)")
        treatment = treatment._replace(name=f"{treatment.name} (treatment)")
    plan = TrialPlan(options.settings.treatment_share, salt=f"simulated {options.seed}")
    policies = (control, treatment)
    arms = simulated_arms(run, policies, plan, options.days, options.seed, progress)
    days = tuple(f"day {number}" for number in range(1, options.days + 1))
    where = (
        f"Users of the simulator of {os.path.abspath(options.run_dir or '')} that no policy learnt "
        "from, a session a day."
    )
    notes = tuple(f"{named.name} is {named.source}." for named in policies)
    result = judge_trial(*arms, days, options.settings)
    return TrialReport(result, where, notes, dataclasses.asdict(options))
