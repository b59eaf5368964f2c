"""The fusion pipeline for real, on a small ranking run: two runs with the cache, and a ranker."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tfx.utils import path_utils

from mtfx.components.blessed_models import LatestBlessedRankingStrategy
from mtfx.datasets.registry import load_dataset
from mtfx.datasets.synthetic.config import SyntheticConfig
from mtfx.datasets.synthetic.synthesis import synthesize
from mtfx.environments.simulator.world import load_world
from mtfx.errors import StageError
from mtfx.evaluation.config import Thresholds
from mtfx.models.config import ModelConfig
from mtfx.pipelines.config import RankingPipelineConfig
from mtfx.pipelines.fusion import run_fusion
from mtfx.pipelines.fusion_config import FusionPipelineConfig
from mtfx.pipelines.local_runner import SilentObserver
from mtfx.pipelines.options import DataOptions
from mtfx.pipelines.ranking import run_ranking
from mtfx.serving.warmup import num_candidates, read_warmup
from mtfx.trainers.ranking.config import TrainingConfig

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
TASKS = ("click", "long_view", "like", "hate", "watch_time_ms")
#: What is fused, hate being left out.
PREDICTIONS = ("click", "long_view", "like", "watch_time_ms", "play_integrity")


class Recorder(SilentObserver):
    def __init__(self):
        self.stages = {}

    def finished(self, result):
        self.stages[result.name] = result


@pytest.fixture(scope="module")
def ranking(tmp_path_factory):
    directory = tmp_path_factory.mktemp("fusion")
    synthesize(SyntheticConfig(profile="video", impressions=6000, seed=3), directory / "data")

    def run(min_auc):
        config = RankingPipelineConfig(
            data=DataOptions("synthetic-video", str(directory / "data"), tasks=TASKS),
            output_dir=str(directory / "run"),
            model=ModelConfig.of_size("small", "shared_bottom"),
            training=TrainingConfig(epochs=1, batch_size=128),
            thresholds=Thresholds(min_auc, min_r_squared=-1e9, allow_worse_than_rate=True),
            seed=5,
        )
        return run_ranking(config, SilentObserver())

    return directory / "run", run


@pytest.fixture(scope="module")
def config(ranking):
    return FusionPipelineConfig(
        run_dir=str(ranking[0]),
        baselines=("constant", "td3"),
        users=40,
        pool=60,
        candidates=20,
        sessions=200,
        eval_sessions=100,
        leave_out=("hate",),
        train_steps=50,
        batch_size=32,
        settings=(("hidden_units", (16,)), ("fusion.low", 0.1), ("reward.feedback.like", 3.0)),
        # What these runs are for is behind the blessing.
        max_return_drop=1e6,
        seed=2,
    )


def test_without_a_blessed_model_it_says_so(ranking, config):
    ranking[1](min_auc=1.0)
    with pytest.raises(StageError, match="none is blessed"):
        run_fusion(config, SilentObserver())


@pytest.fixture(scope="module")
def first(ranking, config):
    ranking[1](min_auc=0.0)
    recorder = Recorder()
    return run_fusion(config, recorder, "mtfx fusion"), recorder.stages


def test_all_policies_met_the_same_sessions(first, config):
    summary, _ = first
    assert {row.policy for row in summary.comparison} == {"constant", "td3", "bcq"}
    assert summary.comparison[0].policy == "constant"
    assert all(row.figures["views"].n == config.eval_sessions for row in summary.comparison)
    report = json.loads((config.report_dir / "summary.json").read_text())
    assert report["method"] == "bcq"
    assert report["command"] == "mtfx fusion"
    assert set(report["estimates"]) >= {"conservative", "fqe"}
    assert report["blessed"] == (report["pushed_model"] is not None)


def test_what_is_fused_is_the_same_in_world_policy_ranker_and_report(first, config):
    summary, stages = first
    ranker = f"{stages['RankerExporter'].outputs['model'][0].uri}/Format-Serving"
    about = json.loads(Path(ranker, "assets.extra", "mtfx.json").read_text())
    world = load_world(stages["SimulatorGen"].outputs["simulator"][0].uri)
    assert world.prediction_names == PREDICTIONS
    assert tuple(about["policy"]["prediction_names"]) == PREDICTIONS
    assert about["policy"]["fusion"]["low"] == 0.1
    assert about["predictions"] == [one.to_dict() for one in world.fused]
    assert [one["name"] for one in summary.predictions] == list(PREDICTIONS)
    assert summary.predictions[3]["map"].endswith(" s)")
    assert about["state_names"][-5:] == [f"mean_{name}" for name in PREDICTIONS]
    watch, share = world.fused[3:]
    assert 100 < watch.scale < 100_000
    assert 0.05 < share.scale < 3.0
    # Half of what users may be shown is above the training split's median, about.
    assert 0.1 < (world.predictions[..., 3:] > 0.5).mean() < 0.9
    assert config.reward_config.interaction_weights(("like", "follow")).tolist() == [3.0, 2.0]


def test_the_ranker_in_a_fresh_process_scores_as_its_raw_predictions_are_fused(first, tmp_path):
    _, stages = first
    ranker = f"{stages['RankerExporter'].outputs['model'][0].uri}/Format-Serving"
    about = json.loads(Path(ranker, "assets.extra", "mtfx.json").read_text())
    request = read_warmup(Path(ranker))[1]
    code = (
        "import sys, numpy as np, tensorflow as tf\n"
        f"model = tf.saved_model.load({ranker!r})\n"
        "request = tf.constant(open('request', 'rb').read())\n"
        "answer = model.signatures['serving_default'](request=request)\n"
        "np.savez('answer.npz', **{name: value.numpy() for name, value in answer.items()})\n"
        "assert not any(name.startswith('mtfx') for name in sys.modules)\n"
    )
    (tmp_path / "request").write_bytes(request)
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path)
    answer = np.load(tmp_path / "answer.npz")
    model = path_utils.serving_model_path(stages["LatestBlessedRanking"].outputs["model"][0].uri)
    predict = tf.saved_model.load(model).signatures["serving_default"]
    raw = {name: value.numpy()[0] for name, value in predict(tf.constant([request])).items()}
    features = tf.train.Example.FromString(request).features.feature
    ms = np.asarray(features["duration_ms"].float_list.value)
    watch = raw["watch_time_ms"]
    scales = [one["scale"] for one in about["predictions"]]
    fused = [raw[name] for name in PREDICTIONS[:3]]
    fused += [watch / (watch + scales[3]), watch / ms / (watch / ms + scales[4])]
    np.testing.assert_allclose(answer["predictions"], np.stack(fused, axis=1), rtol=1e-4)
    weights = 0.1 + 0.9 * (answer["action"] + 1) / 2
    scores = np.log(np.stack(fused, axis=1) + 1e-3) @ weights
    np.testing.assert_allclose(answer["scores"], scores, rtol=1e-4, atol=1e-4)


def test_nothing_is_done_twice(first, config):
    recorder = Recorder()
    run_fusion(config, recorder)
    resolved = {"LatestBlessedRanking", "EarlierBlessedPolicy"}
    done = {n for n, stage in recorder.stages.items() if stage.status != "cached"}
    assert done == resolved


def of_nobody(ranker):
    """A request of the ranker's own features of candidates, with neither user nor history."""
    fields = json.loads(Path(ranker, "assets.extra", "mtfx.json").read_text())["request"]
    about = {field["name"] for field in fields if field["level"] in ("user", "history")}
    assert {"user_id", "history_timestamp_ms", "history_click"} < about
    request = tf.train.Example.FromString(read_warmup(Path(ranker))[0])
    assert len(request.features.feature["timestamp_ms"].int64_list.value) == 1
    for name in about & set(request.features.feature):
        del request.features.feature[name]
    return request.SerializeToString()


