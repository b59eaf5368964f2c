"""What the daily loop does with good, bad, missing and late days; pipelines are stood in for."""

import dataclasses
import os
import shutil
import types

import pytest

from mtfx.components.strict_distribution_validator.comparison import CheckedFigure
from mtfx.components.strict_distribution_validator.config import DriftThresholds
from mtfx.errors import DataError, StageError, UserError
from mtfx.pipelines import daily
from mtfx.pipelines.config import RankingPipelineConfig
from mtfx.pipelines.daily import days_to_run, run_days
from mtfx.pipelines.daily_config import DailyConfig
from mtfx.pipelines.daily_state import DailyState
from mtfx.pipelines.day_check import CheckedDay
from mtfx.pipelines.fusion_config import FusionPipelineConfig
from mtfx.pipelines.local_runner import SilentObserver
from mtfx.pipelines.options import DataOptions


@dataclasses.dataclass
class World:
    """What the pipelines were asked for, and what they are to answer."""

    config: DailyConfig
    bad_logs: set
    bad_served: set
    skewed: set
    unblessed: set
    broken: set
    unblessed_policies: set
    ranked: list
    fused: list
    baselines: list

    def run(self, *spans):
        return run_days(self.config, spans, SilentObserver(), lambda *_: None)

    def log(self, *spans):
        for span in spans:
            folder = self.config.ranking.data.data_dir
            path = f"{folder}/day-{span}"
            os.makedirs(path, exist_ok=True)
            with open(f"{path}/log_standard_x.csv", "a") as file:
                file.write("row\n")


def _stage_error(stage, cause):
    error = StageError(stage, str(cause))
    error.__cause__ = cause
    return error


@pytest.fixture
def world(tmp_path, monkeypatch):
    for name in ("days", "served"):
        (tmp_path / name).mkdir()
    config = DailyConfig(
        ranking=RankingPipelineConfig(
            DataOptions("kuairand", str(tmp_path / "days"), pattern="day-{SPAN}/*"),
            str(tmp_path / "run"),
        ),
        fusion=FusionPipelineConfig(str(tmp_path / "run")),
        served_dir=str(tmp_path / "served"),
    )
    found = World(config, set(), set(), set(), set(), set(), set(), [], [], [])

    def create_check(data, output, thresholds, baseline, *_):
        found.baselines.append(baseline)
        return data.span

    def check_day(span, observer):
        if span in found.bad_logs:
            raise _stage_error("StrictDistributionValidator", DataError(f"day {span} moved"))
        compared = CheckedFigure("click", "factor of the odds", 1.1, 1.4, False)
        return CheckedDay(f"statistics-{span}", 100 + span, 120 + span, (compared,))

    def run_ranking(config, observer, command):
        found.ranked.append(config)
        span = config.data.span
        if span in found.broken:
            raise _stage_error("Trainer", RuntimeError("out of memory"))
        return types.SimpleNamespace(
            model=f"ranking-{span}",
            blessed=span not in found.unblessed,
            pushed_model=f"serving/ranking/{span}",
            evaluation=types.SimpleNamespace(metrics={}, reasons=("AUC fell",)),
        )

    def run_fusion(config, observer, command):
        found.fused.append(config)
        if config.served is not None and config.served.span in found.bad_served:
            raise _stage_error("ServedInteractionGen", DataError("too many bad requests"))
        number = len(found.fused)
        return types.SimpleNamespace(
            policy=f"policy-{number}",
            blessed=number not in found.unblessed_policies,
            pushed_model=None if number in found.unblessed_policies else f"serving/ranker/{number}",
            reasons=(),
            estimates={"conservative": {"value": 1.0}},
        )

    # The stand-ins are in this process only.
    monkeypatch.setattr(daily, "run_in_own_process", lambda job, *told: job(*told))
    monkeypatch.setattr(daily, "create_check", create_check)
    monkeypatch.setattr(daily, "check_day", check_day)
    monkeypatch.setattr(daily, "run_ranking", run_ranking)
    monkeypatch.setattr(daily, "run_fusion", run_fusion)
    monkeypatch.setattr(daily, "rejoin", lambda config, policy, observer: f"rejoined/{policy}")
    monkeypatch.setattr(
        daily, "create_skew_check", lambda spec, folder, *_: int(folder.split("day-")[1][0])
    )

    def check_skew(span, observer):
        if span in found.skewed:
            raise _stage_error("StrictDistributionValidator", DataError("column 'tag' is off"))

    monkeypatch.setattr(daily, "check_skew", check_skew)
    # Whether there is a simulator is what the first fusion leaves behind.
    monkeypatch.setattr(
        FusionPipelineConfig, "served_simulator", property(lambda self: "sim" * bool(found.fused))
    )
    return found


