"""What pipelines start from, looked up in a real metadata store, and what they compare with."""

import logging
import shutil
from pathlib import Path

import pytest
from ml_metadata import metadata_store
from ml_metadata.proto import metadata_store_pb2 as mlmd
from tfx.types import standard_artifacts

from mtfx.components.blessed_models import (
    EarlierBlessedModelStrategy,
    LatestBlessedRankingStrategy,
)


@pytest.fixture
def store():
    config = mlmd.ConnectionConfig()
    config.fake_database.SetInParent()
    return metadata_store.MetadataStore(config)


def put(store, artifact, uri, context):
    """Registers an artifact of a pipeline; returns its id."""
    proto = artifact.mlmd_artifact
    proto.type_id = store.put_artifact_type(artifact.artifact_type)
    proto.uri, proto.state = str(uri), mlmd.Artifact.LIVE
    (number,) = store.put_artifacts([proto])
    link = mlmd.Attribution(artifact_id=number, context_id=context)
    store.put_attributions_and_associations([link], [])
    return number


def made(store, kind, inputs, output):
    """Registers the execution that made an artifact of others."""
    type_id = store.put_execution_type(mlmd.ExecutionType(name=kind))
    (execution,) = store.put_executions([mlmd.Execution(type_id=type_id)])
    events = [mlmd.Event(execution_id=execution, artifact_id=output, type=mlmd.Event.OUTPUT)]
    for key, number in inputs.items():
        event = mlmd.Event(execution_id=execution, artifact_id=number, type=mlmd.Event.INPUT)
        event.path.steps.add(key=key)
        events.append(event)
    store.put_events(events)


def plant(store, directory, about, blessed=1, described=("my_shop:SPEC", "1a")):
    """A ranking pipeline's artifacts; ``about`` is the model's mtfx.json, None for no file."""
    type_id = store.put_context_type(mlmd.ContextType(name="pipeline"))
    (context,) = store.put_contexts([mlmd.Context(type_id=type_id, name="ranking-mine")])
    sessions = standard_artifacts.Examples()
    sessions.set_string_custom_property("dataset", described[0])
    sessions.set_string_custom_property("description_version", described[1])
    examples = put(store, sessions, directory / "examples", context)
    for name in ("examples", "graph"):
        (directory / name).mkdir()
    graph = put(store, standard_artifacts.TransformGraph(), directory / "graph", context)
    made(store, "Transform", {"examples": examples}, graph)
    model = put(store, standard_artifacts.Model(), directory / "model", context)
    made(store, "Trainer", {"transform_graph": graph}, model)
    blessing = standard_artifacts.ModelBlessing()
    blessing.set_int_custom_property("blessed", blessed)
    blessing.set_int_custom_property("current_model_id", model)
    put(store, blessing, directory / "blessing", context)
    extra = Path(directory, "model", "Format-Serving", "assets.extra")
    extra.mkdir(parents=True)
    if about is not None:
        (extra / "mtfx.json").write_bytes(about)


def test_a_model_comes_with_the_graph_and_the_sessions_it_was_made_from(store, tmp_path):
    plant(store, tmp_path, b'{"columns": {"impression_ids": ["item_id"]}}')
    found = LatestBlessedRankingStrategy().resolve_artifacts(store, {})
    assert {key: artifact.uri for key, (artifact,) in found.items()} == {
        "model": str(tmp_path / "model"),
        "transform_graph": str(tmp_path / "graph"),
        "examples": str(tmp_path / "examples"),
    }


@pytest.mark.parametrize(
    ("about", "words"),
    [
        (None, r"mtfx\.json.* is not there, though the model is"),
        (b"", "is damaged, it holds no valid JSON"),
        (b"{", "is damaged, it holds no valid JSON"),
        (b"\xff", "is damaged, it holds no valid JSON"),
        (b"3", "an earlier version of MTFX wrote it"),
        (b"[]", "an earlier version of MTFX wrote it"),
        (b'{"config": {}}', "an earlier version of MTFX wrote it"),
    ],
)
def test_a_model_that_cannot_be_joined_with_a_policy_is_refused_before_anything_is_run(
    store, tmp_path, about, words
):
    plant(store, tmp_path, about)
    with pytest.raises(LookupError, match=rf"{words}.*Train it anew"):
        LatestBlessedRankingStrategy().resolve_artifacts(store, {})


@pytest.mark.parametrize("gone", ["model", "graph", "examples"])
def test_an_artifact_that_is_not_there_is_called_so_and_not_damaged(store, tmp_path, gone):
    plant(store, tmp_path, b'{"columns": {}}')
    shutil.rmtree(tmp_path / gone)
    with pytest.raises(LookupError, match=rf"{gone}, of the latest .* is not there: bring it back"):
        LatestBlessedRankingStrategy().resolve_artifacts(store, {})


def test_a_model_of_another_description_or_data_set_is_not_simulated(store, tmp_path):
    plant(store, tmp_path, b'{"columns": {}}')

    def resolve(*described):
        return LatestBlessedRankingStrategy(*described).resolve_artifacts(store, {})

    for described in (("my_shop:SPEC", "1a"), ()):
        assert resolve(*described)["model"][0].uri == str(tmp_path / "model")
    with pytest.raises(LookupError, match="description of my_shop:SPEC was changed since"):
        resolve("my_shop:SPEC", "2b")
    with pytest.raises(LookupError, match="is of the data set my_shop:SPEC, and the last"):
        resolve("kuairand", "")


def test_a_model_that_was_not_blessed_is_none(store, tmp_path):
    plant(store, tmp_path, b'{"columns": {}}', blessed=0)
    with pytest.raises(LookupError, match="has 1 ranking models, but none is blessed"):
        LatestBlessedRankingStrategy().resolve_artifacts(store, {})


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
