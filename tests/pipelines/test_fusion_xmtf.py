"""``mtfx fusion --method xmtf`` for real, on a small ranking run: logs, a ranker, its curves."""

import json
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from mtfx.cli.__main__ import main
from mtfx.datasets.synthetic.config import SyntheticConfig
from mtfx.datasets.synthetic.synthesis import synthesize
from mtfx.datasets.transitions.spec import TransitionManifest
from mtfx.errors import DataError
from mtfx.evaluation.config import Thresholds
from mtfx.models.config import ModelConfig
from mtfx.models.export.policy import SavedPolicy
from mtfx.pipelines.config import RankingPipelineConfig
from mtfx.pipelines.fusion import run_fusion
from mtfx.pipelines.fusion_config import FusionPipelineConfig
from mtfx.pipelines.local_runner import SilentObserver
from mtfx.pipelines.options import DataOptions
from mtfx.pipelines.ranking import run_ranking
from mtfx.trainers.ranking.config import TrainingConfig

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
TASKS = ("click", "long_view", "like")


class Recorder(SilentObserver):
    def __init__(self):
        self.stages = {}

    def finished(self, result):
        self.stages[result.name] = result

    def uri(self, stage, output):
        return self.stages[stage].outputs[output][0].uri


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory):
    directory = tmp_path_factory.mktemp("fusion")
    synthesize(SyntheticConfig(profile="video", impressions=6000, seed=3), directory / "data")
    config = RankingPipelineConfig(
        data=DataOptions("synthetic-video", str(directory / "data"), tasks=TASKS),
        output_dir=str(directory / "run"),
        model=ModelConfig.of_size("small", "shared_bottom"),
        training=TrainingConfig(epochs=1, batch_size=128),
        thresholds=Thresholds(min_auc=0.0, allow_worse_than_rate=True),
        seed=5,
    )
    run_ranking(config, SilentObserver())
    return directory / "run"


@pytest.fixture(scope="module")
def run(run_dir):
    config = FusionPipelineConfig(
        run_dir=str(run_dir),
        method="xmtf",
        baselines=("constant", "td3"),
        users=40,
        pool=60,
        candidates=20,
        sessions=200,
        eval_sessions=100,
        train_steps=50,
        batch_size=32,
        settings=(("hidden_units", (16,)), ("inner_candidates", 8)),
        seed=2,
    )
    recorder = Recorder()
    return run_fusion(config, recorder, "mtfx fusion --method xmtf"), recorder


@pytest.fixture(scope="module")
def policy(run):
    return SavedPolicy(f"{run[1].uri('Trainer-xmtf', 'model')}/Format-Serving")


def test_each_method_learns_from_actions_of_its_own_fusion(run, policy):
    summary, recorder = run
    fusions = {
        name: TransitionManifest.read(recorder.uri(name, "examples")).fusion["formula"]
        for name in recorder.stages
        if name.startswith("SimulatedInteractionGen")
    }
    assert fusions == {
        "SimulatedInteractionGen": "xmtf",
        "SimulatedInteractionGen-formula2": "formula2",
    }
    assert policy.metadata.fusion["saved_cells"] is True
    assert 0 < policy.metadata.config["order_agreement"] <= 1
    assert policy.metadata.config["trainer"]["agent"]["outer"] == "batch_constrained"
    other = TransitionManifest.read(recorder.uri("SimulatedInteractionGen-formula2", "examples"))
    with pytest.raises(DataError, match="actions of the fusion"):
        other.check_fusion(policy.metadata.fusion_config.action_meaning(), "the log")
    assert {row.policy for row in summary.comparison} == {"constant", "td3", "xmtf"}
    assert set(summary.estimates) >= {"conservative", "fqe"}
    assert any("own cells differ (they put" in reason for reason in summary.reasons)
    assert summary.blessed == (summary.pushed_model is not None)
    losses = summary.history[-1]["losses"]
    assert losses["transfer_loss"] > 0
    assert losses["vae_loss"] > 0


def test_the_ranker_scores_as_policy_and_cells_in_a_process_of_its_own(run, policy, tmp_path):
    """BCQ samples its actions, so the ranker's own action is what its scores are compared by."""
    rng = np.random.default_rng(0)
    state = rng.normal(size=(2, policy.metadata.state_dim)).astype(np.float32)
    predictions = rng.random((2, 7, len(TASKS))).astype(np.float32)
    mask = np.arange(7) < np.array([[7], [4]])
    np.savez(tmp_path / "request.npz", state=state, predictions=predictions, mask=mask)
    code = (
        "import numpy as np, tensorflow as tf\n"
        f"model = tf.saved_model.load({run[0].ranker!r})\n"
        f"request = np.load({str(tmp_path / 'request.npz')!r})\n"
        "given = {name: tf.constant(request[name]) for name in request.files}\n"
        "answer = model.signatures['fuse'](**given)\n"
        f"np.savez({str(tmp_path / 'answer.npz')!r}, **answer)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path)
    answer = np.load(tmp_path / "answer.npz")
    fusion = policy.fusion(len(TASKS))
    scores = fusion.scores(
        tf.constant(predictions), tf.constant(answer["action"]), tf.constant(state)
    ).numpy()
    np.testing.assert_allclose(answer["scores"][mask], scores[mask], rtol=1e-5)
    assert answer["ranked_indices"][0].tolist() == np.argsort(-scores[0]).tolist()
    moved = fusion.scores(
        tf.constant(predictions), tf.constant(answer["action"]), tf.constant(-state)
    ).numpy()
    assert not np.allclose(moved, scores, rtol=1e-3)


def test_the_runs_curves_are_drawn(run, run_dir, tmp_path):
    del run
    assert main(["explain", "--run-dir", str(run_dir), "--output-dir", str(tmp_path)]) == 0
    curves = json.loads((tmp_path / "curves.json").read_text())
    assert curves["method"] == "xmtf"
    assert curves["predictions"] == list(TASKS)
    assert np.shape(curves["contribution"]) == (4, 3, 201)
    assert (tmp_path / "curves.png").exists()