def _windows(configs):
    return [(*config.data.earlier_spans, config.data.span) for config in configs]


def test_each_day_trains_on_the_last_three_and_begins_where_the_last_ended(world):
    world.log(1, 2, 3, 4)
    days = world.run(1, 2, 3, 4)
    assert [day.status for day in days] == ["done"] * 4
    assert _windows(world.ranked) == [(1,), (1, 2), (1, 2, 3), (2, 3, 4)]
    assert [c.base_model for c in world.ranked] == ["", "ranking-1", "ranking-2", "ranking-3"]
    assert [c.base_policy for c in world.fused] == ["", "policy-1", "policy-2", "policy-3"]
    assert world.baselines == ["", "statistics-1", "statistics-2", "statistics-3"]
    assert all(config.served is None for config in world.fused)


def test_days_before_the_window_that_passed_are_looked_back_on(world):
    world.config = dataclasses.replace(world.config, window=2, history_days=2)
    world.log(*range(1, 8))
    world.bad_logs.add(3)
    world.run(*range(1, 7))
    assert _windows(world.ranked) == [(1,), (1, 2), (2, 4), (4, 5), (5, 6)]
    past = [config.data.history_spans for config in world.ranked]
    assert past == [(), (), (1,), (1, 2), (2, 4)]
    # Of a day whose log was deleted there is nothing to look back on.
    shutil.rmtree(f"{world.config.ranking.data.data_dir}/day-4")
    world.run(7)
    assert world.ranked[-1].data.history_spans == (5,)


def test_what_a_day_held_and_how_near_it_came_to_a_bar_is_kept(world):
    world.log(1)
    [day] = world.run(1)
    assert (day.sessions, day.impressions, day.checks) == (101, 121, 1)
    assert day.nearest == "'click': factor of the odds 1.1, bar 1.4"


def test_each_flag_sets_its_thresholds(world):
    assert world.config.thresholds == DriftThresholds()
    asked = dataclasses.replace(
        world.config, drift_threshold=0.3, label_drift=2.0, rows_drift=3.0
    ).thresholds
    assert (asked.jensen_shannon, asked.l_infinity) == (0.3, 0.3)
    assert (asked.label_odds, asked.rows) == (2.0, 3.0)


def test_a_bad_day_trains_nothing_and_is_left_out_of_later_windows(world):
    world.log(1, 2, 3)
    world.bad_logs.add(2)
    days = world.run(1, 2, 3)
    assert [day.status for day in days] == ["done", "refused", "done"]
    assert days[1].reason == "day 2 moved"
    assert days[1].stage == "StrictDistributionValidator"
    assert _windows(world.ranked) == [(1,), (1, 3)]
    assert world.baselines[2] == "statistics-1"


def test_a_day_without_a_folder_is_refused_by_name(world):
    world.log(1)
    day = world.run(1, 2)[1]
    assert day.status == "refused"
    assert "there is no log of day 2" in day.reason


def test_a_mended_day_is_run_again_and_a_settled_one_is_not(world):
    world.log(1, 2)
    world.bad_logs.add(2)
    world.run(1, 2)
    world.run(1)
    assert len(world.ranked) == 1
    world.bad_logs.clear()
    assert world.run(2)[0].status == "done"


def test_a_late_day_widens_windows_and_trains_no_older_model(world):
    world.log(1, 3)
    world.run(1, 3)
    world.log(2)
    day = world.run(2)[0]
    assert day.status == "checked"
    assert "day 3 has run already" in day.reason
    world.log(4)
    world.run(4)
    assert _windows(world.ranked)[-1] == (2, 3, 4)


def test_an_unblessed_model_is_not_begun_with(world):
    world.log(1, 2, 3)
    world.unblessed.add(2)
    days = world.run(1, 2, 3)
    assert days[1].ranking.reason == "AUC fell"
    assert world.ranked[2].base_model == "ranking-1"


def test_a_new_ranking_model_does_not_wait_for_a_blessed_policy(world):
    world.log(1, 2, 3)
    world.unblessed_policies.add(2)
    days = world.run(1, 2, 3)
    assert [day.ranker for day in days] == [
        "serving/ranker/1",
        "rejoined/policy-1",
        "serving/ranker/3",
    ]
    assert days[1].ranker_policy == "policy-1"
    assert not days[1].policy.blessed
    assert world.fused[2].base_policy == "policy-1"


def test_neither_model_blessed_leaves_the_ranker_alone(world):
    world.log(1, 2)
    world.unblessed.add(2)
    world.unblessed_policies.add(2)
    assert world.run(1, 2)[1].ranker == ""


