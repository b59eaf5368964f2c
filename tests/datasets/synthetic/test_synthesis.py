import dataclasses
import hashlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtfx.datasets.synthetic import SyntheticConfig, auc_ceiling, synthesis, synthesize
from mtfx.datasets.synthetic.blocks import split_into_blocks

STANDARD_LOGS = ("log_standard_4_08_to_4_21_synthetic", "log_standard_4_22_to_5_08_synthetic")
SMALL = SyntheticConfig(profile="video", impressions=2_000, seed=5, with_truth=True)
KILLED = """
import os, sys
from mtfx.datasets.synthetic import SyntheticConfig, synthesize
synthesize(SyntheticConfig(impressions=2_000, seed=5, with_truth=True), sys.argv[1],
           progress=lambda rows: os._exit(9))
"""


def digests(directory: Path) -> dict[str, str]:
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(directory.iterdir())
    }


def standard_rows(directory: Path, config: SyntheticConfig) -> pl.DataFrame:
    read = pl.read_parquet if config.format == "parquet" else pl.read_csv
    if config.profile == "video":
        return pl.concat(read(directory / f"{stem}.{config.format}") for stem in STANDARD_LOGS)
    return read(directory / f"events.{config.format}").filter(pl.col("event") == "view")


@pytest.mark.parametrize("profile", ["video", "shop"])
def test_same_seed_same_bytes_whatever_the_workers(profile, tmp_path, monkeypatch):
    monkeypatch.setattr("mtfx.datasets.synthetic.blocks.BLOCK_ROWS", 500)
    config = dataclasses.replace(SMALL, profile=profile, impressions=4_000)
    assert len(split_into_blocks(config)) > 4
    synthesize(config, tmp_path / "a")
    synthesize(config, tmp_path / "b", workers=3)
    synthesize(dataclasses.replace(config, seed=6), tmp_path / "c")
    assert digests(tmp_path / "a") == digests(tmp_path / "b")
    first, other = digests(tmp_path / "a"), digests(tmp_path / "c")
    # The category tree of so small a shop may be the only file that happens to agree.
    assert all(first[name] != other[name] for name in first if name != "category_tree.csv")


def test_blocks_do_not_depend_on_each_other(tmp_path, monkeypatch):
    monkeypatch.setattr("mtfx.datasets.synthetic.blocks.BLOCK_ROWS", 500)
    synthesize(SMALL, tmp_path / "whole")
    in_order = synthesis._make
    made = []

    def remember(config, world, block, intercepts):
        made.append((config, world, block, intercepts))
        return in_order(config, world, block, intercepts)

    monkeypatch.setattr(synthesis, "_make", remember)
    synthesize(SMALL, tmp_path / "again")
    backwards = [in_order(*arguments) for arguments in reversed(made)]
    log = pl.concat(block.frames[STANDARD_LOGS[0]] for block in reversed(backwards))
    assert log.write_csv() == (tmp_path / "whole" / f"{STANDARD_LOGS[0]}.csv").read_text()


@settings(max_examples=12)
@given(
    config=st.builds(
        SyntheticConfig,
        profile=st.sampled_from(["video", "shop"]),
        impressions=st.integers(1_000, 2_500),
        seed=st.integers(0, 99),
        users=st.none() | st.integers(10, 1_000),
        items=st.none() | st.integers(10, 4_000),
        format=st.sampled_from(["csv", "csv.gz", "parquet"]),
        with_truth=st.booleans(),
        random_share=st.floats(0, 1),
    )
)
def test_any_config_gives_exact_counts_and_no_duplicates(config):
    with tempfile.TemporaryDirectory() as directory:
        target = Path(directory) / "data"
        reported: list[int] = []
        summary = synthesize(config, target, progress=reported.append)
        rows = standard_rows(target, config)
        assert rows.height == config.impressions
        assert rows.height <= sum(reported)
        user = "user_id" if config.profile == "video" else "visitorid"
        time = "time_ms" if config.profile == "video" else "timestamp"
        # At most one impression at a time, so no two rows can be equal.
        assert rows.select(user, time).is_unique().all()
        assert rows[user].n_unique() <= summary.users <= config.user_count
        assert {path.name for path in target.iterdir()} == {*summary.rows, "synthetic.json"}
        assert all(path.is_file() for path in summary.files)
        truth = [name for name in summary.rows if name.startswith("truth_")]
        assert bool(truth) == config.with_truth


