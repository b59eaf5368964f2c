"""Exports a small ranker, or answers with an exported one: run by the Python of either lane.

``python -m tests.lane_ranker export DIR`` or ``... answer DIR OUT.npz``. Answering needs TensorFlow
alone, none of our code.
"""

import sys

import numpy as np
import tensorflow as tf

STATE = np.asarray([0.3, -0.2, 0.0, 1.0], np.float32)
EXAMPLES = [f"candidate {number}".encode() for number in range(7)]


def export(directory):
    from mtfx.models.export.ranker import Ranker, export_ranker
    from mtfx.models.fusion.config import FusionConfig, build_fusion
    from tests.hashed_ranking import NAMES, save_ranking

    ranker = Ranker(
        tf.saved_model.load(save_ranking(f"{directory}-ranking")),
        NAMES,
        build_fusion(FusionConfig("formula2"), len(NAMES)),
        lambda states: tf.tanh(states[:, : len(NAMES)]),
        len(STATE),
    )
    export_ranker(ranker, directory, {})


def answer(directory, output):
    serve = tf.saved_model.load(directory).signatures["serving_default"]
    answers = serve(state=tf.constant(STATE), examples=tf.constant(EXAMPLES))
    np.savez(output, **{name: value.numpy() for name, value in answers.items()})


if __name__ == "__main__":
    {"export": export, "answer": answer}[sys.argv[1]](*sys.argv[2:])
