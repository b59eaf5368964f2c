"""The yardstick's table, and that what was measured is not measured again."""

import io
import json

import numpy as np
import pytest
from click.testing import CliRunner

from benchmarks.ranking_quality import TREES, Measured, Measurement, main, table
from mtfx.datasets.spec import Task
from mtfx.evaluation.ranking.paired_comparison import RankerFigures
from mtfx.pipelines.config import RankingPipelineConfig
from mtfx.pipelines.options import DataOptions

TASKS = (Task("click"), Task("pay"), Task("watch_time_ms", kind="regression"))


def measured(auc, seconds):
    figures = {
        "click": RankerFigures(auc=auc, logloss=0.6, normalised_entropy=0.9),
        "pay": RankerFigures(logloss=0.1),
        "watch_time_ms": RankerFigures(rmse=1234.56, r_squared=0.25),
    }
    return Measured(figures, seconds)


def test_means_and_deviations_are_those_of_the_seeds():
    runs = {"mmoe": [measured(0.72, 60), measured(0.73, 80)], TREES: [measured(0.74, 300)]}
    lines = [line.split() for line in table(TASKS, runs).splitlines()]
    assert lines[0][:3] == ["task", "ranker", "AUC"]
    assert lines[1][:5] == ["click", "mmoe", "0.7250", "±", f"{np.std([0.72, 0.73], ddof=1):.4f}"]
    assert lines[1][-3:] == ["70", "±", "14"]
    assert lines[2] == ["trees", "0.7400", "0.60000", "0.9000", "300"]
    assert lines[4] == ["trees", "\N{EN DASH}", "0.10000", "\N{EN DASH}", "300"]
    assert lines[5][:3] == ["task", "ranker", "RMSE"]
    assert lines[7] == ["trees", "1,234.6", "0.2500", "300"]


def test_a_result_is_remembered_for_its_split_and_artifacts(tmp_path):
    data = DataOptions("retailrocket", "data", tasks=("click",))
    configs = {
        name: [RankingPipelineConfig(data, str(tmp_path / "run"), seed=seed) for seed in (0, 1)]
        for name in ("mmoe", "ple")
    }

    class Counted(Measurement):
        made = 0

        def _model(self, config):
            return self._remembered(f"{self._split} {config.seed}", self.measure)

        _trees = _model

        def measure(self):
            self.made += 1
            return measured(0.7, 1.0)

    first, terminal = Counted(tmp_path / "results.json", "eval"), io.StringIO()
    found = first.all(configs, True, terminal)
    assert {name: len(runs) for name, runs in found.items()} == {"mmoe": 2, "ple": 2, TREES: 2}
    assert first.made == 2
    assert "mmoe, seed 1: click 0.7000" in terminal.getvalue()
    again = Counted(tmp_path / "results.json", "eval")
    assert again.all(configs, False, terminal) == {name: found[name] for name in configs}
    assert again.made == 0
    other = Counted(tmp_path / "results.json", "test")
    other.all(configs, False, terminal)
    assert other.made == 2
    assert len(json.loads((tmp_path / "results.json").read_text())) == 4


def test_a_data_set_needs_its_directory():
    done = CliRunner().invoke(main, ["kuairand"])
    assert done.exit_code == 2
    assert "DATASET and DATA_DIR" in done.output


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_small_log_is_measured_with_both(tmp_path):
    arguments = ["--small", "--output-dir", str(tmp_path), "--seeds", "3"]
    outputs = []
    for _ in range(2):
        done = CliRunner().invoke(main, arguments, catch_exceptions=False)
        assert done.exit_code == 0
        outputs.append(done.output)
    assert "The eval split; nothing has looked at the test split." in outputs[0]
    assert "mmoe, seed 3: click 0." in outputs[0]
    assert outputs[0] == outputs[1]
