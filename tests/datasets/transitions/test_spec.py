"""Manifests and specs: round trips, and what is refused."""

import json

import pytest

from mtfx.datasets.transitions.spec import MANIFEST, TransitionManifest, TransitionSpec
from mtfx.errors import DataError

SPEC = TransitionSpec(5, ("click", "like"), ("like",), 3)


def manifest():
    return TransitionManifest(SPEC, {"reward": {"watch_weight": 1.0}}, 10, 20, "1.2", 7)


def test_a_manifest_survives_its_file(tmp_path):
    manifest().write(str(tmp_path))
    assert TransitionManifest.read(str(tmp_path)) == manifest()
    assert [path.name for path in tmp_path.iterdir()] == [MANIFEST]


def test_a_directory_without_a_manifest_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"has no transitions\.json"):
        TransitionManifest.read(str(tmp_path))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda values: values.update(format_version=99), "format version 99"),
        (lambda values: values.update(colour="red"), "is damaged.*colour"),
        (lambda values: values.pop("spec"), "is damaged"),
        (lambda values: values["spec"].pop("state_dim"), "is damaged"),
        (lambda values: values["spec"].update(state_dim=0), "is damaged.*positive"),
    ],
)
def test_a_damaged_manifest_is_refused_by_name(tmp_path, change, words):
    manifest().write(str(tmp_path))
    path = tmp_path / MANIFEST
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))
    with pytest.raises(DataError, match=words) as caught:
        TransitionManifest.read(str(tmp_path))
    assert str(path) in str(caught.value)


def test_a_manifest_cut_short_is_refused(tmp_path):
    manifest().write(str(tmp_path))
    path = tmp_path / MANIFEST
    path.write_text(path.read_text()[:40])
    with pytest.raises(DataError, match="is damaged"):
        TransitionManifest.read(str(tmp_path))


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (TransitionSpec(6, ("click", "like"), ("like",), 3), "state size 5 instead of 6"),
        (
            TransitionSpec(5, ("click",), ("like",), 3),
            r"\['click', 'like'\] instead of \['click'\]",
        ),
        (TransitionSpec(5, ("like", "click"), ("like",), 3), "predictions"),
        (TransitionSpec(5, ("click", "like"), ("pay",), 3), "feedbacks"),
        (TransitionSpec(5, ("click", "like"), ("like",), 2), "action size 3 instead of 2"),
    ],
)
def test_transitions_of_another_world_are_refused(other, words):
    SPEC.check_is(SPEC, "here")
    with pytest.raises(DataError, match=words) as caught:
        SPEC.check_is(other, "here")
    assert str(caught.value).startswith("here")


@pytest.mark.parametrize(
    "values", [(0, ("a",), ("b",), 1), (1, (), ("b",), 1), (1, ("a",), ("b", "b"), 1)]
)
def test_an_impossible_spec_is_refused(values):
    with pytest.raises(ValueError, match="a transition's"):
        TransitionSpec(*values)
