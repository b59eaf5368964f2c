"""Outputs of a run are found below its folder, whatever that was called when they were recorded."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtfx.pipelines.run_folder import in_run

OUTPUTS = st.sampled_from(
    [
        "pipeline/Trainer/model/5",
        "pipeline/Trainer/model/5/Format-Serving",
        "fusion/pipeline/SimulatorGen/simulator/12",
        "fusion/pipeline/Trainer-bcq/model/9",
        "serving/ranker/1700000000",
    ]
)
NAMES = st.lists(
    st.sampled_from(["run", "fusion", "pipeline", "serving", "a b", "[1]"]), min_size=1, max_size=3
)


@given(OUTPUTS, NAMES, NAMES)
def test_an_output_follows_its_runs_folder(tmp_path_factory, output, old, new):
    root = tmp_path_factory.mktemp("place")
    run = root / "new" / os.path.join(*new)
    (run / output).mkdir(parents=True)
    recorded = os.path.join(root, "old", *old, output)
    assert in_run(run, recorded) == str(run / output)
    assert in_run(run, str(run / output)) == str(run / output)


def test_a_copy_takes_its_own_output_though_the_original_is_there(tmp_path):
    for name in ("original", "copy"):
        (tmp_path / name / "fusion/pipeline/SimulatorGen/simulator/3").mkdir(parents=True)
    recorded = str(tmp_path / "original/fusion/pipeline/SimulatorGen/simulator/3")
    assert in_run(tmp_path / "copy", recorded).startswith(str(tmp_path / "copy"))


def test_what_is_gone_is_looked_for_in_the_run_and_not_elsewhere(tmp_path):
    (tmp_path / "original/pipeline/Trainer/model/3").mkdir(parents=True)
    found = in_run(tmp_path / "copy", str(tmp_path / "original/pipeline/Trainer/model/3"))
    assert found == str(tmp_path / "copy/pipeline/Trainer/model/3")


@pytest.mark.parametrize("path", ["", "gs://bucket/run/pipeline/Trainer/model/3", "/data/model"])
def test_what_is_no_output_of_a_run_stays(tmp_path, path):
    assert in_run(tmp_path, path) == path
