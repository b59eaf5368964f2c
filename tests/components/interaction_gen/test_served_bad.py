"""Served requests that cannot be used: what is known of the cause is what is said."""

import dataclasses

import pyarrow as pa
import pyarrow.parquet
import pytest

from mtfx.components.interaction_gen.config import ServedInteractionConfig
from mtfx.datasets.transitions.reader import JOINED_COLUMNS
from mtfx.errors import DataError
from tests.transition_batches import SPEC, random_batch


@pytest.fixture
def served(tmp_path):
    """Returns a function that writes a log, some of its columns changed, and makes its config."""
    directory = tmp_path / "served [nov]"
    directory.mkdir()

    def write(batch, max_bad_share=0.01, **changes):
        flat = batch.predictions.reshape(-1).tolist()
        counts = batch.candidate_count.tolist()
        columns = {"predictions": []}
        for count in counts:
            columns["predictions"].append(flat[: count * 3])
            flat = flat[count * 3 :]
        for field in dataclasses.fields(batch):
            if field.name not in ("predictions", *JOINED_COLUMNS):
                columns[field.name] = getattr(batch, field.name).tolist()
        pyarrow.parquet.write_table(pa.table(columns | changes), directory / "part-0.parquet")
        config = ServedInteractionConfig(SPEC, str(tmp_path / "bad"), max_bad_share=max_bad_share)
        return directory, config

    return write


def test_a_log_is_read_out_of_a_directory_of_any_name(serve, served):
    generated = serve(*served(random_batch(sessions=30)))
    assert sum(split.transitions for split in generated.summary.splits.values()) > 50


@pytest.mark.parametrize("limit", [0.01, 1.0])
def test_requests_that_are_all_bad_are_refused_by_their_reason(serve, served, tmp_path, limit):
    batch = random_batch(sessions=30)
    states = [[1.0]] * batch.size
    with pytest.raises(DataError) as caught:
        serve(*served(batch, max_bad_share=limit, state=states))
    message = str(caught.value)
    assert f"{batch.size} x state has 1 values instead of 5" in message
    assert "part-0.parquet" in message
    assert str(tmp_path / "bad" / "span-0.csv") in message
    assert len((tmp_path / "bad" / "span-0.csv").read_text().splitlines()) == batch.size + 1


def test_requests_that_are_all_too_young_are_said_to_be(serve, served):
    batch = random_batch(sessions=1)
    with pytest.raises(DataError, match=r"belong to sessions that may go on"):
        serve(*served(batch.rows(slice(0, 1))))


def test_text_that_is_not_utf8_costs_its_request(serve, served):
    batch = random_batch(sessions=60)
    values = [name.encode() for name in batch.user_id.tolist()]
    values[7] = b"\xff\xfe"
    bytes_ = pa.array(values)
    text = pa.Array.from_buffers(pa.string(), len(values), bytes_.buffers())
    generated = serve(*served(batch, max_bad_share=0.2, user_id=text))
    assert "user_id is not UTF-8" in generated.summary.quarantined
