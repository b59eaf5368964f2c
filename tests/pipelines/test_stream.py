"""``mtfx stream`` on files of sessions; the documented commands join its policies with a model."""

import dataclasses
import json
import os
import shutil

import pytest
import tensorflow as tf

from mtfx.cli.__main__ import main
from mtfx.datasets.fused_predictions import probabilities
from mtfx.datasets.request_state import RequestStateConfig
from mtfx.datasets.transitions.codec import encode_transitions
from mtfx.datasets.transitions.spec import TransitionManifest
from mtfx.models.export.policy import SavedPolicy
from mtfx.models.fusion.config import FusionConfig
from mtfx.serving.request_fields import RequestField
from tests.tiny_ranking import (
    COLUMNS,
    NAMES,
    REQUEST,
    STATE_CONFIG,
    STATE_DIM,
    TransformedTinyRankingModel,
    save_tiny,
    write_vocabulary,
)
from tests.transition_batches import SPEC, random_batch

SETTINGS = ["--set", "hidden_units=(8,8)", "--set", "batch_size=4", "--set", "buffer_size=50"]


def write_sessions(directory, spec=SPEC):
    directory.mkdir()
    fusion = FusionConfig().action_meaning()
    TransitionManifest(spec, {}, 1, 2, fusion=fusion).write(str(directory))
    options = tf.io.TFRecordOptions(compression_type="GZIP")
    with tf.io.TFRecordWriter(str(directory / "a.gz"), options) as writer:
        for record in encode_transitions(random_batch(6, spec), spec):
            writer.write(record)


@pytest.fixture
def arriving(tmp_path):
    directory = tmp_path / "interactions"
    write_sessions(directory)
    (directory / "b.gz").write_bytes(b"damaged")
    return directory


def stream(arriving, tmp_path, *more):
    paths = ["--interactions", str(arriving), "--output-dir", str(tmp_path / "out")]
    return main(["stream", *paths, "--method", "td3", "--export-every", "4", *SETTINGS, *more])


def test_policies_are_exported_and_what_was_not_read_is_said(arriving, tmp_path, capfd):
    assert stream(arriving, tmp_path) == 0
    shown = capfd.readouterr().out
    assert "1, and 1 that could not be read" in shown
    assert "b.gz" in shown
    policies = tmp_path / "out" / "policies"
    assert sorted(os.listdir(policies)) == ["4", "6"]
    assert SavedPolicy(str(policies / "6")).metadata.method == "td3"
    # Nothing new has come.
    assert stream(arriving, tmp_path) == 0
    assert json.loads((tmp_path / "out" / "stream.json").read_text())["state"]["sessions"] == 6
    assert sorted(os.listdir(policies)) == ["4", "6"]


@pytest.mark.slow
def test_each_policy_is_joined_with_the_runs_ranking_model(tmp_path, capsys):
    serving = tmp_path / "run" / "serving"
    vocabulary = write_vocabulary(tmp_path / "vocabulary.txt")
    save_tiny(TransformedTinyRankingModel(vocabulary), serving / "ranking" / "3")
    item = RequestField("item", "string", "candidate", per_candidate=True, required=True)
    about = {"columns": COLUMNS.names, "request": [item.to_dict()]}
    write_metadata(serving / "ranking" / "3", about)
    served = {
        "request_state": STATE_CONFIG.to_dict(),
        "predictions": [prediction.to_dict() for prediction in probabilities(NAMES)],
    }
    write_metadata(serving / "ranker" / "1", served)
    joined = ["--run-dir", str(tmp_path / "run")]
    spec = dataclasses.replace(SPEC, state_dim=STATE_DIM, prediction_names=NAMES, action_dim=2)
    write_sessions(tmp_path / "fitting", spec)
    assert stream(tmp_path / "fitting", tmp_path, *joined) == 0
    assert sorted(os.listdir(tmp_path / "out" / "rankers")) == ["4", "6"]
    ranker = tmp_path / "out" / "rankers" / "6"
    answer = tf.saved_model.load(str(ranker)).signatures["serving_default"](
        request=tf.constant(REQUEST)
    )
    assert sorted(answer["ranked_indices"].numpy()) == [0, 1, 2, 3]
    found = json.loads((ranker / "assets.extra" / "mtfx.json").read_text())
    assert RequestStateConfig.from_dict(found["request_state"]) == STATE_CONFIG
    assert found["predictions"] == served["predictions"]
    assert {field["name"] for field in found["request"]} > {"item", "age", "timestamp_ms"}
    # Sessions of other states are not of this ranker.
    capsys.readouterr()
    shutil.rmtree(tmp_path / "out")
    other = dataclasses.replace(spec, state_dim=STATE_DIM + 1)
    write_sessions(tmp_path / "other", other)
    assert stream(tmp_path / "other", tmp_path, *joined) == 1
    assert f"states of size {STATE_DIM + 1}" in capsys.readouterr().err.replace("\n", " ")


def write_metadata(directory, about):
    path = directory / "assets.extra" / "mtfx.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(about))


def test_wrong_input_is_named(arriving, tmp_path, capsys):
    for more, words in (
        (["--set", "speed=1"], "td3 has no such setting"),
        (["--poll-seconds", "0"], "--poll-seconds must be positive"),
        (["--idle-minutes", "-1"], "--idle-minutes is negative"),
        (["--export-every", "0"], "export_every must be at least 1"),
        (["--run-dir", str(tmp_path)], "no pushed ranking model"),
        (["--method", "xmtf", "--interactions", str(tmp_path / "none")], "there is no directory"),
    ):
        assert stream(arriving, tmp_path, *more) == 1
        assert words in capsys.readouterr().err.replace("\n", " ")
    TransitionManifest(SPEC, {}, 1, 2).write(str(arriving))
    assert stream(arriving, tmp_path) == 1
    assert "which fusion function" in capsys.readouterr().err.replace("\n", " ")
    assert not (tmp_path / "out" / "policies").exists()