def test_without_any_blessed_ranking_model_no_policy_is_learned(world):
    world.log(1)
    world.unblessed.add(1)
    day = world.run(1)[0]
    assert day.status == "failed"
    assert "no blessed ranking model" in day.reason
    assert not world.fused


def test_a_failure_stops_the_back_fill_and_is_tried_again(world):
    world.log(1, 2, 3)
    world.broken.add(2)
    days = world.run(1, 2, 3)
    assert [day.status for day in days] == ["done", "failed"]
    assert days[1].stage == "Trainer"
    world.broken.clear()
    assert [day.status for day in world.run(2, 3)] == ["done", "done"]


def _serve(world, *spans):
    for span in spans:
        folder = f"{world.config.served_dir}/day-{span}"
        os.makedirs(f"{folder}/shown", exist_ok=True)
        for name in ("part.parquet", "shown/x.gz"):
            with open(f"{folder}/{name}", "w"):
                pass


def test_policies_learn_from_what_was_served_once_there_is_any(world):
    world.log(1, 2, 3, 4, 5)
    _serve(world, 2, 3, 4, 5)
    days = world.run(1, 2, 3, 4, 5)
    assert [day.served_window for day in days] == [(), (2,), (2, 3), (2, 3, 4), (3, 4, 5)]
    assert world.fused[0].served is None
    assert (world.fused[4].served.span, world.fused[4].served.earlier_spans) == (5, (3, 4))


def test_unusable_requests_leave_the_policy_and_later_windows_alone(world):
    world.log(1, 2, 3)
    _serve(world, 2, 3)
    world.bad_served.add(2)
    first, second = world.run(1, 2)
    assert (first.status, second.status) == ("done", "failed")
    assert second.served_refused
    assert second.ranking.pushed
    third = world.run(3)[0]
    assert third.status == "done"
    assert third.served_window == (3,)


def test_requests_of_a_day_whose_log_was_refused_are_not_learned_from(world):
    world.log(1, 2, 3, 4)
    _serve(world, 2, 3, 4)
    world.bad_logs.add(3)
    days = world.run(1, 2, 3, 4)
    assert days[3].served_window == (2, 4)
    world.bad_logs.clear()
    assert world.run(3)[0].status == "checked"
    world.log(5)
    _serve(world, 5)
    assert world.run(5)[0].served_window == (3, 4, 5)


def test_skewed_features_stop_the_day(world):
    world.log(1, 2)
    _serve(world, 2)
    world.skewed.add(2)
    day = world.run(1, 2)[1]
    assert day.status == "failed"
    assert "'tag' is off" in day.reason
    assert len(world.ranked) == 1


def test_the_loop_goes_on_where_it_stopped(world):
    world.log(1, 2, 3, 4)
    assert days_to_run(world.config, 2, None) == (2,)
    world.run(1)
    assert days_to_run(world.config, 3, None) == (2, 3)
    assert days_to_run(world.config, 4, 3) == (3, 4)
    assert days_to_run(world.config, 1, None) == (1,)
    with pytest.raises(UserError, match="--from 5 is after --span 4"):
        days_to_run(world.config, 4, 5)


@pytest.mark.parametrize(
    ("until", "start", "words"),
    [(-2, None, "--span must not be negative"), (4, -1, "--from"), (900_000, 1, "more than 366")],
)
def test_days_that_must_be_a_mistake_are_refused(world, until, start, words):
    with pytest.raises(UserError, match=words):
        days_to_run(world.config, until, start)


def test_a_year_of_dates_is_no_mistake(world):
    assert len(days_to_run(world.config, 20261126, 20251201)) == 361


def test_what_is_recorded_survives_the_process(world):
    world.log(1)
    [day] = world.run(1)
    assert DailyState.read(world.config.output_dir).days == {1: day}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"window": 0}, "--window"),
        ({"history_days": -1}, "--history-days"),
        ({"served_pattern": "*.parquet"}, "--served-pattern"),
        ({"drift_threshold": 2.0}, "--drift-threshold"),
        ({"label_drift": 1.0}, "--label-drift"),
        ({"rows_drift": float("inf")}, "--rows-drift"),
    ],
)
def test_wrong_settings_name_their_flag(world, change, words):
    with pytest.raises(UserError, match=words):
        dataclasses.replace(world.config, **change)


def test_a_day_whose_process_is_killed_has_failed_and_says_so(world, monkeypatch):
    def killed(job, *told):
        raise StageError("", "the process of this day was ended by SIGKILL")

    monkeypatch.setattr(daily, "run_in_own_process", killed)
    world.log(1, 2)
    [day] = world.run(1, 2)
    assert day.status == "failed"
    assert "SIGKILL" in day.reason
    assert DailyState.read(world.config.output_dir).days[1] == day
