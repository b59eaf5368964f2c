"""A ranking model that parses examples, has items it does not know, and believes any price."""

import tensorflow as tf

NAMES = ("click", "like")
ITEMS = ("a", "b", "c")


class ParsedRanking(tf.Module):
    """Click is 0.1 a place in ``ITEMS``, 0.9 for an unknown item; like is the price."""

    def __init__(self):
        super().__init__()
        self.places = tf.lookup.StaticVocabularyTable(
            tf.lookup.KeyValueTensorInitializer(ITEMS, tf.range(len(ITEMS), dtype=tf.int64)), 1
        )
        self.click = tf.Variable([0.1, 0.2, 0.3, 0.9])

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def serve(self, examples):
        raw = tf.io.parse_example(
            examples,
            {
                "item": tf.io.RaggedFeature(tf.string, row_splits_dtype=tf.int64),
                "price": tf.io.RaggedFeature(tf.float32, row_splits_dtype=tf.int64),
            },
        )
        lengths = raw["item"].row_lengths()
        same = tf.reduce_all(lengths == raw["price"].row_lengths())
        rule = "features item and price need the same number of values in each example"
        with tf.control_dependencies([tf.debugging.Assert(same, [rule])]):
            lengths = tf.identity(lengths)
        click = tf.ragged.map_flat_values(
            lambda items: tf.gather(self.click, self.places.lookup(items)), raw["item"]
        )
        return {"click": click.to_tensor(), "like": raw["price"].to_tensor()}

    @tf.function(input_signature=[{"age": tf.TensorSpec([None], tf.float32, name="age")}])
    def predict_tasks(self, raw):
        return dict.fromkeys(NAMES, raw["age"])


def save_parsed_ranking(directory):
    """Saves the model; gives its path."""
    ranking = ParsedRanking()
    signatures = {"serving_default": ranking.serve, "predict_tasks": ranking.predict_tasks}
    tf.saved_model.save(ranking, str(directory), signatures=signatures)
    return str(directory)
