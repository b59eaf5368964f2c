import dataclasses
from pathlib import Path

import polars as pl
import pytest

from mtfx.datasets.synthetic import SynthesisSummary, SyntheticConfig, synthesize

SHARED = Path(__file__).parents[4] / "shared" / "data"


@dataclasses.dataclass(frozen=True)
class Written:
    config: SyntheticConfig
    directory: Path
    summary: SynthesisSummary

    def read(self, *stems: str) -> pl.DataFrame:
        return pl.concat(
            pl.read_csv(self.directory / f"{stem}.csv", infer_schema_length=None) for stem in stems
        )


def _write(tmp_path_factory, profile) -> Written:
    config = SyntheticConfig(profile=profile, impressions=60_000, seed=3, with_truth=True)
    directory = tmp_path_factory.mktemp(profile) / "data"
    return Written(config, directory, synthesize(config, directory))


@pytest.fixture(scope="session")
def video(tmp_path_factory) -> Written:
    return _write(tmp_path_factory, "video")


@pytest.fixture(scope="session")
def shop(tmp_path_factory) -> Written:
    return _write(tmp_path_factory, "shop")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    if not SHARED.is_dir():
        pytest.skip(f"real extracts not found at {SHARED}")
    return SHARED
