"""The pushed model is found by its version, and a first run by its mark."""

from tfx.components.evaluator import executor as evaluator_executor
from tfx.types import standard_artifacts

from mtfx.components.cluster.current_model import (
    CurrentModel,
    EvaluatorExecutor,
    existing,
    latest_version,
)


def push(directory, version, *, whole=True):
    (directory / version / "variables").mkdir(parents=True)
    (directory / version / "variables" / "data").write_text(version)
    if whole:
        (directory / version / "saved_model.pb").write_text(version)


def model_at(path):
    model = standard_artifacts.Model()
    model.uri = str(path)
    return model


def run(push_dir, uri):
    executor = CurrentModel.EXECUTOR_SPEC.executor_class()
    model = model_at(uri)
    uri.mkdir()
    executor.Do({}, {"model": [model]}, {"push_dir": str(push_dir)})
    return model


def test_the_highest_whole_version_counts(tmp_path):
    assert latest_version(str(tmp_path / "none")) is None
    push(tmp_path, "9")
    push(tmp_path, "10")
    push(tmp_path, "11", whole=False)
    push(tmp_path, "notes")
    assert latest_version(str(tmp_path)) == "10"


def test_it_is_copied_as_a_trainer_writes_it(tmp_path):
    push(tmp_path / "pushed", "10")
    model = run(tmp_path / "pushed", tmp_path / "model")
    assert (tmp_path / "model" / "Format-Serving" / "variables" / "data").read_text() == "10"
    assert existing([model]) == [model]


def test_a_first_run_has_none(tmp_path, monkeypatch):
    model = run(tmp_path / "pushed", tmp_path / "model")
    candidate = model_at(tmp_path / "candidate")
    assert existing([model]) == []
    seen = []
    monkeypatch.setattr(
        evaluator_executor.Executor, "Do", lambda _, inputs, *rest: seen.append(inputs)
    )
    for baseline in ({"baseline_model": [model]}, {}):
        EvaluatorExecutor().Do({"model": [candidate], **baseline}, {}, {})
    assert seen == [{"model": [candidate], "baseline_model": []}] * 2
