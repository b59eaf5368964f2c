"""The daily loop: each day's log is checked, and both pipelines train on the last days' logs.

A day without a usable log changes nothing: yesterday's model goes on serving, and the reason is
recorded. Models begin with the weights of the last blessed ones.
"""

from __future__ import annotations

import dataclasses
import functools
import os
import time
from collections.abc import Callable

from mtfx.components.session_example_gen.inputs import input_files
from mtfx.datasets.description_version import description_version
from mtfx.datasets.fingerprint import fingerprint
from mtfx.errors import DataError, StageError, data_error_in, require
from mtfx.evaluation.reports.daily import Day, Model
from mtfx.evaluation.reports.fusion import FusionSummary
from mtfx.evaluation.reports.ranking import RunSummary
from mtfx.pipelines import local_runner
from mtfx.pipelines.daily_config import DailyConfig
from mtfx.pipelines.daily_state import DailyState
from mtfx.pipelines.day_check import check_day, create_check
from mtfx.pipelines.fusion import run_fusion
from mtfx.pipelines.own_process import run_in_own_process
from mtfx.pipelines.ranking import run_ranking
from mtfx.pipelines.rejoin import rejoin
from mtfx.pipelines.skew_check import check_skew, create_skew_check
from mtfx.pipelines.spans import next_span, span_folders, span_range

_SERVED_STAGE, _SKEW_STAGE = "ServedInteractionGen", "StrictDistributionValidator"
#: More are taken for a mistake in a number: a year, and by how much dates of a year differ.
_MOST_DAYS, _MOST_SPANS = 366, 10_000
#: Told a day's number, and what is done with it.
DayObserver = Callable[[int, str], None]


def run_days(
    config: DailyConfig,
    spans: tuple[int, ...],
    observer: local_runner.StageObserver,
    on_day: DayObserver,
    command: str = "",
) -> list[Day]:
    """Runs some days, in order, each in a process of its own: one for all grew by the day.

    Args:
      config: What to run.
      spans: The days, ascending.
      observer: Notified of each stage.
      on_day: Notified of each day.
      command: The command line, for the reports.

    Returns:
      What became of each. A refused day does not keep the next from being run; a failure does.

    Raises:
      UserError: if the daily run's record is damaged.
    """
    found: list[Day] = []
    for span in spans:
        state = DailyState.read(config.output_dir)
        known = state.days.get(span)
        files = _fingerprint(config, span)
        settled = known is not None and known.status in ("done", "checked")
        if known is not None and settled and known.fingerprint == files:
            on_day(span, "has run already with this log; other flags count from the next day on")
            found.append(known)
            continue
        job = functools.partial(_run_day, config, state, span, files, command)
        try:
            day = run_in_own_process(job, observer, on_day)
        except StageError as error:
            day = Day(span, "failed", fingerprint=files, reason=str(error))
        state.record(day)
        state.write(config.output_dir)
        found.append(day)
        if day.status == "failed":
            break
    return found


def days_to_run(config: DailyConfig, until: int, start: int | None) -> tuple[int, ...]:
    """The days from ``start``, or from the one after the last that was run, to ``until``.

    Args:
      config: The daily loop.
      until: The scheduled day.
      start: First day; None goes on where the loop stopped, and begins it with ``until``.

    Raises:
      UserError: if ``start`` is after ``until``, or so far before it that a number must be wrong.
    """
    require(until >= 0, f"--span must not be negative, got {until}")
    require(start is None or start >= 0, f"--from must not be negative, got {start}")
    days = DailyState.read(config.output_dir).days
    if start is None:
        start = min(next_span(max(days)), until) if days else until
    require(start <= until, f"--from {start} is after --span {until}")
    require(
        until - start <= _MOST_SPANS and len(found := span_range(start, until)) <= _MOST_DAYS,
        f"from {start} to --span {until} there are more than {_MOST_DAYS} days",
        "is --span right? Name the first day to run with --from",
    )
    return found


def _run_day(
    config: DailyConfig,
    state: DailyState,
    span: int,
    files: str,
    command: str,
    observer: local_runner.StageObserver,
    on_day: DayObserver,
) -> Day:
    begin = time.monotonic()
    day = Day(span, "refused", fingerprint=files)
    try:
        on_day(span, "checking its log")
        day = _checked(config, state, day, observer)
        if day.status == "checked":
            return day
        if (skew := _skew(config, day, observer)) is not None:
            day = dataclasses.replace(day, reason=skew, stage=_SKEW_STAGE, served_refused=True)
            return _ended(day, begin)
        on_day(span, "training the ranking model")
        earlier = state.window(span, config.window)
        before = state.before_window(span, config.window, config.history_days)
        # Whoever keeps no more days than the window looks back on those.
        past = tuple(day for day in before if _missing_log(config, day) is None)
        ranking = config.ranking_of(span, earlier, state.model_before(span, "ranking"), past)
        ranked = run_ranking(ranking, observer, command)
        day = dataclasses.replace(day, window=(*earlier, span), ranking=_ranking_model(ranked))
        if not (ranked.blessed or state.model_before(span, "ranking")):
            reason = "there is no blessed ranking model to learn a policy for"
            return _ended(dataclasses.replace(day, reason=reason), begin)
        on_day(span, "training the policy")
        served = _served_window(config, state, span)
        day = dataclasses.replace(day, served_window=served)
        base = state.model_before(span, "policy")
        fused = run_fusion(config.fusion_of(served, base), observer, command)
        day = dataclasses.replace(
            day, policy=_policy(fused), ranker=fused.pushed_model or "", ranker_policy=fused.policy
        )
        if not day.ranker and day.ranking.blessed and base:
            on_day(span, "joining the new ranking model with the policy that is in use")
            ranker = rejoin(config.fusion_of(served, ""), base, observer)
            day = dataclasses.replace(day, ranker=ranker, ranker_policy=base)
        day = dataclasses.replace(day, status="done")
    except (StageError, DataError) as error:
        stage = error.stage if isinstance(error, StageError) else ""
        day = dataclasses.replace(
            day,
            reason=str(error),
            stage=stage,
            # What was served on a bad day must not spoil the days after it.
            served_refused=stage == _SERVED_STAGE and data_error_in(error) is not None,
        )
    return _ended(day, begin)


