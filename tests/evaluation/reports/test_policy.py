"""The report of a policy's evaluation: what is written, also where nothing could be estimated."""

import json

import numpy as np
import pytest
from scipy import stats

from mtfx.evaluation.ope.base import Estimate
from mtfx.evaluation.policies.blessing import Verdict
from mtfx.evaluation.policies.report import report_actions
from mtfx.evaluation.reports.policy import PolicyEvaluation, render_policy_page, write_evaluation

RNG = np.random.default_rng(0)
LOGGED = RNG.uniform(-0.6, 0.6, (2000, 2)).astype(np.float32)


@pytest.mark.parametrize("finite", [True, False])
def test_the_report_is_written(tmp_path, finite):
    actions = LOGGED[:40] * 0.5 if finite else np.full((40, 2), np.nan, np.float32)
    estimate = Estimate(
        1.5, 1.0, float("nan"), 10, {"converged": False, "value_drift": 0.1, "bellman_gap": 0.0}
    )
    evaluation = PolicyEvaluation(
        method="bcq",
        deciding="conservative",
        verdict=Verdict(False, ["it is <worse>"], ["a note"], 0.9, "what the log earned"),
        estimates={"conservative": estimate} if finite else {},
        current={"conservative": Estimate(2.0, 1.8, 2.2, 10, {})} if finite else {},
        not_estimated={"importance_sampling": "no densities"},
        logged=Estimate(1.2, 1.0, 1.4, 10, {}),
        gamma=0.95,
        simulated={"policy": dict.fromkeys(("value", "low", "high", "watch_s", "views"), 1.5)
                   | {"positive_rate": 0.25}} if finite else {},
        simulated_training={"policy": dict.fromkeys(
            ("value", "low", "high", "watch_s", "views"), 7.25
        ) | {"positive_rate": 0.5}} if finite else {},
        actions=report_actions(actions, LOGGED),
        action_names=["like", "watch"],
        config={"seed": 1},
    )  # fmt: skip
    write_evaluation(evaluation, {"logged": LOGGED, "policy": actions}, str(tmp_path / "out"))
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"summary.json", "index.html", "actions.png", "values.png"}
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["blessed"] is False
    assert summary["reasons"] == ["it is <worse>"]
    assert summary["not_estimated"] == {"importance_sampling": "no densities"}
    if finite:
        assert summary["estimates"]["conservative"]["value"] == 1.5
        assert summary["estimates"]["conservative"]["high"] is None
        distance = stats.wasserstein_distance(actions[:, 0], LOGGED[:, 0])
        assert summary["actions"]["wasserstein"][0] == pytest.approx(distance, rel=1e-4)
    page = (tmp_path / "out" / "index.html").read_text()
    assert "it is &lt;worse&gt;" in page
    assert "Not blessed" in page
    assert ("7.25" in page and "not learnt from" in page) == finite
    assert page == render_policy_page(
        evaluation,
        {name: (tmp_path / "out" / f"{name}.png").read_bytes() for name in ("actions", "values")},
    )
