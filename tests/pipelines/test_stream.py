"""``mtfx stream`` on files of sessions; the documented commands join its policies with a model."""

import json
import os

import pytest
import tensorflow as tf

from mtfx.cli.__main__ import main
from mtfx.datasets.transitions.codec import encode_transitions
from mtfx.datasets.transitions.spec import TransitionManifest
from mtfx.models.export.policy import SavedPolicy
from mtfx.models.fusion.config import FusionConfig
from tests.transition_batches import SPEC, random_batch

SETTINGS = ["--set", "hidden_units=(8,8)", "--set", "batch_size=4", "--set", "buffer_size=50"]


@pytest.fixture
def arriving(tmp_path):
    directory = tmp_path / "interactions"
    directory.mkdir()
    fusion = FusionConfig().action_meaning()
    TransitionManifest(SPEC, {}, 1, 2, fusion=fusion).write(str(directory))
    options = tf.io.TFRecordOptions(compression_type="GZIP")
    with tf.io.TFRecordWriter(str(directory / "a.gz"), options) as writer:
        for record in encode_transitions(random_batch(6), SPEC):
            writer.write(record)
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
