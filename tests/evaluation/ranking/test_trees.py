"""Label means out of fold, and the trees that read them."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from mtfx.datasets.labels import UNKNOWN
from mtfx.evaluation.ranking.trees import BoostedTrees, LabelMeans, TreeInputs, TreesConfig

FAST = TreesConfig(rounds=20, learning_rate=0.2, leaves=8)


def by_hand(ids, labels, folds, row, config, held_out):
    """Mean and count of a row's values, one value and one training row after the other."""
    found = []
    for value in (v for v in np.atleast_1d(ids[row]) if v >= 0):
        used = [
            label
            for other, (label, fold) in enumerate(zip(labels, folds, strict=True))
            if value in np.atleast_1d(ids[other]) and not (held_out and fold == folds[row])
        ]
        extra = config.pseudo_counts
        mean = (sum(used) + extra * labels.mean()) / (len(used) + extra)
        scale = config.folds / (config.folds - 1) if held_out else 1.0
        found.append((mean, len(used) * scale))
    return np.mean(found, axis=0) if found else (labels.mean(), 0.0)


@pytest.mark.parametrize("values", [None, 3])
def test_means_are_those_of_a_plain_loop(values):
    rng = np.random.default_rng(0)
    config = TreesConfig(folds=4, pseudo_counts=3)
    if values is None:
        ids = rng.integers(0, 6, 60)
    else:
        ids = np.stack([rng.permutation(6)[:values] for _ in range(60)])
        ids[rng.random(ids.shape) < 0.4] = -1
    labels, folds = rng.integers(0, 2, 60).astype(float), rng.integers(0, 4, 60)
    means = LabelMeans(ids, labels, folds, config)
    for held_out, found in ((True, means.of_training(ids, folds)), (False, means.of_others(ids))):
        wanted = [by_hand(ids, labels, folds, row, config, held_out) for row in range(60)]
        np.testing.assert_allclose(np.stack(found, axis=1), wanted, rtol=1e-5)


def test_a_value_that_training_did_not_have_gets_the_mean_of_all():
    labels = np.array([0.0, 1.0, 1.0, 1.0])
    means = LabelMeans(np.zeros(4, int), labels, np.arange(4), TreesConfig(folds=4))
    mean, count = means.of_others(np.array([7, -1]))
    assert (mean.tolist(), count.tolist()) == ([0.75, 0.75], [0.0, 0.0])


def inputs(size, seed=7):
    """A click by item and number; ids that occur once say nothing."""
    rng = np.random.default_rng(seed)
    item, number = rng.integers(0, 50, size), rng.normal(size=size).astype(np.float32)
    chance = 1 / (1 + np.exp(-(2 * np.sin(item) + number)))
    click = (rng.random(size) < chance).astype(np.float32)
    watch = (10 * chance + rng.normal(size=size)).astype(np.float32)
    ids = {"item_id": item, "once": np.arange(size)}
    return TreeInputs({"number": number}, ids, {"click": click, "watch": watch}), chance


def test_trees_rank_nearly_as_well_as_the_truth_and_no_row_sees_its_label():
    train, _ = inputs(3000)
    test, chance = inputs(2000, seed=8)
    trees = BoostedTrees(train, "click", "binary", config=FAST)
    best = roc_auc_score(test.labels["click"], chance)
    assert roc_auc_score(test.labels["click"], trees.predict(test)) > best - 0.03
    # With its own label in the mean of an id that occurs once, a training row would be known.
    fitted = roc_auc_score(train.labels["click"], trees.predict(train))
    assert fitted < best + 0.04
    again = BoostedTrees(train, "click", "binary", config=FAST)
    assert (trees.predict(test) == again.predict(test)).all()


def test_a_regression_is_predicted_in_its_own_unit():
    train, _ = inputs(3000)
    test, chance = inputs(1000, seed=8)
    predicted = BoostedTrees(train, "watch", "regression", config=FAST).predict(test)
    assert np.corrcoef(predicted, chance)[0, 1] > 0.9
    assert predicted.mean() == pytest.approx(test.labels["watch"].mean(), rel=0.1)


def test_unknown_labels_are_left_out_and_a_task_without_any_known_one_is_refused():
    train, _ = inputs(1000)
    odd = np.arange(1000) % 2 == 1
    unknown = {"click": np.where(odd, train.labels["click"], UNKNOWN)}
    half = train.rows(odd)
    test, _ = inputs(200, seed=8)
    found = BoostedTrees(TreeInputs(train.numbers, train.ids, unknown), "click", "binary", 0, FAST)
    wanted = BoostedTrees(half, "click", "binary", 0, FAST)
    np.testing.assert_array_equal(found.predict(test), wanted.predict(test))
    none = {"click": np.full(1000, UNKNOWN, np.float32)}
    with pytest.raises(ValueError, match="no training impression has a known label of task click"):
        BoostedTrees(TreeInputs(train.numbers, train.ids, none), "click", "binary")


def test_a_feedback_that_nobody_gave_has_the_chance_zero():
    train, _ = inputs(100)
    none = TreeInputs(train.numbers, train.ids, {"pay": np.zeros(100, np.float32)})
    assert set(BoostedTrees(none, "pay", "binary").predict(none)) == {0.0}


def test_more_impressions_than_allowed_are_drawn():
    train, _ = inputs(2000)
    config = TreesConfig(rounds=5, max_impressions=500)
    trees = BoostedTrees(train, "click", "binary", 0, config)
    assert sum(trees._means["item_id"].of_others(np.arange(50))[1]) == 500


def test_columns_must_fit():
    train, _ = inputs(100)
    with pytest.raises(ValueError, match="100 labels, but 3 values of number"):
        TreeInputs({"number": np.zeros(3)}, {}, train.labels)
    with pytest.raises(ValueError, match="a label and an input"):
        TreeInputs({}, {}, train.labels)
    trees = BoostedTrees(train, "click", "binary", 0, FAST)
    with pytest.raises(ValueError, match="trained on"):
        trees.predict(TreeInputs({}, train.ids, train.labels))
    with pytest.raises(ValueError, match="folds must be at least 2"):
        TreesConfig(folds=1)
    with pytest.raises(ValueError, match="rounds must be positive"):
        TreesConfig(rounds=0)