def test_finished_data_is_not_made_again(tmp_path, monkeypatch):
    first = synthesize(SMALL, tmp_path / "data")
    monkeypatch.setattr(synthesis, "_write", None)
    again = synthesize(SMALL, tmp_path / "data")
    assert dataclasses.replace(again, seconds=0) == dataclasses.replace(first, seconds=0)


def test_other_data_is_never_overwritten(tmp_path):
    target = tmp_path / "data"
    target.mkdir()
    (target / "mine.txt").write_text("precious")
    with pytest.raises(ValueError, match=r"not empty and holds no synthetic\.json"):
        synthesize(SMALL, target)
    with pytest.raises(ValueError, match="is a file"):
        synthesize(SMALL, target / "mine.txt")
    assert (target / "mine.txt").read_text() == "precious"
    (target / "synthetic.json").write_text("{}")
    with pytest.raises(ValueError, match="is not a manifest"):
        synthesize(SMALL, target)


def test_data_of_another_config_or_changed_is_refused(tmp_path):
    summary = synthesize(SMALL, tmp_path / "data")
    with pytest.raises(ValueError, match="seed=5 instead of 6"):
        synthesize(dataclasses.replace(SMALL, seed=6), tmp_path / "data")
    with summary.files[0].open("a") as file:
        file.write("1,2\n")
    with pytest.raises(ValueError, match="was changed since"):
        synthesize(SMALL, tmp_path / "data")


def test_an_empty_directory_is_filled(tmp_path):
    (tmp_path / "data").mkdir()
    assert synthesize(SMALL, tmp_path / "data").rows


def test_an_error_leaves_nothing(tmp_path):
    def stop(rows: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        synthesize(SMALL, tmp_path / "data", progress=stop)
    assert list(tmp_path.iterdir()) == []


def test_a_killed_run_leaves_nothing_that_looks_whole(tmp_path):
    run = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path / "data")],
        env={**os.environ, "PYTHONPATH": str(Path(synthesis.__file__).parents[3])},
        check=False,
    )
    assert run.returncode == 9
    assert not (tmp_path / "data").exists()
    assert [path.name for path in tmp_path.iterdir()] == [".data.partial"]
    synthesize(SMALL, tmp_path / "data")
    synthesize(SMALL, tmp_path / "undisturbed")
    assert digests(tmp_path / "data") == digests(tmp_path / "undisturbed")
    assert not (tmp_path / ".data.partial").exists()


def test_formats_hold_the_same_rows(tmp_path):
    frames, ceilings = [], []
    for file_format in ("csv", "csv.gz", "parquet"):
        config = dataclasses.replace(SMALL, format=file_format)
        synthesize(config, tmp_path / file_format)
        frames.append(standard_rows(tmp_path / file_format, config).cast(pl.Int64))
        ceilings.append(auc_ceiling(tmp_path / file_format)["click"])
    assert frames[0].equals(frames[1])
    assert frames[0].equals(frames[2])
    np.testing.assert_allclose(ceilings, ceilings[0], rtol=1e-6)


def test_memory_does_not_grow_with_the_impressions(tmp_path, monkeypatch):
    """No more than one block's rows exist at a time, whatever the size."""
    monkeypatch.setattr("mtfx.datasets.synthetic.blocks.BLOCK_ROWS", 500)
    heights = []
    write = synthesis.TableFiles.append

    def observe(files, stem, frame):
        if stem.startswith("log_"):
            heights.append(frame.height)
        write(files, stem, frame)

    monkeypatch.setattr(synthesis.TableFiles, "append", observe)
    synthesize(dataclasses.replace(SMALL, impressions=8_000), tmp_path / "data")
    assert sum(heights) > 8_000
    assert max(heights) <= 600
