"""The paths in a run's metadata follow its folder: renamed, copied, or reached by another name."""

import shutil

import pytest
from ml_metadata import metadata_store
from ml_metadata.proto import metadata_store_pb2 as mlmd
from tfx.orchestration.metadata import sqlite_metadata_connection_config

from mtfx.pipelines.moved_run import follow


class Run:
    """A run's folder with real metadata, as a ranking and a fusion leave it."""

    def __init__(self, folder):
        self.folder = folder
        self.connection = sqlite_metadata_connection_config(str(folder / "metadata.db"))

    @property
    def store(self):
        return metadata_store.MetadataStore(self.connection)

    def make(self, node, key, *, part="pipeline", base=None, uri=None, properties=()):
        """Registers an execution and what it made; returns the artifact's id."""
        store = self.store
        kind = store.put_execution_type(mlmd.ExecutionType(name=f"tfx.{node}"))
        (execution,) = store.put_executions([mlmd.Execution(type_id=kind)])
        place = uri or f"{base or self.folder}/{part}/{node}/{key}/{execution}"
        of = store.put_artifact_type(mlmd.ArtifactType(name="Model"))
        artifact = mlmd.Artifact(type_id=of, uri=place, state=mlmd.Artifact.LIVE)
        for name, value in properties:
            artifact.custom_properties[name].string_value = value
        (number,) = store.put_artifacts([artifact])
        event = mlmd.Event(execution_id=execution, artifact_id=number, type=mlmd.Event.OUTPUT)
        event.path.steps.add(key=key)
        store.put_events([event])
        return number

    def artifact(self, number):
        [found] = self.store.get_artifacts_by_id([number])
        return found

    def uris(self):
        return [artifact.uri for artifact in self.store.get_artifacts()]


def rename(source, target, root):
    """Moves a folder, to below itself or above itself too."""
    passing = root / "passing"
    source.rename(passing)
    shutil.rmtree(target, ignore_errors=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    passing.rename(target)


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "first"
    folder.mkdir()
    found = Run(folder)
    found.make("Trainer", "model")
    found.make("Trainer-bcq", "model", part="fusion/pipeline")
    return found


def test_a_run_that_stays_is_left_alone(run):
    before = run.store.get_artifacts()
    follow(run.connection)
    assert run.store.get_artifacts() == before


@pytest.mark.parametrize("name", ["second", "fusion", "deep/er/pipeline", "first/in/it"])
def test_what_was_made_follows_a_renamed_folder(run, name, tmp_path):
    target = tmp_path / name
    rename(run.folder, target, tmp_path)
    moved = Run(target)
    follow(moved.connection)
    assert moved.uris() == [
        f"{target}/pipeline/Trainer/model/1",
        f"{target}/fusion/pipeline/Trainer-bcq/model/2",
    ]
    # And back again.
    rename(target, run.folder, tmp_path)
    follow(run.connection)
    assert run.uris()[0] == f"{run.folder}/pipeline/Trainer/model/1"


def test_a_copy_does_not_lead_to_its_original_which_stays_as_it_is(run):
    before = run.uris()
    shutil.copytree(run.folder, run.folder.parent / "copy")
    copy = Run(run.folder.parent / "copy")
    follow(copy.connection)
    assert all(uri.startswith(f"{copy.folder}/") for uri in copy.uris())
    assert run.uris() == before


def test_a_folder_that_moved_twice_and_went_on_in_between_follows_whole(run):
    for name in ("second", "third"):
        run.folder.rename(run.folder.parent / name)
        run = Run(run.folder.parent / name)
        run.make("Pusher", "pushed_model")
    follow(run.connection)
    assert {uri.partition("/pipeline/")[0] for uri in run.uris()} == {
        str(run.folder),
        f"{run.folder}/fusion",
    }


def test_properties_follow_and_what_lies_elsewhere_stays(run):
    place = f"{run.folder}/serving/ranking/17"
    pushed = run.make("Pusher", "pushed_model", properties=[("pushed_destination", place)])
    other = run.make("tfx.dsl.components.common.importer.Importer", "result", uri="/else/model/9")
    beside = f"{run.folder}-2/pipeline/Trainer/model/3"
    neighbour = run.make("Importer", "result", uri=beside)
    target = run.folder.parent / "second"
    run.folder.rename(target)
    moved = Run(target)
    follow(moved.connection)
    properties = moved.artifact(pushed).custom_properties
    assert properties["pushed_destination"].string_value == f"{target}/serving/ranking/17"
    assert moved.artifact(other).uri == "/else/model/9"
    assert moved.artifact(neighbour).uri == beside


def test_another_name_of_the_same_folder_is_no_move(run):
    link = run.folder.parent / "link"
    link.symlink_to(run.folder)
    before = run.uris()
    follow(Run(link).connection)
    assert run.uris() == before


def test_a_run_in_a_folder_named_fusion_follows(tmp_path):
    folder = tmp_path / "fusion"
    folder.mkdir()
    run = Run(folder)
    run.make("Trainer", "model")
    target = tmp_path / "other"
    folder.rename(target)
    moved = Run(target)
    follow(moved.connection)
    assert moved.uris() == [f"{target}/pipeline/Trainer/model/1"]


def test_a_new_run_has_nothing_that_could_follow(tmp_path):
    run = Run(tmp_path)
    follow(run.connection)
    assert run.uris() == []
