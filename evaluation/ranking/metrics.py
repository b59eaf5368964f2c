"""Metrics of multi-task ranking for TensorFlow Model Analysis (TFMA).

TFMA finds these by ``module="mtfx.evaluation.ranking.metrics"`` and ``class_name``. All metrics of
a task are derived from one shared computation (:mod:`mtfx.evaluation.ranking.task_statistics`), so
an impression is looked at once per task and slice however many metrics are asked for. TFMA's own
metrics each unpack every impression anew, which takes most of the time of an evaluation. The names
are TFMA's where the meaning is.

**Session log loss on slices.** ``s_logloss`` weighs each impression by 1 / length of its session.
Overall, and on slices that keep sessions whole (a user attribute), this is exactly the mean over
sessions of the session's mean log loss. A slice that cuts through sessions (an hour, a tab) sees
only some impressions of a session; the session then counts in proportion to the share of its
impressions that lie in the slice.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tensorflow_model_analysis.metrics import metric_types, metric_util

from mtfx.evaluation.ranking import curves
from mtfx.evaluation.ranking.error_statistics import ErrorStatistics
from mtfx.evaluation.ranking.list_metrics import NDCG_K
from mtfx.evaluation.ranking.score_statistics import ScoreStatistics, ratio
from mtfx.evaluation.ranking.statistics_combiner import ImpressionRows, StatisticsCombiner
from mtfx.evaluation.ranking.task_statistics import Kind, TaskStatistics
from mtfx.evaluation.ranking.user_lists import UserLists
from mtfx.evaluation.ranking.user_sums import UserSums

Statistics = ScoreStatistics | ErrorStatistics


class _TaskMetric(metric_types.Metric):
    """A figure derived from the statistics of one task.

    Beside labels and predictions, every example must have the features ``user_id``, ``session_id``
    and the int64 ``session_length``, the number of impressions of the whole session.
    """

    _name: str
    _figure: Callable[[Any], Any]
    _part: str = "values"
    _kinds: tuple[Kind, ...] = ("binary",)
    _key_type: type[metric_types.MetricKey] = metric_types.MetricKey

    def __init__(self, name: str | None = None, kind: Kind | None = None):
        """Args are what TFMA keeps as the metric's JSON configuration.

        Args:
          name: Name in the results; the metric's own if not given.
          kind: Kind of the task, for metrics that both kinds have; binary if not given.

        Raises:
          ValueError: if the metric does not exist for this kind of task.
        """
        kind = kind or self._kinds[0]
        if kind not in self._kinds:
            raise ValueError(f"{type(self).__name__} does not apply to a {kind} task")
        computations = _computations_of(type(self)._figure, self._part, self._key_type)
        super().__init__(
            metric_util.merge_per_key_computations(computations),
            name=name or self._name,
            kind=kind,
        )


class RankingAUC(_TaskMetric):
    """Area under the ROC curve of a binary task, accurate for rare feedback too.

    NaN where the slice has no positives or no negatives.
    """

    _name = "auc"
    _figure = ScoreStatistics.auc


class Logloss(_TaskMetric):
    """Mean negative log likelihood over impressions in nats, clipped at 1e-7.

    TFMA's ``BinaryCrossEntropy`` does not clip: one prediction of exactly 0 or 1 makes it NaN.
    """

    _name = "logloss"
    _figure = ScoreStatistics.mean_logloss


class SessionLogloss(_TaskMetric):
    """Mean over sessions of the session's mean log loss in nats (RMTL, section 3.1.3).

    See the module's docstring for its meaning on slices.
    """

    _name = "s_logloss"
    _figure = ScoreStatistics.session_logloss


class NormalizedEntropy(_TaskMetric):
    """Log loss over the entropy of the slice's own base rate; 1 is what the bare rate would get.

    He et al., "Practical Lessons from Predicting Clicks on Ads at Facebook", ADKDD 2014, (3). NaN
    where one class is missing: the entropy is 0.
    """

    _name = "normalized_entropy"
    _figure = ScoreStatistics.normalized_entropy


class EntropyExcessLow(_TaskMetric):
    """Lower 95% bound, by users, of the log loss less the entropy of the base rate, in nats.

    Above 0 the model is worse than a constant, beyond chance. See ``UserSums``.
    """

    _name = "entropy_excess_low"
    _figure = UserSums.entropy_excess_low
    _part = "users"


class SquaredErrorExcessLow(_TaskMetric):
    """Lower 95% bound, by users, of the mean squared error less the variance of the labels."""

    _name = "squared_error_excess_low"
    _figure = UserSums.squared_error_excess_low
    _part = "users"
    _kinds = ("regression",)


def _gauc(lists: UserLists) -> float:
    return lists.gauc.value


def _gauc_users(lists: UserLists) -> int:
    return lists.gauc.users


def _list_users(lists: UserLists) -> int:
    return lists.gauc.all_users


class GroupedAUC(_TaskMetric):
    """GAUC: AUC within each user, weighted by the user's impressions.

    Users whose labels are all alike are left out; NaN if they are all so.
    """

    _name = "gauc"
    _figure = _gauc
    _part = "lists"


class GroupedAUCUsers(_TaskMetric):
    """Users that GAUC is the mean over: those with both classes."""

    _name = "gauc_users"
    _figure = _gauc_users
    _part = "lists"


class ListUsers(_TaskMetric):
    """Users looked at for GAUC and NDCG, with one class or both."""

    _name = "list_users"
    _figure = _list_users
    _part = "lists"


class ListShare(_TaskMetric):
    """Share of the impressions, by users, that GAUC and NDCG are computed on; 1 unless many."""

    _name = "list_share"
    _figure = UserLists.share
    _part = "lists"


class SessionNDCG(_TaskMetric):
    """NDCG@10: mean over sessions with a positive, each with the same weight; ties by expectation.

    On a slice that cuts through sessions, the list is what lies in the slice.
    """

    _name = f"ndcg_at_{NDCG_K}"
    _figure = UserLists.ndcg
    _part = "lists"


class RocPlot(_TaskMetric):
    """ROC curve at thresholds of equally many impressions, as TFMA's confusion matrices."""

    _name = "confusion_matrix_plot"
    _figure = curves.confusion_matrices
    _key_type = metric_types.PlotKey


