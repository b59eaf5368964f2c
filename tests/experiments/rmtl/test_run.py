"""Real trials on a small prepared log: every method, and which split each may look at."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import log_loss, roc_auc_score

from mtfx.cli.experiment_data import prepare_data
from mtfx.datasets.synthetic import SyntheticConfig, synthesize
from mtfx.experiments.engine.trial import with_requirements
from mtfx.experiments.rmtl.run import run_trial
from mtfx.experiments.rmtl.trial import RmtlTrial
from mtfx.pipelines.beam_args import local_beam_args
from mtfx.pipelines.local_runner import SilentObserver
from mtfx.pipelines.options import DataOptions
from mtfx.trainers.ranking.input import impression_batches

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

SETTINGS = (
    ("scale", "small"),
    ("batch_size", 128),
    ("epochs", 2),
    ("critic_epochs", 2),
    ("retrain_epochs", 1),
)
METHODS = ("constant", "critics", "cw", "rmtl", "ddpg")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    directory = tmp_path_factory.mktemp("data")
    synthesize(SyntheticConfig(profile="video", impressions=4000, seed=3), directory / "data")
    data = DataOptions("synthetic", str(directory / "data"), tasks=("click", "long_view"))
    return prepare_data(data, str(directory / "run"), SilentObserver(), local_beam_args())


@pytest.fixture(scope="module")
def results(prepared, tmp_path_factory):
    return run(prepared, tmp_path_factory.mktemp("trials"), METHODS)


def run(data, directory, methods):
    wanted = [RmtlTrial("mmoe", method, 0, settings=SETTINGS) for method in methods]
    found = {}
    for trial in with_requirements(wanted):
        paths = {key: str(directory / key) for key in (trial.key, *trial.requires)}
        Path(paths[trial.key]).mkdir(parents=True, exist_ok=True)
        found[trial.method] = run_trial(data, trial, paths)
    return found


def test_every_method_gives_metrics_and_curves(results):
    for method in METHODS:
        json.dumps(results[method])
        assert results[method]["seconds"] > 0
        assert set(results[method]["metrics"]) == (
            set() if method == "critics" else {"click", "long_view"}
        )
    assert results["cw"]["curves"]["weights"]["click"] == [1.0]
    assert results["rmtl"]["curves"]["weights"]["click"][0] > 1
    curves = results["critics"]["curves"]
    assert len(curves["td_error"]) == len(curves["steps"]) > 0
    assert len(curves["q"]["click"]) == len(curves["realised_return"]["click"])
    assert max(curves["realised_return"]["click"]) < 0


def test_only_the_figures_look_at_the_test_split(prepared, results, tmp_path):
    """With the validation split in the test split's place, the same model has other figures."""
    swapped = dataclasses.replace(
        prepared, splits={**prepared.splits, "test": prepared.splits["eval"]}
    )
    again = run(swapped, tmp_path, ["constant"])["constant"]
    assert again["notes"]["best_epoch"] == results["constant"]["notes"]["best_epoch"]
    validation = again["notes"]["validation_auc"]
    assert validation == pytest.approx(results["constant"]["notes"]["validation_auc"], abs=0.02)
    means = [
        np.mean([figures["auc"] for figures in trial["metrics"].values()])
        for trial in (again, results["constant"])
    ]
    # Training's own AUC counts thresholds, hence the tolerance.
    assert means[0] == pytest.approx(validation, abs=2e-3)
    assert means[1] != pytest.approx(validation, abs=1e-4)


def test_figures_agree_with_scikit_learn(prepared, tmp_path, monkeypatch):
    seen = []

    def remember(labels, predictions, lengths):
        seen.append((labels, predictions, lengths))
        return {"auc": None, "logloss": 0.0, "s_logloss": 0.0}

    monkeypatch.setattr("mtfx.experiments.rmtl.run.task_figures", remember)
    run(prepared, tmp_path, ["constant"])
    monkeypatch.undo()
    from mtfx.evaluation.ranking.ranking_metrics import task_figures

    assert len(seen) == 2
    for labels, predictions, lengths in seen:
        assert len(labels) == prepared.impressions["test"] == lengths.sum()
        figures = task_figures(labels, predictions, lengths)
        assert figures["auc"] == pytest.approx(roc_auc_score(labels, predictions))
        assert figures["logloss"] == pytest.approx(log_loss(labels, predictions), rel=1e-5)


def test_a_log_too_large_for_memory_is_read_anew_in_every_epoch(
    prepared, results, tmp_path, monkeypatch
):
    read = []

    def remember(*arguments, **options):
        read.append(arguments[0])
        return impression_batches(*arguments, **options)

    monkeypatch.setattr("mtfx.experiments.rmtl.run.impression_batches", remember)
    monkeypatch.setattr("mtfx.experiments.rmtl.run._MAX_IN_MEMORY", prepared.impressions["eval"])
    assert prepared.impressions["train"] > prepared.impressions["eval"]
    streamed = run(prepared, tmp_path, ["constant"])["constant"]
    assert set(read) == {prepared.splits["train"]}
    # The sessions come in another order, which changes the model a little.
    for task, figures in results["constant"]["metrics"].items():
        assert streamed["metrics"][task]["auc"] == pytest.approx(figures["auc"], abs=0.05)
        assert streamed["metrics"][task]["logloss"] == pytest.approx(figures["logloss"], abs=0.05)
