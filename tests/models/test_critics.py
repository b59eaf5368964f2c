"""Critics see the features that the ranking model sees."""

import numpy as np
import tensorflow as tf

from mtfx.datasets.spec import Task
from mtfx.models.config import CriticConfig
from mtfx.models.critics import build_critics
from mtfx.models.input_features import InputFeature

INPUTS = (
    InputFeature("user", "categorical", 5, level="session"),
    InputFeature("tags", "multivalued", 7, max_values=3),
    InputFeature("age", "numeric"),
)


def test_critics_take_features_of_several_values():
    critics = build_critics(INPUTS, (Task("click"), Task("like")), CriticConfig())
    features = {
        "user": tf.constant([1, 1], tf.int64),
        "tags": tf.constant([[0, 2, -1], [2, -1, 0]], tf.int64),
        "age": tf.zeros([2]),
    }
    values = critics(features, tf.fill([2, 2], 0.5)).numpy()
    assert values.shape == (2, 2)
    assert (values <= 0).all()
    np.testing.assert_allclose(values[0], values[1], rtol=1e-5)  # the same tags in another order
