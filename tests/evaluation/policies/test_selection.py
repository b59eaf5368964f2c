"""The policy to push: the best beyond chance, or the method's."""

import json

import numpy as np
import pytest

from mtfx.evaluation.policies.selection import Selection, select_policy


def returns(**gains):
    rng = np.random.default_rng(0)
    base = rng.gamma(2.0, size=200)
    return {
        name: {"discounted_return": (base + gain + rng.normal(0, 0.1, 200)).tolist()}
        for name, gain in gains.items()
    }


def test_the_highest_mean_return_among_those_ahead_is_chosen():
    selection = select_policy(returns(constant=0.1, bcq=0.0, bo=0.3, td3=-1.0), "bcq")
    assert selection.chosen == "bo"
    assert list(selection.ahead) == ["bo", "constant"]
    assert selection.candidates == ("constant", "bcq", "bo", "td3")
    assert "chose bo in place of bcq: return +0.2" in selection.sentence
    assert "200 sessions kept for this choice" in selection.sentence


@pytest.mark.parametrize("gains", [{"bo": 0.0, "td3": -0.2}, {"bo": 1e-3, "td3": 0.0}])
def test_what_may_be_luck_is_not_chosen(gains):
    selection = select_policy(returns(bcq=0.0, **gains), "bcq")
    assert (selection.chosen, selection.ahead) == ("bcq", {})
    assert "kept bcq: none of bo, td3 is better beyond chance" in selection.sentence


def test_the_learned_policy_stays_where_it_is_best():
    assert select_policy(returns(bcq=1.0, bo=0.0), "bcq").chosen == "bcq"


def test_a_method_without_a_policy_is_an_error():
    with pytest.raises(KeyError):
        select_policy(returns(bo=0.0), "bcq")


@pytest.mark.parametrize("gain", [0.0, 1.0])
def test_it_survives_json(gain):
    selection = select_policy(returns(bcq=0.0, bo=gain), "bcq")
    assert Selection.from_json(json.loads(json.dumps(selection.to_json()))) == selection
