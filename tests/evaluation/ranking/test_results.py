"""TFX's Evaluator, really run; its figures against sklearn and NumPy, its verdicts in words."""

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from mtfx.datasets.spec import Task
from mtfx.evaluation.config import Thresholds
from mtfx.evaluation.ranking.eval_config import build_eval_config
from mtfx.evaluation.ranking.results import TaskMetrics, read_evaluation

CLICK, PAY = Task("click"), Task("pay", parent="click")
WATCH = Task("watch_time_ms", kind="regression", unit=1000.0)
TASKS = (CLICK, PAY, WATCH)


def _session_logloss(columns, task, keep):
    labels, scores = columns[task], columns["score_" + task].astype(float)
    losses = -np.log(np.where(labels == 1, scores, 1 - scores))
    sessions = columns["session_id"]
    means = [losses[sessions == s].mean() for s in np.unique(sessions[keep])]
    return np.mean(means)


def _check(found: TaskMetrics, columns, task, keep, whole_sessions):
    labels, scores = columns[task][keep], columns["score_" + task][keep].astype(float)
    assert found.example_count == keep.sum()
    assert found.calibration == pytest.approx(scores.sum() / labels.sum(), rel=1e-5)
    assert found.label_mean == pytest.approx(labels.mean(), rel=1e-5)
    if task == "watch_time_ms":
        labels = labels.astype(float)
        mse = sklearn_metrics.mean_squared_error(labels, scores)
        assert found.rmse == pytest.approx(np.sqrt(mse), rel=1e-5)
        assert found.mae == pytest.approx(np.abs(labels - scores).mean(), rel=1e-5)
        assert found.r_squared == pytest.approx(sklearn_metrics.r2_score(labels, scores), rel=1e-5)
        return
    assert found.auc == pytest.approx(sklearn_metrics.roc_auc_score(labels, scores), abs=1e-3)
    assert found.logloss == pytest.approx(sklearn_metrics.log_loss(labels, scores), rel=1e-5)
    bare = sklearn_metrics.log_loss(labels, np.full(len(labels), labels.mean()))
    assert found.normalized_entropy == pytest.approx(found.logloss / bare, rel=1e-5)
    _check_lists(found, columns, task, keep)
    if whole_sessions:
        expected = _session_logloss(columns, task, keep)
        assert found.s_logloss == pytest.approx(expected, rel=1e-5)
    else:
        losses = -np.log(np.where(labels == 1, scores, 1 - scores))
        expected = np.average(losses, weights=1 / columns["session_length"][keep])
        assert found.s_logloss == pytest.approx(expected, rel=1e-5)


def _check_lists(found: TaskMetrics, columns, task, keep):
    aucs, weights, ndcgs = [], [], []
    for user in np.unique(columns["user_id"][keep]):
        own = keep & (columns["user_id"] == user)
        if len(set(columns[task][own])) == 2:
            scores = columns["score_" + task][own]
            aucs.append(sklearn_metrics.roc_auc_score(columns[task][own], scores))
            weights.append(own.sum())
    for session in np.unique(columns["session_id"][keep]):
        own = keep & (columns["session_id"] == session)
        labels, scores = columns[task][own], columns["score_" + task][own]
        if labels.any():
            one = len(labels) == 1
            ndcgs.append(1.0 if one else sklearn_metrics.ndcg_score([labels], [scores], k=10))
    assert found.gauc == pytest.approx(np.average(aucs, weights=weights))
    assert (found.gauc_users, found.list_share) == (len(aucs), 1.0)
    assert found.list_users == len(np.unique(columns["user_id"][keep]))
    assert found.ndcg == pytest.approx(np.mean(ndcgs))


