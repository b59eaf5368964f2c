import logging

import pytest
from tfx.types import standard_artifacts

from mtfx.components.earlier_blessed_model import EarlierBlessedModelStrategy


@pytest.fixture
def model(tmp_path):
    """Makes a model's artifact, with its folder or without."""

    def make(number, there=True):
        artifact = standard_artifacts.Model()
        artifact.id = number
        artifact.uri = str(tmp_path / f"model-{number}")
        if there:
            (tmp_path / f"model-{number}").mkdir(exist_ok=True)
        return artifact

    return make


def blessing(number, of_model, blessed):
    artifact = standard_artifacts.ModelBlessing()
    artifact.id = number
    artifact.set_int_custom_property("blessed", blessed)
    artifact.set_int_custom_property("current_model_id", of_model)
    return artifact


def resolve(models, blessings, candidate):
    found = EarlierBlessedModelStrategy().resolve_artifacts(
        None,
        {"model": models, "model_blessing": blessings, "candidate": [candidate]},
    )
    assert found["candidate"] == []
    return [artifact.id for artifact in found["model"]]


def test_the_latest_blessed_model_before_the_candidate_is_the_baseline(model):
    models = [model(1), model(4), model(7), model(9)]
    blessings = [blessing(2, 1, 1), blessing(5, 4, 1), blessing(8, 7, 0)]
    assert resolve(models, blessings, candidate=model(9)) == [4]


def test_a_blessed_candidate_is_not_its_own_baseline(model):
    assert resolve([model(1)], [blessing(2, 1, 1)], candidate=model(1)) == []


def test_a_model_whose_files_were_removed_is_no_baseline(model, caplog):
    """The Evaluator would fail on it after every training, and no run could come to an end."""
    models = [model(1), model(4, there=False), model(9)]
    blessings = [blessing(2, 1, 1), blessing(5, 4, 1)]
    with caplog.at_level(logging.WARNING):
        assert resolve(models, blessings, candidate=model(9)) == [1]
    assert "model-4 is not there any more" in caplog.text


def test_no_model_at_all(model):
    assert resolve([], [], candidate=model(3)) == []


def test_other_channels_are_refused():
    with pytest.raises(ValueError, match="candidate"):
        EarlierBlessedModelStrategy().resolve_artifacts(None, {"model": []})
