"""The evaluation of a multi-task ranking model: TFMA's ``EvalConfig``, and the schema it reads by.

Who is blessed: a model whose every task passes its absolute bound on the test split and is not
worse than the latest blessed model by more than the allowed change. Without a blessed model (the
first run) TFX drops the change thresholds and the absolute bounds decide alone; without any
threshold TFX blesses nothing. Bounds hold for the whole split only: a slice of a handful of
impressions must not stop a good model.

The model parses the serialized example by itself. TFMA needs the labels, the session's length,
the ids of user and session and the slicing columns only, but without a schema it decodes every
feature of every impression, which takes about as long as all the rest.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import tensorflow_model_analysis as tfma
from tensorflow_metadata.proto.v0 import schema_pb2

from mtfx.datasets.columns import Dtype
from mtfx.datasets.spec import Task
from mtfx.evaluation.config import Thresholds
from mtfx.evaluation.ranking import metrics
from mtfx.evaluation.ranking.statistics_combiner import SESSION, SESSION_LENGTH, USER

CANDIDATE = "candidate"
BASELINE = "baseline"
SERVING_SIGNATURE = "serving_default"
_TYPES = {"int64": schema_pb2.INT, "string": schema_pb2.BYTES, "float32": schema_pb2.FLOAT}


def build_eval_config(
    tasks: Sequence[Task],
    slices: Sequence[str] = (),
    thresholds: Thresholds | None = None,
    min_slice_size: int = 0,
) -> tfma.EvalConfig:
    """Builds the configuration of TFX's ``Evaluator``.

    The examples hold one impression each, with the labels under the tasks' names and the features
    ``session_length``, ``user_id`` and ``session_id``; the model's signature ``serving_default``
    returns one output per task.

    Args:
      tasks: The model's tasks, in any order.
      slices: Features by whose values the metrics are broken down, beside the whole split.
      thresholds: What is blessed; the defaults of :class:`Thresholds` if not given.
      min_slice_size: Slices of fewer impressions than this are left out, where positive.

    Raises:
      ValueError: if there is no task, or a slice is named twice or is a label.
    """
    if not tasks:
        raise ValueError("nothing to evaluate: no task given")
    names = [task.name for task in tasks]
    if len(set(slices)) != len(slices):
        raise ValueError(
            f"slices named twice: {sorted({s for s in slices if slices.count(s) > 1})}"
        )
    if leaked := sorted(set(slices) & set(names)):
        raise ValueError(f"cannot slice by a label: {', '.join(leaked)}")
    bounds = thresholds or Thresholds()
    config = tfma.EvalConfig(
        model_specs=[_model_spec(CANDIDATE, names), _model_spec(BASELINE, names)],
        slicing_specs=[
            tfma.SlicingSpec(),
            *(tfma.SlicingSpec(feature_keys=[column]) for column in slices),
        ],
        metrics_specs=[
            tfma.MetricsSpec(
                output_names=[task.name] if len(tasks) > 1 else [],
                metrics=(
                    _binary_metrics(bounds)
                    if task.kind == "binary"
                    else _regression_metrics(bounds)
                ),
            )
            for task in tasks
        ],
    )
    if min_slice_size > 0:
        config.options.min_slice_size.value = min_slice_size
    return config


def _model_spec(name: str, outputs: Sequence[str]) -> tfma.ModelSpec:
    # A model spec for the baseline is always given; TFX removes it, and with it the change
    # thresholds, when no model has been blessed yet.
    spec = tfma.ModelSpec(
        name=name,
        model_type=tfma.constants.TF_GENERIC,
        signature_name=SERVING_SIGNATURE,
        is_baseline=name == BASELINE,
    )
    if len(outputs) == 1:
        # TFMA unwraps a dictionary of one output, so there is no name to look it up by.
        spec.label_key = outputs[0]
    else:
        spec.label_keys.update({output: output for output in outputs})
    return spec


def _binary_metrics(bounds: Thresholds) -> list[tfma.MetricConfig]:
    auc = tfma.MetricThreshold(
        value_threshold=tfma.GenericValueThreshold(lower_bound={"value": bounds.min_auc}),
        change_threshold=tfma.GenericChangeThreshold(
            direction=tfma.MetricDirection.HIGHER_IS_BETTER,
            absolute={"value": -bounds.max_auc_drop},
        ),
    )
    logloss = None
    if bounds.max_logloss is not None:
        logloss = tfma.MetricThreshold(
            value_threshold=tfma.GenericValueThreshold(upper_bound={"value": bounds.max_logloss})
        )
    return [
        _own(metrics.RankingAUC, auc),
        _own(metrics.Logloss, logloss),
        _own(metrics.SessionLogloss),
        _own(metrics.NormalizedEntropy),
        _own(metrics.EntropyExcessLow, _no_excess(bounds)),
        _own(metrics.GroupedAUC),
        _own(metrics.GroupedAUCUsers),
        _own(metrics.ListUsers),
        _own(metrics.ListShare),
        _own(metrics.SessionNDCG),
        _own(metrics.RocPlot),
        _own(metrics.ReliabilityPlot),
        *_counts("binary"),
    ]


def _regression_metrics(bounds: Thresholds) -> list[tfma.MetricConfig]:
    r_squared = tfma.MetricThreshold(
        value_threshold=tfma.GenericValueThreshold(lower_bound={"value": bounds.min_r_squared})
    )
    error = tfma.MetricThreshold(
        change_threshold=tfma.GenericChangeThreshold(
            direction=tfma.MetricDirection.LOWER_IS_BETTER,
            relative={"value": bounds.max_mse_growth},
        )
    )
    return [
        _own(metrics.RSquared, r_squared),
        _own(metrics.SquaredError, error),
        _own(metrics.AbsoluteError),
        _own(metrics.SquaredErrorExcessLow, _no_excess(bounds)),
        *_counts("regression"),
    ]


def _no_excess(bounds: Thresholds) -> tfma.MetricThreshold | None:
    if bounds.allow_worse_than_rate:
        return None
    return tfma.MetricThreshold(
        value_threshold=tfma.GenericValueThreshold(upper_bound={"value": 0.0})
    )


def _counts(kind: metrics.Kind) -> list[tfma.MetricConfig]:
    shared = (
        metrics.Impressions,
        metrics.LabelMean,
        metrics.PredictionMean,
        metrics.CalibrationRatio,
    )
    return [
        tfma.MetricConfig(
            module=metrics.__name__, class_name=metric.__name__, config=json.dumps({"kind": kind})
        )
        for metric in shared
    ]


def _own(metric: type, threshold: tfma.MetricThreshold | None = None) -> tfma.MetricConfig:
    config = tfma.MetricConfig(module=metrics.__name__, class_name=metric.__name__)
    return _with_threshold(config, threshold) if threshold is not None else config


def _with_threshold(
    config: tfma.MetricConfig, threshold: tfma.MetricThreshold
) -> tfma.MetricConfig:
    # A plain `threshold` would hold for every slice; this one is for the whole split.
    config.per_slice_thresholds.add(slicing_specs=[tfma.SlicingSpec()], threshold=threshold)
    return config


def build_evaluation_schema(
    tasks: Sequence[Task], slices: Mapping[str, Dtype], user: Dtype
) -> schema_pb2.Schema:
    """Builds the schema to give to TFX's ``Evaluator``; every feature has exactly one value.

    Args:
      tasks: The model's tasks; their labels are int64 if binary, else float32.
      slices: The slicing columns and their types.
      user: The type of ``user_id``.
    """
    types: dict[str, Dtype] = {
        SESSION_LENGTH: "int64",
        USER: user,
        SESSION: "string",
        **slices,
    }
    types.update({task.name: "int64" if task.kind == "binary" else "float32" for task in tasks})
    schema = schema_pb2.Schema()
    for name, dtype in sorted(types.items()):
        feature = schema.feature.add(name=name, type=_TYPES[dtype])
        feature.presence.min_fraction = 1.0
        feature.shape.dim.add(size=1)
    return schema