def test_first_run_is_blessed_and_its_figures_are_right(impressions, evaluate):
    outcome = evaluate(impressions, TASKS, build_eval_config(TASKS, ("activity", "tab")))
    summary = read_evaluation(outcome.evaluation_uri, TASKS)
    assert outcome.blessed
    assert summary.passed
    assert summary.reasons == ()
    assert summary.baseline is None
    columns = impressions.columns
    everything = np.ones(len(columns["click"]), bool)
    for task in TASKS:
        _check(summary.metrics[task.name], columns, task.name, everything, True)
    assert {(s.column, s.value) for s in summary.slices} == {
        ("activity", "high"),
        ("activity", "low"),
        ("tab", "0"),
        ("tab", "1"),
        ("tab", "2"),
    }
    for part in summary.slices:
        keep = columns[part.column] == (
            part.value.encode() if part.column == "activity" else int(part.value)
        )
        for task in TASKS:
            whole = part.column == "activity"
            _check(part.metrics[task.name], columns, task.name, keep, whole)
    _check_plots(summary.plots, columns)


def _check_plots(plots, columns):
    assert set(plots) == {"click", "pay"}
    for task, curves in plots.items():
        rates = np.array(curves.roc)
        assert rates[0].tolist() == [0, 0]
        assert rates[-1].tolist() == [1, 1]
        assert (np.diff(rates, axis=0) >= 0).all()
        area = sklearn_metrics.auc(rates[:, 0], rates[:, 1])
        exact = sklearn_metrics.roc_auc_score(columns[task], columns["score_" + task])
        assert area == pytest.approx(exact, abs=0.01)
        counts = [bucket.example_count for bucket in curves.calibration]
        assert sum(counts) == len(columns[task])
        positives = sum(b.example_count * b.label_mean for b in curves.calibration)
        assert positives == pytest.approx(columns[task].sum())
        means = [bucket.prediction_mean for bucket in curves.calibration]
        assert means == sorted(means)


def test_worse_than_the_blessed_model_is_not_blessed(impressions, evaluate):
    outcome = evaluate(
        impressions, TASKS, build_eval_config(TASKS), model="old_score_", baseline="score_"
    )
    summary = read_evaluation(outcome.evaluation_uri, TASKS)
    assert not outcome.blessed
    assert not summary.passed
    assert summary.baseline is not None
    old, new = summary.baseline["click"].auc, summary.metrics["click"].auc
    assert old is not None
    assert new is not None
    expected = (
        f"task click: AUC fell by {old - new:.4f} below the latest blessed model's ({old:.4f}), "
        "more than the allowed 0.005"
    )
    assert expected in summary.reasons
    assert any("watch_time_ms: mean squared error grew by" in r for r in summary.reasons)


@pytest.mark.slow
def test_better_than_the_blessed_model_is_blessed(impressions, evaluate):
    config = build_eval_config((CLICK,))
    outcome = evaluate(impressions, (CLICK,), config, baseline="old_score_")
    summary = read_evaluation(outcome.evaluation_uri, (CLICK,))
    assert outcome.blessed
    assert summary.passed
    assert summary.metrics["click"].auc > summary.baseline["click"].auc


def test_worse_than_the_rate_is_not_blessed_unless_allowed(impressions, evaluate):
    wrong = impressions.replaced(
        score_click=(1 - impressions.columns["score_click"]).astype(np.float32),
        score_watch_time_ms=impressions.columns["score_watch_time_ms"] * 5,
    )
    tasks = (CLICK, WATCH)
    bounds = Thresholds(min_auc=0.0, min_r_squared=-1e6)
    outcome = evaluate(wrong, tasks, build_eval_config(tasks, thresholds=bounds))
    summary = read_evaluation(outcome.evaluation_uri, tasks)
    assert not outcome.blessed
    click, watch = (summary.metrics[task.name] for task in tasks)
    assert click.is_worse_than_rate
    assert click.normalized_entropy > 1
    rate = impressions.columns["click"].mean()
    assert summary.reasons == (
        f"task click: predictions are worse than always the {rate:.2%} rate, beyond the 95% "
        f"interval (log loss {click.logloss:.4f}, normalised entropy "
        f"{click.normalized_entropy:.4f}); --allow-worse-than-rate permits it",
        "task watch_time_ms: predictions are worse than always the mean, beyond the 95% interval "
        f"(R² {watch.r_squared:.4f}); --allow-worse-than-rate permits it",
    )
    assert click.to_json()["excess_low"] > 0


