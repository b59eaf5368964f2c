"""Transition files to a table: its order, its limits, and every kind of bad file and record."""

import csv
import dataclasses
import gzip

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
import tensorflow as tf

from mtfx.datasets.transitions.codec import encode_transitions
from mtfx.datasets.transitions.reader import read_blocks
from mtfx.datasets.transitions.spec import TransitionManifest, TransitionSpec
from mtfx.datasets.transitions.table import load_transitions
from mtfx.errors import DataError
from tests.transition_batches import SPEC, random_batch

_GZIP = tf.io.TFRecordOptions(compression_type="GZIP")


def write(path, records):
    path.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(path), _GZIP) as writer:
        for record in records:
            writer.write(record)
    return path


@pytest.fixture
def files(tmp_path):
    """40 sessions in two files of an artifact, in order of time but with rows shuffled."""
    TransitionManifest(SPEC, {}, 1, 2).write(str(tmp_path))
    batch = random_batch(sessions=40)
    later = batch.timestamp_ms >= np.median(batch.timestamp_ms[batch.step == 0])
    random = np.random.default_rng(0)
    for number, part in enumerate((~later, later)):
        rows = random.permutation(np.flatnonzero(part))
        write(
            tmp_path / "Split-train" / f"data-{number}.gz",
            encode_transitions(batch.rows(rows), SPEC),
        )
    return tmp_path, batch


def pattern(directory):
    return str(directory / "Split-train" / "*")


def with_change(batch, row, **values):
    """The batch's records with one row's columns changed."""
    columns = {}
    for name, value in values.items():
        columns[name] = getattr(batch, name).copy()
        columns[name][row] = value
    return encode_transitions(dataclasses.replace(batch, **columns), SPEC)


def test_the_table_holds_whole_sessions_in_order(files):
    directory, batch = files
    table = load_transitions(pattern(directory), SPEC)
    assert table.num_transitions == batch.size
    assert table.num_sessions == 40
    # random_batch is in order of time and step.
    for name, column in {
        "states": batch.state,
        "actions": batch.action,
        "rewards": batch.reward,
        "next_states": batch.next_state,
        "discounts": batch.discount,
        "steps": batch.step,
        "log_density": batch.log_density,
        "feedback": batch.feedback,
        "watch_s": batch.watch_s,
    }.items():
        np.testing.assert_array_equal(getattr(table, name), column, err_msg=name)
    np.testing.assert_array_equal(table.user_ids, batch.user_id)
    _, sessions = np.unique(batch.session_id, return_inverse=True)
    np.testing.assert_array_equal(table.session_index, sessions)
    assert load_transitions(pattern(directory)).spec == SPEC


@pytest.mark.parametrize("limit", [1, 20, 60, 10_000])
def test_the_latest_whole_sessions_are_kept(files, limit):
    directory, batch = files
    table = load_transitions(pattern(directory), SPEC, max_transitions=limit)
    number = table.num_transitions
    assert number <= limit or table.num_sessions == 1
    np.testing.assert_array_equal(table.rewards, batch.reward[-number:])
    assert table.steps[0] == 0
    # One session more would be too many.
    if number < batch.size:
        longer = batch.session_id[-number - 1]
        assert number + (batch.session_id == longer).sum() > limit


def test_what_follows_an_end_cannot_reach_a_target(tmp_path):
    batch = random_batch()
    row = int(np.flatnonzero(batch.discount == 0)[0])
    write(tmp_path / "data.gz", with_change(batch, row, next_state=np.nan))
    table = load_transitions(str(tmp_path / "data.gz"), SPEC)
    assert table.num_quarantined == 0
    assert np.isfinite(table.next_states).all()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"reward": np.nan}, "reward is NaN or infinite"),
        ({"reward": np.inf}, "reward is NaN or infinite"),
        ({"action": 1.2}, r"action is outside \[-1, 1\]"),
        ({"action": np.nan}, "action is NaN"),
        ({"state": np.inf}, "state is NaN or infinite"),
        ({"next_state": np.nan}, "next_state is NaN"),
        ({"discount": 1.5}, r"discount is not in \[0, 1\]"),
        ({"feedback": 0.5}, "feedback is not 0 or 1"),
        ({"watch_s": -1}, "watch_s is negative"),
        ({"chosen": 99}, "chosen is no index of a candidate"),
        ({"log_density": np.inf}, "log_density is infinite"),
        ({"session_id": ""}, "session_id is empty"),
        ({"step": -1}, "step is negative"),
        ({"timestamp_ms": 0}, "timestamp_ms: time before 2000"),
        ({"timestamp_ms": 1_700_000_000}, "timestamp_ms: .* in s instead of ms"),
        ({"timestamp_ms": 1_700_000_000_000_000}, "timestamp_ms: .* in us instead of ms"),
    ],
)
def test_a_bad_record_is_named(tmp_path, change, reason):
    batch = random_batch()
    row = int(np.flatnonzero(batch.discount > 0)[1])
    path = write(tmp_path / "data.gz", with_change(batch, row, **change))
    with pytest.raises(DataError, match=reason) as caught:
        load_transitions(str(path), SPEC)
    assert f"{path}, record {row + 1}: " in str(caught.value)


