"""The paths of a fusion run, and what it asks of the ranking run there."""

import json
from pathlib import Path

import pytest

from mtfx.errors import UserError
from mtfx.pipelines.fusion_folder import FusionFolder


def test_outputs_go_below_the_run(tmp_path):
    folder = FusionFolder(str(tmp_path))
    assert folder.report_dir == tmp_path / "fusion" / "report"
    assert Path(folder.ranker_dir) == tmp_path / "serving" / "ranker"
    assert folder.log_path == tmp_path / "logs" / "mtfx.log"
    assert folder.served_simulator == ""
    assert FusionFolder.from_json(folder.to_json()) == folder


def test_the_ranking_run_says_where_its_log_is(tmp_path):
    folder = FusionFolder(str(tmp_path))
    with pytest.raises(UserError, match="holds no run of the ranking pipeline"):
        folder.check_run()
    folder.ranking_summary.parent.mkdir()
    folder.metadata_path.touch()
    data = {"dataset": "kuairand", "data_dir": "data", "pattern": "day-{SPAN}/*", "span": 4}
    folder.ranking_summary.write_text(json.dumps({"config": {"data": data}}))
    folder.check_run()
    assert folder.ranking_run() == data
    assert folder.log_dir == str(Path("data/day-4").resolve())
    folder.ranking_summary.write_text("{}")
    with pytest.raises(UserError, match="the report of `mtfx ranking`, has no"):
        folder.ranking_run()
