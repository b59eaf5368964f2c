"""The ranking model trained by two workers, each a process of this machine."""

import dataclasses
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from mtfx.datasets.synthetic import SyntheticConfig, synthesize
from mtfx.errors import StageError
from mtfx.evaluation.config import Thresholds
from mtfx.models.config import ModelConfig
from mtfx.pipelines.config import RankingPipelineConfig
from mtfx.pipelines.local_runner import SilentObserver
from mtfx.pipelines.options import DataOptions
from mtfx.pipelines.ranking import run_ranking
from mtfx.trainers.ranking.config import TrainingConfig

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
ROOT = Path(__file__).resolve().parents[2]
#: Another package named ``tests`` may be installed, and a new process would find that one.
PYTHONPATH = os.pathsep.join([str(ROOT), str(ROOT / "tests")])


class Recorder(SilentObserver):
    """Keeps each stage's result."""

    def __init__(self):
        self.stages = {}

    def finished(self, result):
        self.stages[result.name] = result


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("localhost", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def tf_config(addresses, index):
    return json.dumps(
        {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
    )


@pytest.fixture(scope="module", autouse=True)
def importable():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "tests"))
        yield


@pytest.fixture(scope="module")
def config(tmp_path_factory, importable):
    directory = tmp_path_factory.mktemp("workers")
    synthesize(SyntheticConfig(profile="video", impressions=4000, seed=3), directory / "data")
    return RankingPipelineConfig(
        data=DataOptions("small_video:SPEC", str(directory / "data"), tasks=("click",)),
        output_dir=str(directory / "run"),
        model=ModelConfig.of_size("small", "shared_bottom"),
        training=TrainingConfig(epochs=2, batch_size=128, strategy="multi_worker_mirrored"),
        thresholds=Thresholds(min_auc=0.0, allow_worse_than_rate=True),
        seed=5,
    )


@pytest.fixture(scope="module")
def trained(config):
    addresses = [f"localhost:{port}" for port in free_ports(2)]
    job = Path(config.output_dir, "checkpoints", "job.json")
    environment = {**os.environ, "PYTHONPATH": PYTHONPATH}
    other = subprocess.Popen(
        [sys.executable, "-m", "mtfx.trainers.ranking.worker", "--job", str(job)],
        env={**environment, "TF_CONFIG": tf_config(addresses, 1)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    recorder = Recorder()
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("TF_CONFIG", tf_config(addresses, 0))
            patch.setenv("PYTHONPATH", PYTHONPATH)
            summary = run_ranking(config, recorder)
        said, _ = other.communicate(timeout=120)
    finally:
        other.kill()
    assert other.returncode == 0, said[-3000:]
    return summary, recorder.stages


def test_the_chief_exports_what_both_have_trained(config, trained):
    summary, stages = trained
    assert summary.blessed, summary.blessing_reasons
    model = stages["Trainer"].outputs["model"][0].uri
    loaded = tf.saved_model.load(f"{model}/Format-Serving")
    features = loaded.signatures["predict_tasks"].structured_input_signature[1]
    row = {
        name: tf.zeros([3], spec.dtype) if spec.dtype != tf.string else tf.constant(["a"] * 3)
        for name, spec in features.items()
    }
    predicted = loaded.signatures["predict_tasks"](**row)["click"].numpy()
    assert predicted.shape == (3,)
    assert np.all((predicted > 0) & (predicted < 1))
    made_from = json.loads(Path(model, "Format-Serving", "assets.extra", "mtfx.json").read_text())
    assert made_from["config"]["training"]["strategy"] == "multi_worker_mirrored"


def test_it_has_learned_as_one_machine_does(config, trained):
    _, stages = trained
    history = json.loads(
        Path(stages["Trainer"].outputs["model_run"][0].uri, "history.json").read_text()
    )
    alone = dataclasses.replace(
        config,
        output_dir=f"{config.output_dir}-alone",
        training=TrainingConfig(epochs=2, batch_size=128),
    )
    recorder = Recorder()
    run_ranking(alone, recorder)
    expected = json.loads(
        Path(recorder.stages["Trainer"].outputs["model_run"][0].uri, "history.json").read_text()
    )
    assert len(history["epochs"]) == len(expected["epochs"]) == 2
    # The same steps of the same size over the same impressions, in other batches.
    for one, other in zip(history["epochs"], expected["epochs"], strict=True):
        assert one["val_loss"] == pytest.approx(other["val_loss"], rel=0.05)


def test_nothing_of_the_other_worker_is_left(config, trained):
    assert not list(Path(config.output_dir).rglob("*.worker-1*"))
    assert not list(Path(config.output_dir, "checkpoints").iterdir())


def test_only_the_chief_runs_the_pipeline(config, monkeypatch, trained):
    monkeypatch.setenv("TF_CONFIG", tf_config(["localhost:1", "localhost:2"], 1))
    again = dataclasses.replace(config, seed=6)
    command = r"here run: python -m mtfx\.trainers\.ranking\.worker --job"
    with pytest.raises(StageError, match=command):
        run_ranking(again, SilentObserver())
