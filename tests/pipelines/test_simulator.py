"""``mtfx simulator``: what it refuses at once; the documented commands run it for real."""

from typing import get_args

import pytest

from mtfx.cli.__main__ import main
from mtfx.cli.simulator import PREDICTIONS
from mtfx.environments.simulator.fitting.config import PredictionKind, WorldConfig
from mtfx.pipelines.fusion_config import RESPONSES, FusionPipelineConfig
from mtfx.pipelines.simulator import create_simulator_pipeline


def test_the_flags_name_what_world_building_knows():
    for response in RESPONSES:
        WorldConfig("mine", "", response=response)  # type: ignore[arg-type]
    assert get_args(PredictionKind) == PREDICTIONS


def test_a_directory_without_a_ranking_run_says_what_to_run_first(tmp_path, capsys):
    assert main(["simulator", "--run-dir", str(tmp_path)]) == 1
    error = capsys.readouterr().err.replace("\n", " ")
    assert "no run of the ranking pipeline" in error
    assert "mtfx ranking" in error


@pytest.mark.parametrize(("flag", "value"), [("--users", "0"), ("--pool", "0"), ("--seed", "-1")])
def test_wrong_values_are_named(tmp_path, capsys, flag, value):
    assert main(["simulator", "--run-dir", str(tmp_path), flag, value]) == 1
    assert f"{flag} " in capsys.readouterr().err


def test_the_published_response_is_of_the_models_predictions(tmp_path, capsys):
    flags = ["--response", "published", "--predictions", "true"]
    assert main(["simulator", "--run-dir", str(tmp_path), *flags]) == 1
    assert "--response published and --predictions true exclude" in capsys.readouterr().err
    with pytest.raises(ValueError, match="cannot be ranked by true ones"):
        WorldConfig("mine", "", response="published", predictions="true")


def test_it_is_the_first_two_stages_under_the_fusion_pipelines_name(tmp_path):
    (tmp_path / "report").mkdir()
    summary = '{"config": {"data": {"dataset": "synthetic-video", "data_dir": "video"}}}'
    (tmp_path / "report" / "summary.json").write_text(summary)
    from mtfx.pipelines.fusion import create_pipeline

    config = FusionPipelineConfig(run_dir=str(tmp_path))
    alone, whole = create_simulator_pipeline(config), create_pipeline(config)
    stages = [stage.id for stage in alone.components]
    assert stages == ["LatestBlessedRanking", "SimulatorGen"]
    assert [stage.id for stage in whole.components][:2] == stages
    assert alone.pipeline_info.pipeline_name == whole.pipeline_info.pipeline_name
    configs = [pipeline.components[1].exec_properties["config"] for pipeline in (alone, whole)]
    assert configs[0] == configs[1]
    true = create_simulator_pipeline(config, "true").components[1].exec_properties["config"]
    assert WorldConfig.from_json(true).predictions == "true"