class ReliabilityPlot(_TaskMetric):
    """Mean label by mean prediction in buckets of equally many impressions."""

    _name = "calibration_plot"
    _figure = curves.calibration_buckets
    _key_type = metric_types.PlotKey


class RSquared(_TaskMetric):
    """Coefficient of determination of a regression task: 1 - squared error / label variance.

    0 is what always predicting the mean label of the slice would reach. NaN where all labels are
    the same.
    """

    _name = "r_squared"
    _figure = ErrorStatistics.r_squared
    _kinds = ("regression",)


class SquaredError(_TaskMetric):
    """Mean squared error of a regression task, in the label's unit squared."""

    _name = "mean_squared_error"
    _figure = ErrorStatistics.mean_squared_error
    _kinds = ("regression",)


class AbsoluteError(_TaskMetric):
    """Mean absolute error of a regression task, in the label's unit."""

    _name = "mean_absolute_error"
    _figure = ErrorStatistics.mean_absolute_error
    _kinds = ("regression",)


def _impressions(statistics: Statistics) -> float:
    return statistics.impressions


def _label_mean(statistics: Statistics) -> float:
    return ratio(statistics.label_sum, statistics.impressions)


def _prediction_mean(statistics: Statistics) -> float:
    return ratio(statistics.prediction_sum, statistics.impressions)


def _calibration(statistics: Statistics) -> float:
    return ratio(statistics.prediction_sum, statistics.label_sum)


class Impressions(_TaskMetric):
    """Number of impressions with a known label."""

    _name = "example_count"
    _figure = _impressions
    _kinds = ("binary", "regression")


class LabelMean(_TaskMetric):
    """Mean label: the rate of a binary task's feedback."""

    _name = "mean_label"
    _figure = _label_mean
    _kinds = ("binary", "regression")


class PredictionMean(_TaskMetric):
    """Mean prediction."""

    _name = "mean_prediction"
    _figure = _prediction_mean
    _kinds = ("binary", "regression")


class CalibrationRatio(_TaskMetric):
    """Sum of predictions over sum of labels; 1 is right on average. NaN without any label."""

    _name = "calibration"
    _figure = _calibration
    _kinds = ("binary", "regression")


def _computations_of(
    figure: Callable[[Any], Any], part: str, key_type: type[metric_types.MetricKey]
) -> Callable[..., metric_types.MetricComputations]:
    """Makes the function TFMA calls for the computations of one metric of one task."""

    def computations(
        name: str, kind: Kind, model_name: str = "", output_name: str = ""
    ) -> metric_types.MetricComputations:
        # A leading underscore keeps the statistics out of the results. TFMA computes once what
        # several metrics ask for under the same key.
        source = metric_types.MetricKey(
            name=f"_{kind}_statistics", model_name=model_name, output_name=output_name
        )
        key = key_type(name=name, model_name=model_name, output_name=output_name)

        def result(metrics: dict[metric_types.MetricKey, Any]) -> dict[metric_types.MetricKey, Any]:
            statistics: TaskStatistics = metrics[source]
            return {key: figure(getattr(statistics, part))}

        return [
            metric_types.MetricComputation(
                keys=[source],
                preprocessors=[ImpressionRows(source)],
                combiner=StatisticsCombiner(source, kind),
            ),
            metric_types.DerivedMetricComputation(keys=[key], result=result),
        ]

    return computations


for _metric in (
    RankingAUC,
    Logloss,
    SessionLogloss,
    NormalizedEntropy,
    EntropyExcessLow,
    SquaredErrorExcessLow,
    GroupedAUC,
    GroupedAUCUsers,
    ListUsers,
    ListShare,
    SessionNDCG,
    RocPlot,
    ReliabilityPlot,
    RSquared,
    SquaredError,
    AbsoluteError,
    Impressions,
    LabelMean,
    PredictionMean,
    CalibrationRatio,
):
    metric_types.register_metric(_metric)
