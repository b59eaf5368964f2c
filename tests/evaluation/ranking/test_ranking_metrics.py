import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtfx.evaluation.ranking.ranking_metrics import task_figures


@st.composite
def predictions_in_sessions(draw):
    lengths = draw(st.lists(st.integers(1, 4), min_size=1, max_size=6))
    count = sum(lengths)
    labels = draw(st.lists(st.integers(0, 1), min_size=count, max_size=count))
    # Coarse values, so that ties occur.
    scores = draw(st.lists(st.integers(0, 10), min_size=count, max_size=count))
    return np.array(labels), np.array(scores) / 10, np.array(lengths)


@given(predictions_in_sessions())
def test_figures_equal_their_definitions(case):
    labels, predictions, lengths = case
    found = task_figures(labels, predictions, lengths)
    positives, negatives = predictions[labels == 1], predictions[labels == 0]
    if len(positives) and len(negatives):
        difference = positives[:, None] - negatives[None, :]
        assert found["auc"] == pytest.approx(np.mean((difference > 0) + 0.5 * (difference == 0)))
    else:
        assert found["auc"] is None
    losses = [
        -math.log(min(max(p if y else 1 - p, 1e-7), 1 - 1e-7))
        for y, p in zip(labels, predictions, strict=True)
    ]
    assert found["logloss"] == pytest.approx(sum(losses) / len(losses))
    means, begin = [], 0
    for length in lengths:
        means.append(sum(losses[begin : begin + length]) / length)
        begin += length
    assert found["s_logloss"] == pytest.approx(sum(means) / len(means))


def test_float32_predictions_of_one_have_a_finite_loss():
    found = task_figures(np.array([0.0]), np.array([1.0], np.float32), np.array([1]))
    assert found["logloss"] == pytest.approx(-math.log(1e-7), rel=1e-6)


@pytest.mark.parametrize(
    ("labels", "predictions", "lengths", "message"),
    [
        ([0, 1], [0.5], [2], "one shape"),
        ([], [], [], "one shape"),
        ([0, 2], [0.5, 0.5], [2], "labels must be 0 or 1"),
        ([0, 1], [0.5, math.nan], [2], "not be NaN"),
        ([0, 1], [0.5, 1.5], [2], "between 0 and 1"),
        ([0, 1], [0.5, 0.5], [3], "1 of them sum to 3"),
        ([0, 1], [0.5, 0.5], [2, 0], "positive"),
    ],
)
def test_wrong_input_is_refused(labels, predictions, lengths, message):
    with pytest.raises(ValueError, match=message):
        task_figures(np.array(labels), np.array(predictions), np.array(lengths))
