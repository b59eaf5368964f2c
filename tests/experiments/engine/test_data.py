import dataclasses

import pytest

from mtfx.experiments.engine.data import PreparedData

DATA = PreparedData(
    dataset="synthetic-video",
    tasks=("click", "long_view"),
    transform_graph="run/graph",
    splits={split: f"run/Split-{split}/*" for split in ("train", "eval", "test")},
    sessions={"train": 6, "eval": 2, "test": 2},
    impressions={"train": 60, "eval": 20, "test": 20},
    data_span=("2022-04-08 00:00:00+00:00", "2022-05-08 23:59:59+00:00"),
    fingerprint="0123456789ab",
)


@pytest.mark.parametrize("data", [DATA, dataclasses.replace(DATA, data_span=None)])
def test_json_round_trip(data):
    assert PreparedData.from_json(data.to_json()) == data


def test_a_missing_split_is_named():
    with pytest.raises(ValueError, match="lacks the splits test"):
        dataclasses.replace(DATA, splits={"train": "a", "eval": "b"})
