"""One made-up run of the fusion pipeline, for the tests of its report."""

import numpy as np

from mtfx.evaluation.policies.comparison import FIGURES, compare_policies
from mtfx.evaluation.reports.fusion import FusionSummary


def figures(watch_s, noise=0.0):
    sessions, rng = np.random.default_rng(0).normal(size=30), np.random.default_rng(1)
    rows = watch_s + sessions + rng.normal(0.0, noise, (len(FIGURES), 30))
    return dict(zip(FIGURES, rows.tolist(), strict=True))


def fusion_summary():
    return FusionSummary(
        dataset="synthetic-video",
        method="bcq",
        seed=3,
        ranking_model="run/pipeline/Trainer/model/8",
        comparison=compare_policies({"constant": figures(20.0), "<bcq>": figures(25.0, 0.1)}),
        training_users=compare_policies({"constant": figures(19.0), "<bcq>": figures(31.0)}),
        sessions=30,
        evaluation="run/fusion/pipeline/PolicyEvaluator/evaluation/1",
        estimates={"conservative": {"value": 3.5, "low": 3.1, "high": 4.0}},
        current={},
        logged={"value": 3.4, "low": 3.0, "high": 3.9},
        gamma=0.9,
        bar=3.0,
        bar_source="what the log's own policy earned",
        reasons=["there is no current policy to compare with"],
        blessed=True,
        pushed_model="run/serving/ranker/1",
        interactions={"train": 29181},
        history=[
            {"step": 10, "data_q": 1.0, "policy_q": 1.1},
            {"step": 20, "data_q": 2.0, "policy_q": float("nan")},
        ],
        seconds={"Trainer-bcq": 12.0, "Pusher": 0.5},
    )
