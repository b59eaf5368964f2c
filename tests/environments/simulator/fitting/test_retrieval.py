"""Two-tower retrieval finds planted taste; its hit rate against a loop."""

import numpy as np
import pytest

from mtfx.environments.simulator.fitting.config import RetrievalTrainingConfig
from mtfx.environments.simulator.fitting.retrieval import embed, hit_rate, retrieve, train_retrieval
from mtfx.models.config import TwoTowerConfig
from mtfx.models.input_features import InputFeature

USERS, ITEMS, GROUPS = 40, 60, 4
USER_INPUTS = (InputFeature("user", "categorical", USERS),)
ITEM_INPUTS = (InputFeature("item", "categorical", ITEMS),)


@pytest.fixture(scope="module")
def trained():
    """Users respond to the items of their own group alone, a popular one among them."""
    rng = np.random.default_rng(0)
    users = rng.integers(0, USERS, 2048)
    items = rng.integers(0, ITEMS // GROUPS, 2048) * GROUPS + users % GROUPS
    config = RetrievalTrainingConfig(
        TwoTowerConfig(embedding_dim=8, feature_dim=8, hidden_units=(16,)),
        epochs=8,
        batch_size=256,
        learning_rate=0.02,
    )
    told = []
    model, losses = train_retrieval(
        USER_INPUTS,
        ITEM_INPUTS,
        {"user": users, "item": items},
        items,
        config,
        lambda epoch, loss: told.append((epoch, loss)),
    )
    return model, losses, told


def test_retrieval_finds_the_planted_groups(trained):
    model, losses, _ = trained
    users = embed(model.embed_users, USER_INPUTS, {"user": np.arange(USERS)})
    items = embed(model.embed_items, ITEM_INPUTS, {"item": np.arange(ITEMS)})
    np.testing.assert_allclose(np.linalg.norm(users, axis=1), 1.0, rtol=1e-5)
    top = retrieve(users, items, ITEMS // GROUPS)
    own = (top % GROUPS == np.arange(USERS)[:, None] % GROUPS).mean()
    assert own > 0.85  # chance is 0.25
    assert losses[-1] < losses[0]


def test_the_epochs_are_told(trained):
    _, losses, told = trained
    assert told == list(enumerate(losses, start=1))


def test_the_top_items_are_those_of_the_largest_products():
    rng = np.random.default_rng(1)
    users, items = (rng.normal(size=(n, 5)).astype(np.float32) for n in (7, 30))
    np.testing.assert_array_equal(
        retrieve(users, items, 4), np.argsort(-(users @ items.T), axis=1)[:, :4]
    )


def test_the_hit_rate_counts_pairs():
    top = np.array([[1, 2], [3, 4]])
    users, items = np.array([0, 0, 1, 1]), np.array([2, 3, 3, 9])
    hits = [item in top[user].tolist() for user, item in zip(users, items, strict=True)]
    assert hit_rate(top, users, items) == sum(hits) / 4 == 0.5
    assert np.isnan(hit_rate(top, users[:0], items[:0]))


def test_too_few_items_and_wrong_settings_are_refused():
    pairs = {"user": np.arange(3), "item": np.full(3, 5)}
    with pytest.raises(ValueError, match="3 positive impressions of 1 items"):
        train_retrieval(USER_INPUTS, ITEM_INPUTS, pairs, pairs["item"], RetrievalTrainingConfig())
    with pytest.raises(ValueError, match="epochs must be at least 1, got 0"):
        RetrievalTrainingConfig(epochs=0)
    with pytest.raises(KeyError, match="user"):
        train_retrieval(
            USER_INPUTS,
            ITEM_INPUTS,
            {"item": np.arange(3)},
            np.arange(3),
            RetrievalTrainingConfig(),
        )
