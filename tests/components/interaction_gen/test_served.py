"""Logs of served requests that can teach nothing, or judge nothing, are refused before training."""

import dataclasses
import os

import numpy as np
import pytest
import tensorflow as tf

from mtfx.components.interaction_gen.config import ServedInteractionConfig
from mtfx.datasets.rewards import RewardConfig
from mtfx.datasets.transitions.codec import encode_transitions
from mtfx.errors import DataError
from tests.transition_batches import SPEC, random_batch

#: Feedback is all that counts.
QUIET = RewardConfig(watch_weight=0.0, integrity_weight=0.0)


def write_log(directory, batch):
    os.makedirs(directory, exist_ok=True)
    with tf.io.TFRecordWriter(str(directory / "requests.tfrecord.gz"), "GZIP") as writer:
        for record in encode_transitions(batch, SPEC):
            writer.write(record)
    return directory


def config(tmp_path, **changes):
    return ServedInteractionConfig(SPEC, str(tmp_path / "quarantine"), open_minutes=0.0, **changes)


@pytest.mark.parametrize(
    ("feedback", "words"),
    [
        (0.0, r"all \d+ rewards to learn from are 0: nothing can be learned .* feedback joined"),
        (1.0, r"all \d+ rewards to learn from are 1\.1: nothing can be learned"),
    ],
)
def test_rewards_that_do_not_differ_are_refused(serve, tmp_path, feedback, words):
    batch = random_batch(40)
    batch.feedback[:] = feedback
    with pytest.raises(DataError, match=words):
        serve(write_log(tmp_path / "log", batch), config(tmp_path, reward=QUIET))
    assert not any(
        name == "transitions.json" for _, _, names in os.walk(tmp_path) for name in names
    )


def test_the_summary_says_how_much_rewards_differ(serve, tmp_path):
    batch = random_batch(40)
    made = serve(write_log(tmp_path / "log", batch), config(tmp_path, reward=QUIET))
    for split in ("train", "eval"):
        rewards = made.batch(split).reward
        assert made.summary.splits[split].reward_deviation == pytest.approx(rewards.std(), rel=1e-5)
    assert made.summary.splits["train"].reward_deviation > 0.1


@pytest.mark.parametrize("unknown", ["none", "train", "eval"])
def test_densities_are_asked_for_where_an_estimator_needs_them(serve, tmp_path, unknown):
    batch = random_batch(40)
    batch.log_density[:] = -1.0
    late = np.asarray([int(name[1:]) >= 36 for name in batch.session_id])
    batch.log_density[{"none": late & ~late, "train": ~late, "eval": late}[unknown]] = np.nan
    log = write_log(tmp_path / "log", batch)
    wanted = config(tmp_path, needs_densities="doubly_robust")
    if unknown == "eval":
        with pytest.raises(
            DataError, match=r"estimator doubly_robust needs the density .* have no"
        ):
            serve(log, wanted)
    else:
        assert serve(log, wanted).summary.splits["eval"].unknown_density == 0
    assert serve(log, dataclasses.replace(wanted, needs_densities="")).summary.source == "served"
