"""Two days of the fusion Trainer: the second begins warm, on what the first's policy ranked."""

import dataclasses
import json
import types

import numpy as np
import pytest
import tensorflow as tf

from mtfx.agents.config import XmtfConfig
from mtfx.datasets.transitions.codec import encode_transitions
from mtfx.datasets.transitions.spec import TransitionManifest
from mtfx.models.export.policy import SavedPolicy
from mtfx.models.fusion.config import CellsConfig, FormulaFreeConfig, build_fusion
from mtfx.trainers.fusion.config import FusionTrainerConfig
from mtfx.trainers.fusion.run import HISTORY_FILE, run_fn
from tests.transition_batches import SPEC, random_batch

CELLS = CellsConfig(hidden_units=(5,))
FREE = FormulaFreeConfig(CELLS.low, CELLS.high)
AGENT = XmtfConfig(
    hidden_units=(6,), cells=CELLS, outer="batch_constrained", batch_size=16, warmup_steps=5
)


def write_log(directory, fusion, seed):
    """A day's transitions, whose shown candidates are the first by a fusion."""
    batch = random_batch(sessions=30, seed=seed)
    counts = batch.candidate_count
    chosen = []
    for row, candidates in enumerate(np.split(batch.predictions, np.cumsum(counts)[:-1])):
        scores = fusion.scores(
            tf.constant(candidates[np.newaxis]),
            tf.constant(batch.action[row : row + 1]),
            tf.constant(batch.state[row : row + 1]),
        )
        chosen.append(int(tf.argmax(scores[0])))
    batch = dataclasses.replace(batch, chosen=np.array(chosen))
    TransitionManifest(SPEC, {}, 0, 1, fusion=FREE.action_meaning()).write(str(directory))
    (directory / "Split-train").mkdir()
    with tf.io.TFRecordWriter(str(directory / "Split-train" / "data.gz"), "GZIP") as writer:
        for record in encode_transitions(batch, SPEC):
            writer.write(record)


def run(directory, agent, base=""):
    config = FusionTrainerConfig(
        "xmtf", agent, FREE, str(directory / "checkpoints"), seed=1, log_every=10
    )
    run_fn(
        types.SimpleNamespace(
            custom_config=config.to_dict(),
            train_files=[str(directory / "Split-train" / "*")],
            base_model=base or None,
            serving_model_dir=str(directory / "model" / "Format-Serving"),
            model_run_dir=str(directory / "run"),
        )
    )
    history = json.loads((directory / "run" / HISTORY_FILE).read_text())
    return SavedPolicy(str(directory / "model" / "Format-Serving")), history


@pytest.mark.slow
def test_the_second_day_goes_on_from_the_first_and_is_compared_with_its_ranking(tmp_path):
    first_dir, second_dir = tmp_path / "day-1", tmp_path / "day-2"
    write_log(first_dir, build_fusion(FREE, SPEC.num_predictions), seed=1)
    first, history = run(first_dir, dataclasses.replace(AGENT, train_steps=20))
    assert [log["step"] for log in history] == [10, 20]
    assert first.metadata.config["steps_before"] == 0
    # Cells that have learnt little do not order as the formula by which the day was logged.
    assert first.metadata.config["order_agreement"] < 0.95

    write_log(second_dir, first.fusion(SPEC.num_predictions), seed=2)
    names = ("actor_learning_rate", "critic_learning_rate")
    slow = dict.fromkeys((*names, "inner_learning_rate", "vae_learning_rate"), 1e-9)
    second, history = run(
        second_dir,
        dataclasses.replace(AGENT, train_steps=10, **slow),
        str(first_dir / "model" / "Format-Serving"),
    )
    assert [log["step"] for log in history] == [10]
    assert second.metadata.config["steps_before"] == 20
    # float16 keeps candidates apart that differ by a thousandth.
    assert second.metadata.config["order_agreement"] > 0.98
