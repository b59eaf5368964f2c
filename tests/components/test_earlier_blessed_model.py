import pytest
from tfx.types import standard_artifacts

from components.earlier_blessed_model import EarlierBlessedModelStrategy


def model(number):
    artifact = standard_artifacts.Model()
    artifact.id = number
    return artifact


def blessing(number, of_model, blessed):
    artifact = standard_artifacts.ModelBlessing()
    artifact.id = number
    artifact.set_int_custom_property("blessed", blessed)
    artifact.set_int_custom_property("current_model_id", of_model)
    return artifact


def resolve(models, blessings, candidate):
    found = EarlierBlessedModelStrategy().resolve_artifacts(
        None,
        {"model": models, "model_blessing": blessings, "candidate": [model(candidate)]},
    )
    assert found["candidate"] == []
    return [artifact.id for artifact in found["model"]]


def test_the_latest_blessed_model_before_the_candidate_is_the_baseline():
    models = [model(1), model(4), model(7), model(9)]
    blessings = [blessing(2, 1, 1), blessing(5, 4, 1), blessing(8, 7, 0)]
    assert resolve(models, blessings, candidate=9) == [4]


def test_a_blessed_candidate_is_not_its_own_baseline():
    assert resolve([model(1)], [blessing(2, 1, 1)], candidate=1) == []


def test_no_model_at_all():
    assert resolve([], [], candidate=3) == []


def test_other_channels_are_refused():
    with pytest.raises(ValueError, match="candidate"):
        EarlierBlessedModelStrategy().resolve_artifacts(None, {"model": []})