@pytest.mark.slow
def test_worse_than_the_rate_can_be_allowed(impressions, evaluate):
    score = (1 - impressions.columns["score_click"]).astype(np.float32)
    bounds = Thresholds(min_auc=0.0, allow_worse_than_rate=True)
    config = build_eval_config((CLICK,), thresholds=bounds)
    outcome = evaluate(impressions.replaced(score_click=score), (CLICK,), config)
    assert outcome.blessed
    assert read_evaluation(outcome.evaluation_uri, (CLICK,)).metrics["click"].is_worse_than_rate


@pytest.mark.slow
def test_absolute_bounds_are_reported_in_words(impressions, evaluate):
    config = build_eval_config((CLICK, PAY), thresholds=Thresholds(min_auc=0.9, max_logloss=0.1))
    outcome = evaluate(impressions, (CLICK, PAY), config)
    summary = read_evaluation(outcome.evaluation_uri, (CLICK, PAY))
    assert not outcome.blessed
    auc, logloss = summary.metrics["click"].auc, summary.metrics["click"].logloss
    assert f"task click: AUC {auc:.4f} is below the bound 0.9" in summary.reasons
    assert f"task click: log loss {logloss:.4f} is above the bound 0.1" in summary.reasons


@pytest.mark.parametrize(
    ("label", "lacking"), [(0, "positives"), pytest.param(1, "negatives", marks=pytest.mark.slow)]
)
def test_a_task_of_one_class_has_no_auc_and_says_so(impressions, evaluate, label, lacking):
    alike = np.full_like(impressions.columns["pay"], label)
    outcome = evaluate(
        impressions.replaced(pay=alike),
        (CLICK, PAY),
        build_eval_config((CLICK, PAY), ("tab",)),
        baseline="old_score_",
    )
    summary = read_evaluation(outcome.evaluation_uri, (CLICK, PAY))
    assert not outcome.blessed
    assert summary.metrics["pay"].auc is None
    reason = f"pay: AUC undefined, the test split has no {lacking}"
    assert summary.metrics["pay"].reason == reason
    assert summary.reasons == (f"{reason}; leave the task out with --tasks, or bring more data",)
    assert (
        summary.slices[0]
        .metrics["pay"]
        .reason.startswith(
            f"pay: AUC undefined, the slice tab={summary.slices[0].value} has no {lacking}"
        )
    )
    assert summary.plots["pay"].roc == ()
    assert "nan" not in str(summary).lower()


@pytest.mark.slow
def test_a_slice_of_one_class_does_not_stop_the_model(impressions, evaluate):
    columns = impressions.columns
    pay = np.where(columns["tab"] == 1, 0, columns["pay"])
    outcome = evaluate(
        impressions.replaced(pay=pay), (CLICK, PAY), build_eval_config((CLICK, PAY), ("tab",))
    )
    summary = read_evaluation(outcome.evaluation_uri, (CLICK, PAY))
    assert outcome.blessed
    (part,) = (s for s in summary.slices if s.value == "1")
    assert part.metrics["pay"].auc is None
    assert part.metrics["pay"].calibration is None


def test_no_evaluation_is_named(tmp_path):
    with pytest.raises(ValueError, match="no evaluation can be read"):
        read_evaluation(str(tmp_path / "nowhere"), TASKS)


def test_json_keeps_what_applies():
    binary = TaskMetrics(logloss=0.3, s_logloss=0.4, example_count=5, reason="why")
    assert binary.to_json() == {
        "auc": None,
        "logloss": 0.3,
        "s_logloss": 0.4,
        "example_count": 5,
        "reason": "why",
    }
    regression = TaskMetrics(rmse=1.0, mae=0.5, r_squared=None, example_count=5)
    assert set(regression.to_json()) == {"rmse", "mae", "r_squared", "example_count"}
