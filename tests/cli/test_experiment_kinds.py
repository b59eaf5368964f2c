"""What the experiments that act in a world take from the command line."""

import pytest

from mtfx.cli.__main__ import main
from mtfx.cli.experiment_kinds import GivenFlags, kind_of
from mtfx.experiments.registry import EXPERIMENTS
from mtfx.experiments.xmtf.trial import SMALL

DEFAULTS = {"seeds": None, "first_seed": 0, "scale": "paper", "settings": (), "batch_size": None}


def options_of(name, tmp_path, **given):
    (tmp_path / "world").mkdir(exist_ok=True)
    values = {
        **DEFAULTS,
        "world": str(tmp_path / "world"),
        "output_dir": str(tmp_path / "run"),
        **given,
    }
    flags = GivenFlags(values, frozenset({"world", "output_dir", *given}))
    return kind_of(name, flags).read(EXPERIMENTS[name], flags).options


@pytest.mark.parametrize(
    ("name", "seeds"), [("xmtf-table3", 20), ("xmtf-curves", 1), ("batchrl-table1", 5)]
)
def test_an_experiment_has_its_own_number_of_seeds(name, seeds, tmp_path):
    assert options_of(name, tmp_path).seeds == tuple(range(seeds))
    assert options_of(name, tmp_path, seeds=3).seeds == (0, 1, 2)
    assert options_of(name, tmp_path, seeds=2, first_seed=100).seeds == (100, 101)


def test_settings_and_scale_are_those_of_the_kind(tmp_path):
    given = {"settings": (("lambda", "0.9"),), "batch_size": 7, "scale": "small"}
    settings = dict(options_of("xmtf-table3", tmp_path, **given).settings)
    assert settings == {**SMALL, "lambda": 0.9, "batch_size": 7}
    assert options_of("xmtf-table3", tmp_path).settings == ()


@pytest.mark.parametrize(
    ("arguments", "message", "code"),
    [
        (["xmtf-table3"], "xmtf-table3 runs on a simulated world, online: --world is missing", 1),
        (["xmtf-table3", "--world", ".", "--epochs", "3"], "and takes no --epochs", 1),
        (["xmtf-table3", "--world", ".", "--set", "lambda=2"], "lambda must not be negative", 2),
        (["xmtf-table3", "--world", ".", "--set", "es_population=4"], "no setting 'es_pop", 2),
        (["rmtl-table1", "--world", "."], "rmtl-table1 runs on a log, and takes no --world", 1),
    ],
)
def test_wrong_usage_is_named_at_once(arguments, message, code, capfd, tmp_path):
    assert main(["experiment", *arguments, "--output-dir", str(tmp_path)]) == code
    error = " ".join(capfd.readouterr().err.split())
    assert message in error
    assert "Traceback" not in error
