"""The TFMA metrics: configuration, and what happens to examples that lack something."""

import numpy as np
import pytest
from tensorflow_model_analysis import constants
from tensorflow_model_analysis.metrics import metric_types

from mtfx.evaluation.ranking import metrics

ALL = [
    value
    for name, value in vars(metrics).items()
    if isinstance(value, type)
    and issubclass(value, metric_types.Metric)
    and not name.startswith("_")
]


@pytest.mark.parametrize("metric", ALL)
def test_configuration_round_trips_and_is_registered(metric):
    instance = metric()
    again = metric.from_config(dict(instance.get_config()))
    assert (again.name, again.get_config()) == (instance.name, instance.get_config())
    assert metric_types.registered_metrics()[metric.__name__] is metric


def test_names_are_distinct():
    names = [metric().name for metric in ALL]
    assert len(set(names)) == len(ALL) == 20


def test_a_metric_of_the_other_kind_is_refused():
    with pytest.raises(ValueError, match="RankingAUC does not apply to a regression task"):
        metrics.RankingAUC(kind="regression")


def test_metrics_of_a_task_share_one_computation():
    shared = {
        computation
        for metric in (metrics.RankingAUC(), metrics.SessionLogloss(), metrics.LabelMean())
        for computation in metric.computations(model_names=[""], output_names=["click"])
        if isinstance(computation, metric_types.MetricComputation)
    }
    assert len(shared) == 1


def _inputs(label=1, prediction=0.5, length=2, output="click", user=1, session=b"1-1"):
    extracts = {
        constants.LABELS_KEY: {output: np.array([label])},
        constants.PREDICTIONS_KEY: {output: np.array([prediction])},
        constants.FEATURES_KEY: {},
    }
    features = {"session_length": length, "user_id": user, "session_id": session}
    for name, value in features.items():
        if value is not None:
            extracts[constants.FEATURES_KEY][name] = np.array([value])
    return extracts


def _computation() -> metric_types.MetricComputation:
    computation = metrics.SessionLogloss().computations(model_names=[""], output_names=["click"])[0]
    assert isinstance(computation, metric_types.MetricComputation)
    return computation


def test_combiner_merges_what_bundles_hold():
    rows_of, combiner = _computation().preprocessors[0], _computation().combiner
    parts = []
    for rows in ([(1, 0.9, 2), (0, 0.2, 2)], [(1, 0.4, 1)]):
        accumulator = combiner.create_accumulator()
        for row in rows:
            accumulator = combiner.add_inputs(accumulator, rows_of.process(_inputs(*row)))
        parts.append(accumulator)
    (statistics,) = combiner.extract_output(combiner.merge_accumulators(parts)).values()
    expected = np.mean([-(np.log(0.9) + np.log(0.8)) / 2, -np.log(0.4)])
    assert statistics.values.session_logloss() == pytest.approx(expected)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (_inputs(length=None), "has no session_length;"),
        (_inputs(user=None), "has no user_id;"),
        (_inputs(session=None), "label, session_length, user_id and session_id"),
        (_inputs(output="other"), "has no label of task 'click'"),
    ],
)
def test_examples_that_lack_something_are_named(inputs, message):
    [rows_of] = _computation().preprocessors
    with pytest.raises(ValueError, match=message):
        list(rows_of.process(inputs))
