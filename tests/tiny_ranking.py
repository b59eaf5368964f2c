"""A ranking model whose predictions are read from a table, and a linear policy."""

import math

import numpy as np
import tensorflow as tf

from mtfx.datasets.request_state import RequestColumn, RequestStateConfig
from mtfx.models.export.transformed_features import FeatureColumns, TransformedFeatures
from mtfx.models.input_features import InputFeature
from mtfx.models.request_state import RequestState
from tests.request_examples import example

ITEMS = ("a", "b", "c", "d")
NAMES = ("click", "like")
STATE_CONFIG = RequestStateConfig(
    counts=("user_impressions",),
    numbers=(RequestColumn("age", "float32"), RequestColumn("balance", "float32")),
    feedback=("click",),
    length=3,
)
STATE_DIM = len(STATE_CONFIG.state_names(NAMES))
# Prediction of an item for a user of age 0: click, like, and a watch time that is not fused.
CLICK = np.array([0.1, 0.2, 0.3, 0.4], np.float32)
LIKE = np.array([0.04, 0.03, 0.02, 0.01], np.float32)
AGE = 0.001


class TinyRankingModel(tf.Module):
    """The signatures of ``trainers.export.RankingModule``, its predictions read from a table."""

    def __init__(self, vocabulary: str) -> None:
        super().__init__()
        self.vocabulary = tf.lookup.StaticVocabularyTable(
            tf.lookup.TextFileInitializer(
                vocabulary,
                tf.string,
                tf.lookup.TextFileIndex.WHOLE_LINE,
                tf.int64,
                tf.lookup.TextFileIndex.LINE_NUMBER,
            ),
            num_oov_buckets=1,
        )
        # The unknown item's click is NaN, and that of "d" for an old user is above 1.
        self.click = tf.Variable([*CLICK, math.nan])
        self.like = tf.Variable([*LIKE, 0.5])

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def serve(self, examples):
        raw = parse(examples)
        age = tf.repeat(raw["age"][:, 0], raw["item"].row_lengths())
        flat = self._predict(raw["item"].flat_values, age)
        return {
            name: tf.RaggedTensor.from_row_lengths(v, raw["item"].row_lengths()).to_tensor()
            for name, v in flat.items()
        }

    @tf.function(
        input_signature=[
            {
                "item": tf.TensorSpec([None], tf.string, name="item"),
                "age": tf.TensorSpec([None], tf.float32, name="age"),
            }
        ]
    )
    def predict_tasks(self, raw):
        return self._predict(raw["item"], raw["age"])

    def _predict(self, item, age):
        return self._predict_rows(self.vocabulary.lookup(item), age)

    def _predict_rows(self, row, age):
        click = tf.gather(self.click, row) + AGE * age
        return {"click": click, "like": tf.gather(self.like, row), "watch_s": 100.0 * click}


def parse(examples):
    features = {
        "item": tf.io.RaggedFeature(tf.string, row_splits_dtype=tf.int64),
        "age": tf.io.FixedLenFeature([1], tf.float32, [0.0]),
    }
    return tf.io.parse_example(examples, features)


class TinyPolicy(tf.Module):
    """A linear policy."""

    def __init__(self, actions: int = 2, states: int = STATE_DIM) -> None:
        super().__init__()
        self.kernel = tf.Variable(
            np.linspace(-0.4, 0.4, states * actions).reshape(states, actions),
            dtype=tf.float32,
        )

    def __call__(self, state):
        return tf.matmul(state, self.kernel)


COLUMNS = FeatureColumns(
    (
        InputFeature("age", "numeric", level="session"),
        InputFeature("item", "categorical", vocabulary_size=len(ITEMS) + 1),
    )
)


class TransformedTinyRankingModel(TinyRankingModel):
    """With the saved functions of ``mtfx.models.export.ranking.RankingModule`` too."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def transform(self, examples):
        raw = parse(examples)
        lengths = raw["item"].row_lengths()
        features = {
            "item": self.vocabulary.lookup(raw["item"].flat_values),
            "age": raw["age"][:, 0],
        }
        packed = COLUMNS.pack(features, tf.size(lengths), tf.reduce_sum(lengths))
        return {**packed._asdict(), "row_lengths": lengths}

    @tf.function(input_signature=list(COLUMNS.specs()))
    def checked(self, *features):
        return list(COLUMNS.checked(TransformedFeatures(*features)))

    @tf.function(input_signature=list(COLUMNS.specs()))
    def predict_request(self, *inputs):
        features = COLUMNS.unpack(TransformedFeatures(*inputs))
        age = tf.repeat(features["age"], tf.shape(features["item"])[0])
        return self._predict_rows(features["item"], age)


NOW = 1_700_000_000_000
#: A user with a history, one of whose impressions is not before the request.
REQUEST = example(
    item=list("cadb"),
    age=2.0,
    user_impressions=9,
    timestamp_ms=NOW,
    history_timestamp_ms=[NOW - 50_000, NOW - 20_000, NOW],
    history_click=[1, 0, 1],
)


def state_by_hand(request, predictions):
    """A request's state, computed outside of any SavedModel."""
    own = RequestState(STATE_CONFIG).of_requests(tf.constant([request])).state[0].numpy()
    return np.concatenate([own, np.mean(predictions, axis=0, dtype=np.float64)])


def by_hand():
    """State, action, predictions and scores of REQUEST; all but the state in NumPy."""
    rows = [2, 0, 3, 1]
    predictions = np.stack([CLICK[rows] + AGE * 2.0, LIKE[rows]], axis=1)
    state = state_by_hand(REQUEST, predictions)
    kernel = np.linspace(-0.4, 0.4, 2 * STATE_DIM).reshape(STATE_DIM, 2)
    action = np.clip(state @ kernel, -1, 1)
    return state, action, predictions, np.log(predictions + 0.01) @ ((action + 1) / 2)


def save_tiny(module, directory):
    """Saves a model; gives it back as ``tf.saved_model.load`` does."""
    signatures = {"serving_default": module.serve, "predict_tasks": module.predict_tasks}
    tf.saved_model.save(module, str(directory), signatures=signatures)
    return tf.saved_model.load(str(directory))


def write_vocabulary(path):
    """Writes the items; gives the path."""
    path.write_text("\n".join(ITEMS) + "\n")
    return str(path)