def _ended(day: Day, begin: float) -> Day:
    return dataclasses.replace(day, seconds=time.monotonic() - begin)


def _checked(
    config: DailyConfig, state: DailyState, day: Day, observer: local_runner.StageObserver
) -> Day:
    """A refused day as one whose log passed.

    Raises:
      StageError: if it does not pass.
      DataError: if there is none.
    """
    _require_log(config, day.span)
    pipeline = create_check(
        dataclasses.replace(config.ranking.data, span=day.span),
        config.output_dir,
        config.thresholds,
        state.statistics_before(day.span),
        config.ranking.beam_pipeline_args,
        config.ranking.enable_cache,
    )
    checked = check_day(pipeline, observer)
    day = dataclasses.replace(
        day,
        status="failed",
        statistics=checked.statistics,
        sessions=checked.sessions,
        impressions=checked.impressions,
        checks=len(checked.comparisons),
        nearest=checked.comparisons[0].figure() if checked.comparisons else "",
    )
    newest = state.newest_done
    if newest is None or newest < day.span:
        return day
    reason = f"day {newest} has run already: this one's log is for the windows of later days"
    return dataclasses.replace(day, status="checked", reason=reason)


def _skew(config: DailyConfig, day: Day, observer: local_runner.StageObserver) -> str | None:
    """Why the features that the service sent on a day are not those of its log; None if they are.

    The service has to be mended before anything is pushed to it, and a policy is not to learn from
    requests that were ranked by wrong features.
    """
    shown_dir = config.shown_dir(day.span)
    if shown_dir is None:
        return None
    pipeline = create_skew_check(
        config.ranking.data.spec(),
        shown_dir,
        day.statistics,
        config.output_dir,
        config.thresholds,
        config.ranking.beam_pipeline_args,
    )
    try:
        check_skew(pipeline, observer)
    except StageError as error:
        if data_error_in(error) is None:
            raise
        return f"the service did not send the features that are trained on: {error}"
    return None


def _require_log(config: DailyConfig, span: int) -> None:
    if (path := _missing_log(config, span)) is not None:
        raise DataError(f"there is no log of day {span}: {path} does not exist")


def _missing_log(config: DailyConfig, span: int) -> str | None:
    """The folder of a day where it is on this machine and not there; else None."""
    data = config.ranking.data
    [folder] = span_folders(data.pattern, (span,))
    path = os.path.join(data.data_dir, folder)
    return path if "://" not in path and not os.path.isdir(path) else None


def _fingerprint(config: DailyConfig, span: int) -> str:
    """Of a day's log and the user's description of it; empty where there is no log."""
    data = config.ranking.data
    base = os.path.abspath(data.data_dir)
    folders = span_folders(data.pattern, (span,))
    try:
        found = fingerprint(input_files(data.spec(), base, folders).all, base)
    except DataError:
        return ""
    return " ".join(filter(None, [found, description_version(data.dataset)]))


def _served_window(config: DailyConfig, state: DailyState, span: int) -> tuple[int, ...]:
    """The last days whose served requests a policy may learn from.

    Feedback comes from the client that wrote the log: where one was refused the other is not used.
    """
    if not config.fusion.served_simulator:
        return ()
    refused = {
        day.span
        for day in state.days.values()
        if day.span != span and (day.served_refused or day.status == "refused")
    }
    served = [day for day in config.served_spans() if day <= span and day not in refused]
    return tuple(served[-config.window :])


def _ranking_model(summary: RunSummary) -> Model:
    return Model(
        artifact=summary.model,
        blessed=summary.blessed,
        pushed=summary.pushed_model or "",
        figures={
            f"{name} AUC": task.auc
            for name, task in summary.evaluation.metrics.items()
            if task.auc is not None
        },
        reason="" if summary.blessed else "; ".join(summary.evaluation.reasons),
    )


def _policy(summary: FusionSummary) -> Model:
    return Model(
        artifact=summary.policy,
        blessed=summary.blessed,
        pushed=summary.pushed_model or "",
        figures={
            name: estimate["value"]
            for name, estimate in summary.estimates.items()
            if estimate["value"] is not None
        },
        reason="; ".join(summary.reasons),
    )
