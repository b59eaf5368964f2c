"""Policies on the same sessions, against scipy's own paired test."""

import json

import numpy as np
import pytest
from scipy import stats

from mtfx.evaluation.policies.comparison import (
    FIGURES,
    ahead_of,
    compare_policies,
    paired_from_json,
    paired_to_json,
    rows_from_json,
    rows_to_json,
)


def sessions(shift, size=40):
    rng = np.random.default_rng(0)
    base = {name: rng.gamma(2.0, size=size) for name in FIGURES}
    noise = np.random.default_rng(1).normal(0, 0.1, size)
    return {name: (values + shift * (1 + noise)).tolist() for name, values in base.items()}


def test_differences_are_paired_by_session():
    figures = {"constant": sessions(0.0), "bcq": sessions(0.3)}
    first, second = compare_policies(figures)
    assert first.policy == "constant"
    assert not first.differences
    for name in FIGURES:
        test = second.differences[name]
        expected = stats.ttest_rel(figures["bcq"][name], figures["constant"][name])
        assert test.p == pytest.approx(expected.pvalue)
        assert test.difference.mean == pytest.approx(
            np.mean(figures["bcq"][name]) - np.mean(figures["constant"][name])
        )
        # The sessions differ far more among themselves than the policies do.
        assert test.difference.half_width < second.figures[name].half_width


def test_who_is_ahead_is_so_beyond_chance_and_the_best_comes_first():
    figures = {
        "constant": sessions(0.2),
        "bcq": sessions(0.0),
        "bo": sessions(0.5),
        "td3": sessions(-0.4),
        "es": sessions(0.0),
    }
    ahead = ahead_of(figures, "bcq")
    assert list(ahead) == ["bo", "constant"]
    expected = stats.ttest_rel(
        figures["bo"]["discounted_return"], figures["bcq"]["discounted_return"]
    )
    assert ahead["bo"].p == pytest.approx(expected.pvalue)
    assert paired_from_json(json.loads(json.dumps(paired_to_json(ahead["bo"])))) == ahead["bo"]
    assert ahead_of(figures, "bo") == {}


def test_many_comparisons_need_more_evidence():
    rng = np.random.default_rng(5)
    own = rng.normal(size=30)
    # A single comparison at p = .02 or so.
    better = own + 1.0 + stats.zscore(rng.normal(size=30)) * 2.2
    figures = {"bcq": {"discounted_return": own}, "bo": {"discounted_return": better}}
    assert list(ahead_of(figures, "bcq")) == ["bo"]
    for number in range(9):
        figures[f"other {number}"] = {"discounted_return": own + rng.normal(size=30) - 9.0}
    assert ahead_of(figures, "bcq") == {}


def test_rows_survive_json():
    rows = compare_policies({"constant": sessions(0.0), "bo": sessions(1.0)})
    assert rows_from_json(json.loads(json.dumps(rows_to_json(rows)))) == rows


def test_policies_of_other_sessions_are_refused():
    with pytest.raises(ValueError, match="different numbers"):
        compare_policies({"constant": sessions(0.0), "bo": sessions(0.0, size=39)})
    with pytest.raises(ValueError, match="no policy"):
        compare_policies({})
