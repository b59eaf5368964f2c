"""A ranking model that turns any item into predictions, so that every candidate has its own."""

import tensorflow as tf

from mtfx.datasets.request_state import RequestColumn, RequestStateConfig

NAMES = ("click", "like")
STATE_CONFIG = RequestStateConfig(
    counts=("user_id_impressions",),
    numbers=(RequestColumn("age", "float32"),),
    profile=(RequestColumn("town", "string"),),
    context=(RequestColumn("tab", "int64"),),
    feedback=("click", "like"),
    watch_share=True,
    feedback_time=True,
    length=4,
)
STATE_DIM = len(STATE_CONFIG.state_names(NAMES))


class HashedRanking(tf.Module):
    """Predictions are the hash of an item."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def serve(self, examples):
        spec = {"item": tf.io.RaggedFeature(tf.string, row_splits_dtype=tf.int64)}
        items = tf.io.parse_example(examples, spec)["item"]
        return {
            name: tf.ragged.map_flat_values(
                lambda flat, k=k: (
                    tf.cast(tf.strings.to_hash_bucket_fast(flat, 89 + k), tf.float32) / 100.0 + 0.01
                ),
                items,
            ).to_tensor()
            for k, name in enumerate(NAMES)
        }

    @tf.function(input_signature=[{"age": tf.TensorSpec([None], tf.float32, name="age")}])
    def predict_tasks(self, raw):
        return dict.fromkeys(NAMES, raw["age"])


def save_ranking(directory):
    """Saves the model; gives its path."""
    ranking = HashedRanking()
    signatures = {"serving_default": ranking.serve, "predict_tasks": ranking.predict_tasks}
    tf.saved_model.save(ranking, str(directory), signatures=signatures)
    return str(directory)