def changed_proto(record, name, **feature):
    example = tf.train.Example.FromString(record)
    example.features.feature[name].CopyFrom(tf.train.Feature(**feature))
    return example.SerializeToString()


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda record: b"\xff\xff\xff", "is no tf.Example"),
        (lambda record: b"", "state is missing|is missing"),
        (
            lambda record: changed_proto(
                record, "state", float_list=tf.train.FloatList(value=[1.0] * 4)
            ),
            "state has 4 values instead of 5",
        ),
        (
            lambda record: changed_proto(
                record, "step", float_list=tf.train.FloatList(value=[1.0])
            ),
            "step is a float_list instead of a int64_list",
        ),
        (
            lambda record: changed_proto(
                record, "predictions", float_list=tf.train.FloatList(value=[0.5] * 4)
            ),
            "predictions are not 3 values for each candidate",
        ),
        (
            lambda record: changed_proto(
                record, "candidate_count", int64_list=tf.train.Int64List(value=[0])
            ),
            "the candidate set is empty",
        ),
    ],
)
def test_a_record_of_another_shape_is_quarantined(tmp_path, spoil, reason):
    batch = random_batch(sessions=60)
    records = encode_transitions(batch, SPEC)
    records[7] = spoil(records[7])
    path = write(tmp_path / "data.gz", records)
    quarantine = tmp_path / "bad" / "records.csv"
    table = load_transitions(str(path), SPEC, quarantine_path=str(quarantine))
    assert table.num_quarantined == 1
    # What follows the bad record in its session is left out: it would be a session with a gap.
    following = (batch.session_id == batch.session_id[7]) & (batch.step > batch.step[7])
    assert table.num_cut == following.sum()
    kept = np.delete(batch.reward, [7, *np.flatnonzero(following)])
    np.testing.assert_array_equal(table.rewards, kept)
    [row] = csv.DictReader(quarantine.open())
    assert (row["file"], row["record"]) == (str(path), "8")
    assert any(part in row["reason"] for part in reason.split("|"))


def test_the_share_of_bad_records_is_limited(tmp_path):
    batch = random_batch(sessions=60)
    rewards = batch.reward.copy()
    rewards[:4] = np.nan
    bad = dataclasses.replace(batch, reward=rewards)
    path = write(tmp_path / "data.gz", encode_transitions(bad, SPEC))
    with pytest.raises(DataError, match=rf"4 of {batch.size} transitions.*more than 1\.0%"):
        load_transitions(str(path), SPEC, quarantine_path=str(tmp_path / "bad.csv"))
    assert len((tmp_path / "bad.csv").read_text().splitlines()) == 5
    assert load_transitions(str(path), SPEC, max_bad_share=0.1).num_quarantined == 4


@pytest.mark.parametrize("cut", [0, 1, 5, 30, 300, -300, -9, -4])
def test_a_truncated_gzip_is_refused(tmp_path, cut):
    path = write(tmp_path / "data.gz", encode_transitions(random_batch(), SPEC))
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(DataError, match=r"data\.gz is damaged or truncated"):
        load_transitions(str(path), SPEC)


def test_a_plain_file_cut_within_a_record_is_refused(tmp_path):
    packed = write(tmp_path / "data.gz", encode_transitions(random_batch(), SPEC))
    path = tmp_path / "data.tfrecord"
    path.write_bytes(gzip.decompress(packed.read_bytes()))
    assert load_transitions(str(path), SPEC).num_transitions == random_batch().size
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(DataError, match="a record is cut short"):
        load_transitions(str(path), SPEC)


def test_files_of_another_model_are_refused_before_they_are_read(files):
    directory, _ = files
    other = TransitionSpec(5, ("click", "like"), ("click", "like"), 3)
    with pytest.raises(DataError, match=r"predictions \['click', 'like', 'watch'\] instead of"):
        load_transitions(pattern(directory), other)
    # Records that contradict their manifest are all bad.
    TransitionManifest(dataclasses.replace(SPEC, action_dim=2), {}, 1, 2).write(str(directory))
    with pytest.raises(DataError, match="record 1: action has 3 values instead of 2"):
        load_transitions(pattern(directory))


def test_nothing_to_read_is_said(tmp_path):
    with pytest.raises(DataError, match="no transition file matches"):
        load_transitions(str(tmp_path / "*"), SPEC)
    path = write(tmp_path / "data.gz", [])
    with pytest.raises(DataError, match="hold no transitions"):
        load_transitions(str(path), SPEC)
    with pytest.raises(DataError, match=r"no transitions\.json beside"):
        load_transitions(str(path))