def test_the_ranker_needs_only_tensorflow(first, tmp_path):
    _, stages = first
    ranker = f"{stages['RankerExporter'].outputs['model'][0].uri}/Format-Serving"
    (tmp_path / "nobody").write_bytes(of_nobody(ranker))
    rng = np.random.default_rng(0)
    state_dim = (
        tf.saved_model.load(ranker)
        .signatures["fuse"]
        .structured_input_signature[1]["state"]
        .shape[1]
    )
    np.savez(
        tmp_path / "request.npz",
        state=rng.normal(size=(2, state_dim)).astype(np.float32),
        predictions=rng.random((2, 7, len(PREDICTIONS))).astype(np.float32),
        mask=np.arange(7) < np.array([[7], [4]]),
    )
    code = (
        "import numpy as np, tensorflow as tf\n"
        f"model = tf.saved_model.load({ranker!r})\n"
        f"request = np.load({str(tmp_path / 'request.npz')!r})\n"
        "given = {name: tf.constant(request[name]) for name in request.files}\n"
        "ranked = model.signatures['fuse'](**given)['ranked_indices'].numpy()\n"
        "assert sorted(ranked[0]) == list(range(7)), ranked\n"
        "assert sorted(ranked[1][:4]) == list(range(4)) and (ranked[1][4:] == -1).all(), ranked\n"
        f"request = tf.constant(open({str(tmp_path / 'nobody')!r}, 'rb').read())\n"
        "answer = model.signatures['serving_default'](request=request)\n"
        "assert sorted(answer['ranked_indices'].numpy()) == list(range(len(answer['scores'])))\n"
        "assert answer['history_left_out'] == 0 and np.isfinite(answer['state']).all()\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path)


def test_a_ranker_that_xla_compiles_answers_as_the_other(first, config):
    _, stages = first
    plain = f"{stages['RankerExporter'].outputs['model'][0].uri}/Format-Serving"
    recorder = Recorder()
    run_fusion(dataclasses.replace(config, candidate_buckets=(64, 16)), recorder)
    path = f"{recorder.stages['RankerExporter'].outputs['model'][0].uri}/Format-Serving"
    requests = read_warmup(Path(path))
    assert [num_candidates(request) for request in requests] == [1, 16, 64, 100, 500]
    metadata = json.loads(Path(path, "assets.extra", "mtfx.json").read_text())
    assert metadata["candidate_buckets"] == [64, 16]
    # A feature of several values has a column for each.
    features = {name.split("[")[0] for names in metadata["columns"].values() for name in names}
    assert features > {f.name for f in load_dataset("synthetic-video").features}
    compiled, other = (tf.saved_model.load(p).signatures["serving_default"] for p in (path, plain))
    for request in map(tf.constant, requests):
        answer, expected = compiled(request=request), other(request=request)
        for name in ("predictions", "scores"):
            np.testing.assert_allclose(answer[name], expected[name], rtol=1e-4, atol=1e-5)


def test_a_second_policy_is_judged_against_the_first(first, config):
    summary, _ = first
    assert summary.blessed, summary.reasons
    later = run_fusion(dataclasses.replace(config, seed=3), SilentObserver())
    assert set(later.current) == set(later.estimates)


def test_the_best_policy_is_judged_exported_and_pushed(first, config):
    recorder = Recorder()
    # A policy of a few steps, against weights that were searched for.
    summary = run_fusion(
        dataclasses.replace(
            config, push="best", baselines=("constant", "bo"), train_steps=2, eval_sessions=400
        ),
        recorder,
    )
    selection = summary.selection
    assert selection.candidates == ("constant", "bo", "bcq")
    assert summary.judged == selection.chosen
    assert summary.remarks[0].startswith("--push best ")
    chosen = recorder.stages["PolicySelector"].outputs["model"][0].uri
    assert summary.policy == chosen
    for path in (f"{chosen}/Format-Serving", summary.ranker):
        about = json.loads(Path(path, "assets.extra", "mtfx.json").read_text())
        assert about.get("policy", about)["method"] == selection.chosen
    evaluated = json.loads(Path(summary.evaluation, "summary.json").read_text())
    assert evaluated["method"] == selection.chosen
    report = json.loads((config.report_dir / "summary.json").read_text())
    assert report["selection"]["chosen"] == selection.chosen
    assert summary.blessed == (summary.pushed_model is not None)


def test_the_strategy_looks_past_the_channels_it_is_given():
    class Store:
        def get_contexts_by_type(self, name):
            return []

    with pytest.raises(LookupError, match="mtfx ranking"):
        LatestBlessedRankingStrategy().resolve_artifacts(Store(), {"model": []})
