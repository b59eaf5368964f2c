"""Exports a small ranker, or answers with an exported one: run by the Python of either lane.

``python -m tests.lane_ranker export DIR`` or ``... answer DIR OUT.npz``. Answering needs TensorFlow
alone, none of our code.
"""

import sys

import numpy as np
import tensorflow as tf

from tests.request_examples import candidates

REQUEST = candidates(
    7,
    timestamp_ms=1_700_000_000_000,
    town="Ulm",
    history_timestamp_ms=[1_699_999_000_000, 1_699_999_900_000],
    history_click=[1, 0],
)


def export(directory):
    from mtfx.datasets.fused_predictions import probabilities
    from mtfx.models.export.ranker import Ranker, export_ranker
    from mtfx.models.fusion.config import FusionConfig, build_fusion
    from mtfx.models.request_state import RequestState
    from tests.hashed_ranking import NAMES, STATE_CONFIG, STATE_DIM, save_ranking

    ranker = Ranker(
        tf.saved_model.load(save_ranking(f"{directory}-ranking")),
        probabilities(NAMES),
        build_fusion(FusionConfig("formula2"), len(NAMES)),
        lambda states: tf.tanh(states[:, -len(NAMES) :]),
        STATE_DIM,
        request_state=RequestState(STATE_CONFIG),
    )
    export_ranker(ranker, directory, {})


def answer(directory, output):
    serve = tf.saved_model.load(directory).signatures["serving_default"]
    answers = serve(request=tf.constant(REQUEST))
    np.savez(output, **{name: value.numpy() for name, value in answers.items()})


if __name__ == "__main__":
    {"export": export, "answer": answer}[sys.argv[1]](*sys.argv[2:])