def test_limits_out_of_range_are_refused(files):
    directory, _ = files
    with pytest.raises(ValueError, match="max_transitions"):
        load_transitions(pattern(directory), SPEC, max_transitions=0)
    with pytest.raises(ValueError, match="max_bad_share"):
        load_transitions(pattern(directory), SPEC, max_bad_share=2)


def parquet_of(batch, path, **changes):
    """The batch as Parquet, lists for what has several values."""
    counts = batch.candidate_count
    flat = np.split(batch.predictions.reshape(-1), np.cumsum(counts * 3)[:-1])
    columns = {"predictions": [list(map(float, part)) for part in flat]}
    for field in dataclasses.fields(batch):
        if field.name != "predictions":
            columns[field.name] = getattr(batch, field.name).tolist()
    pyarrow.parquet.write_table(pa.table(columns | changes), path)


def test_parquet_gives_the_same_table(tmp_path):
    batch = random_batch()
    parquet_of(batch, tmp_path / "data.parquet")
    write(tmp_path / "data.gz", encode_transitions(batch, SPEC))
    left = load_transitions(str(tmp_path / "data.parquet"), SPEC)
    right = load_transitions(str(tmp_path / "data.gz"), SPEC)
    for field in dataclasses.fields(left):
        np.testing.assert_array_equal(
            getattr(left, field.name), getattr(right, field.name), err_msg=field.name
        )


def test_a_bad_row_of_parquet_is_quarantined(tmp_path):
    batch = random_batch(sessions=60)
    states = batch.state.tolist()
    states[4], states[9] = [1.0], None
    rewards = batch.reward.tolist()
    rewards[20] = None
    parquet_of(batch, tmp_path / "data.parquet", state=states, reward=rewards)
    quarantine = tmp_path / "bad.csv"
    load_transitions(
        str(tmp_path / "data.parquet"), SPEC, max_bad_share=0.1, quarantine_path=str(quarantine)
    )
    rows = [(row["record"], row["reason"]) for row in csv.DictReader(quarantine.open())]
    assert rows == [
        ("5", "state has 1 values instead of 5"),
        ("10", "state has 0 values instead of 5"),
        ("21", "reward has 0 values instead of 1"),
    ]


def test_records_that_are_all_bad_are_refused_by_their_reason(tmp_path):
    batch = random_batch()
    parquet_of(batch, tmp_path / "data.parquet", state=[[1.0]] * batch.size)
    with pytest.raises(DataError, match="state has 1 values instead of 5"):
        load_transitions(str(tmp_path / "data.parquet"), SPEC, max_bad_share=1.0)


def test_a_useless_parquet_file_is_refused(tmp_path):
    path = tmp_path / "data.parquet"
    path.write_bytes(b"PAR1 no")
    with pytest.raises(DataError, match="damaged or no Parquet file"):
        load_transitions(str(path), SPEC)
    pyarrow.parquet.write_table(pa.table({"state": [[1.0]]}), path)
    with pytest.raises(DataError, match=r"lacks the columns .*action"):
        load_transitions(str(path), SPEC)
    batch = random_batch()
    parquet_of(batch, path, reward=["much"] * batch.size)
    with pytest.raises(DataError, match="column reward is of type string"):
        load_transitions(str(path), SPEC)


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
def test_times_of_parquet_are_read_by_their_type(tmp_path, unit):
    batch = random_batch()
    parquet_of(batch, tmp_path / "plain.parquet")
    milliseconds = pa.array(batch.timestamp_ms.tolist(), pa.timestamp("ms"))
    times = milliseconds.cast(pa.timestamp(unit))
    watched = pa.array([round(1000 * s) for s in batch.watch_s.tolist()], pa.duration("ms"))
    parquet_of(batch, tmp_path / "typed.parquet", timestamp_ms=times, watch_s=watched)
    plain, typed = (
        next(read_blocks(str(tmp_path / f"{name}.parquet"), SPEC)).batch
        for name in ("plain", "typed")
    )
    np.testing.assert_array_equal(typed.timestamp_ms, plain.timestamp_ms)
    np.testing.assert_allclose(typed.watch_s, plain.watch_s, atol=1e-3)


@pytest.mark.parametrize(
    ("column", "kind"),
    [("timestamp_ms", pa.date32()), ("step", pa.timestamp("us")), ("reward", pa.duration("s"))],
    ids=str,
)
def test_times_where_none_are_meant_are_refused(tmp_path, column, kind):
    batch = random_batch()
    parquet_of(batch, tmp_path / "data.parquet", **{column: pa.array([1] * batch.size, kind)})
    with pytest.raises(DataError, match=rf"data\.parquet: column {column} is of type"):
        load_transitions(str(tmp_path / "data.parquet"), SPEC)
