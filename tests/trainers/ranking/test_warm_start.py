"""A warm start carries weights over by name, and embeddings by the value they stand for."""

import types

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from mtfx.datasets.spec import Task
from mtfx.errors import DataError
from mtfx.models.config import ModelConfig, StateConfig
from mtfx.models.input_features import InputFeature
from mtfx.models.ranking_model import RankingModel
from mtfx.trainers.ranking.warm_start import carry_rows, earlier_weights

VALUES = st.lists(st.sampled_from([b"a", b"b", b"c", b"d", b"e", b"f"]), unique=True)


@given(old=VALUES, new=VALUES, old_buckets=st.integers(0, 3), new_buckets=st.integers(0, 3))
def test_rows_follow_their_values(old, new, old_buckets, new_buckets):
    before = np.arange((len(old) + old_buckets) * 2, dtype=np.float32).reshape(-1, 2)
    fresh = -1.0 - np.arange((len(new) + new_buckets) * 2, dtype=np.float32).reshape(-1, 2)
    merged, kept = carry_rows(before, fresh, old, new)
    wanted = {value: before[row] for row, value in enumerate(old)}
    for row, value in enumerate(new):
        np.testing.assert_array_equal(merged[row], wanted.get(value, fresh[row]))
    for bucket in range(new_buckets):
        source = before[len(old) + bucket] if bucket < old_buckets else fresh[len(new) + bucket]
        np.testing.assert_array_equal(merged[len(new) + bucket], source)
    assert kept == len(set(old) & set(new)) + min(old_buckets, new_buckets)


def _model(vocabulary_size, seed, width=4, tasks=("click", "like")):
    item, price = (
        InputFeature("item_id", "categorical", vocabulary_size),
        InputFeature("price", "numeric"),
    )
    past = (InputFeature("age_s", "numeric"), price)
    inputs = (
        item,
        price,
        InputFeature("history_ids", "history_ids", length=2, columns=(item,)),
        InputFeature("history_values", "history_values", length=2, columns=past),
    )
    config = ModelConfig(
        backbone="shared_bottom", state=StateConfig(width, hidden_units=(5,), state_dim=3)
    )
    model = RankingModel(inputs, tuple(Task(name) for name in tasks), config, seed=seed)
    model({f.name: tf.zeros([1, *f.shape], f.dtype) for f in inputs})
    return model


def _vocabulary(path, values):
    path.write_bytes(b"".join(value + b"\n" for value in values))
    return types.SimpleNamespace(vocabulary_file_by_name=lambda name: str(path))


@pytest.fixture(scope="module")
def earlier(tmp_path_factory):
    """A saved model of three items and a bucket."""
    directory = tmp_path_factory.mktemp("earlier")
    model, module = _model(4, seed=1), tf.Module()
    module.model_variables = model.variables
    tf.saved_model.save(module, str(directory / "model"))
    _vocabulary(directory / "model" / "assets" / "item_id", [b"x", b"y", b"z"])
    return model, str(directory / "model")


def test_a_grown_vocabulary_keeps_what_was_known(earlier, tmp_path):
    old, path = earlier
    new = _model(6, seed=2)
    fresh = new.state_representation.embeddings["item_id"].embeddings.numpy()
    starts = []
    graph = _vocabulary(tmp_path / "vocabulary", [b"z", b"new", b"x", b"newer", b"y"])
    earlier_weights(path, graph, starts.append)(new)
    before = old.state_representation.embeddings["item_id"].embeddings.numpy()
    after = new.state_representation.embeddings["item_id"].embeddings.numpy()
    np.testing.assert_array_equal(after[[0, 2, 4, 5]], before[[2, 0, 1, 3]])
    np.testing.assert_array_equal(after[[1, 3]], fresh[[1, 3]])
    after, before = (
        model.state_representation.history.embeddings["item_id"].embeddings.numpy()
        for model in (new, old)
    )
    np.testing.assert_array_equal(after[[0, 2, 4, 5]], before[[2, 0, 1, 3]])
    for mine, its in zip(new.trainable_variables, old.trainable_variables, strict=True):
        if "embedding" not in mine.name:
            np.testing.assert_array_equal(mine.numpy(), its.numpy())
    assert starts[0].rows == {"item_id": (4, 6)}
    assert starts[0].variables == len(new.trainable_variables)


@pytest.mark.parametrize(
    ("other", "words"),
    [({"width": 8}, "is \\[1, 4\\]"), ({"tasks": ("click",)}, "cannot be started from")],
)
def test_a_model_of_another_configuration_is_refused_and_nothing_changed(
    earlier, tmp_path, other, words
):
    new = _model(4, seed=2, **other)
    before = [variable.numpy() for variable in new.trainable_variables]
    graph = _vocabulary(tmp_path / "vocabulary", [b"x", b"y", b"z"])
    with pytest.raises(DataError, match=words):
        earlier_weights(earlier[1], graph)(new)
    for variable, value in zip(new.trainable_variables, before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)


def test_what_is_no_model_is_refused_by_name(tmp_path):
    graph = _vocabulary(tmp_path / "vocabulary", [b"x"])
    with pytest.raises(DataError, match=r"no ranking model to start from"):
        earlier_weights(str(tmp_path / "nowhere"), graph)(_model(2, seed=0))
