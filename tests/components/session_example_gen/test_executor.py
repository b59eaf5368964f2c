"""The real executor on a small shop: what it writes, and that nothing leaks between splits."""

import gzip
import os

import polars as pl
import pytest

from mtfx.components.session_example_gen.config import WHOLE
from mtfx.datasets.columns import joined
from mtfx.datasets.logs.sessions import SPLITS
from mtfx.errors import DataError
from mtfx.pipelines.beam_args import local_beam_args
from tests.tagged_log import write_log

VIEWS_START = 1_430_600_000_000
HOUR = 3_600_000


def _session_id(session):
    return session["session_id"]


def all_sessions(generated):
    return {split: generated.sessions(split) for split in SPLITS}


def test_sessions_are_whole_ordered_and_labelled(generate, shop):
    generated = generate(shop)
    sessions = [s for split in SPLITS for s in generated.sessions(split)]
    assert len(sessions) == 40
    for session in sessions:
        assert session["timestamp_ms"] == sorted(session["timestamp_ms"])
        assert session["item_id"] == [10, 11, 12]
        assert session["step"] == [0, 1, 2]
        assert len(session["user_id"]) == len(session["session_id"]) == 1
    assert sum(session["click"] == [0, 1, 0] for session in sessions) == 10
    assert generated.summary.sessions == {"train": 24, "eval": 8, "test": 8}
    assert generated.summary.impressions == {"train": 72, "eval": 24, "test": 24}
    assert generated.summary.data_span_ms == [VIEWS_START, VIEWS_START + 39 * HOUR + 2000]


def test_lists_and_delimited_text_give_the_same_sessions(generate, tmp_path):
    found = {}
    for form in ("parquet", "csv"):
        generated = generate(write_log(tmp_path / form, form, 400), "tests.tagged_log:SPEC")
        found[form] = {
            split: sorted(generated.sessions(split), key=_session_id) for split in SPLITS
        }
        [many] = [note for note in generated.summary.notes if "values of tags" in note]
        sessions = [session for split in SPLITS for session in found[form][split]]
        texts = [tags.decode() for session in sessions for tags in session["tags"]]
        assert all(text == joined(text.split("|"), "|") for text in texts)
        more = sum(len(text.split("|")) > 3 for text in texts)
        assert many == f"{more:,} impressions have more than 3 values of tags: the 3 most " + (
            "frequent ones count"
        )
        assert {len(session["interests"]) for session in sessions} == {1}
    assert found["parquet"] == found["csv"]


def test_a_delimiter_that_never_occurs_is_noted(generate, tmp_path):
    directory = write_log(tmp_path / "log", "csv", 400)
    log = directory / "log_1.csv"
    log.write_text(log.read_text().replace("|", "/"))
    notes = generate(directory, "tests.tagged_log:SPEC").summary.notes
    assert notes == [
        "no impression has more than one value of tags: is '|' the delimiter of its column?"
    ]


def test_a_delivery_that_is_only_looked_at_is_one_split(generate, shop):
    split, whole = generate(shop), generate(shop, split_fractions=WHOLE)
    assert sorted(whole.sessions("train"), key=_session_id) == sorted(
        (s for name in SPLITS for s in split.sessions(name)), key=_session_id
    )
    assert not whole.sessions("eval") + whole.sessions("test")
    assert whole.summary.sessions == {"train": 40, "eval": 0, "test": 0}


def test_no_session_is_in_two_splits_and_splits_follow_in_time(generate, shop):
    splits = all_sessions(generate(shop))
    ids = {name: {s["session_id"][0] for s in found} for name, found in splits.items()}
    assert not ids["train"] & ids["eval"]
    assert not ids["eval"] & ids["test"]
    assert not ids["train"] & ids["test"]
    starts = {name: [s["session_start_ms"][0] for s in found] for name, found in splits.items()}
    assert max(starts["train"]) < min(starts["eval"])
    assert max(starts["eval"]) < min(starts["test"])


def test_a_session_across_the_boundary_stays_whole(generate, shop):
    # The session that starts last in train is made to run on beyond the first of eval.
    last_train = VIEWS_START + 23 * HOUR
    with open(shop / "events.csv", "a") as file:
        for minutes in range(20, 121, 20):
            file.write(f"{last_train + minutes * 60_000},3,view,99,\n")
    splits = all_sessions(generate(shop))
    [crossing] = [s for s in splits["train"] if 99 in s["item_id"]]
    assert max(crossing["timestamp_ms"]) > min(s["session_start_ms"][0] for s in splits["eval"])
    assert crossing["item_id"].count(99) == 6
    assert not any(99 in s["item_id"] for s in splits["eval"] + splits["test"])


def test_no_item_property_from_the_future_is_seen(generate, shop):
    lines = ["timestamp,itemid,property,value"]
    lines += [
        f"{VIEWS_START + hour * HOUR + 500},{item},categoryid,{hour}"
        for hour in range(-1, 40)
        for item in (10, 11, 12)
    ]
    (shop / "item_properties_part1.csv").write_text("\n".join(lines[:60]) + "\n")
    (shop / "item_properties_part2.csv").write_text("\n".join(lines[:1] + lines[60:]) + "\n")
    (shop / "category_tree.csv").write_text("categoryid,parentid\n5,1\n6,\n")
    generated = generate(shop)
    seen = 0
    for split in SPLITS:
        for session in generated.sessions(split):
            for time, category in zip(session["timestamp_ms"], session["category_id"], strict=True):
                expected = (time - VIEWS_START - 500) // HOUR
                assert category == str(expected).encode()
                seen += 1
            parents = set(session["parent_category_id"])
            assert parents <= {b"1", b""}
            if b"5" in session["category_id"]:
                assert b"1" in parents
    assert seen == 120
    [note] = [note for note in generated.summary.notes if "item_properties" in note]
    assert "never has a value of available, property_364" in note
    assert "category_id" not in note


@pytest.mark.slow
def test_two_runs_write_the_same_examples_and_many_shards_the_same_sessions(generate, shop):
    first, second, sharded = generate(shop), generate(shop), generate(shop, shards=4)
    for split in SPLITS:
        # In file order; the bytes differ, since protobuf does not order the features of a map.
        assert first.sessions(split) == second.sessions(split)
        by_id = [sorted(run.sessions(split), key=_session_id) for run in (first, sharded)]
        assert by_id[0] == by_id[1]
    assert len(os.listdir(f"{sharded.uri}/Split-train")) > 1


@pytest.mark.slow
def test_worker_processes_give_the_same_sessions(generate, shop):
    single = generate(shop, shards=3)
    parallel = generate(shop, beam_args=local_beam_args(workers=2), shards=3)
    for split in SPLITS:
        assert single.sessions(split) == parallel.sessions(split)
    assert single.summary.daily == parallel.summary.daily


def test_daily_counts_add_up(generate, shop):
    summary = generate(shop).summary
    assert sum(day["impressions"] for day in summary.daily) == 120
    assert sum(day["click"] for day in summary.daily) == 10
    assert {day["split"] for day in summary.daily} == set(SPLITS)


@pytest.mark.slow
def test_gz_and_parquet_give_the_same_sessions(generate, shop, tmp_path):
    expected = all_sessions(generate(shop))
    frame = pl.read_csv(shop / "events.csv", glob=False)
    for name in ("events.csv.gz", "events.parquet"):
        directory = tmp_path / name
        directory.mkdir()
        if name.endswith("parquet"):
            frame.write_parquet(directory / name)
        else:
            (directory / name).write_bytes(gzip.compress((shop / "events.csv").read_bytes()))
        assert all_sessions(generate(directory)) == expected


@pytest.mark.parametrize(
    ("name", "impressions", "sessions"),
    [("retailrocket", 71_461, 14_365), ("kuairand", 38_987, 19_212)],
)
def test_all_of_the_real_rows(generate, shared_data, name, impressions, sessions):
    summary = generate(shared_data / name, name).summary
    assert sum(summary.impressions.values()) == impressions
    assert sum(summary.sessions.values()) == sessions
    assert not summary.quarantined
    shares = [summary.sessions[split] / sessions for split in SPLITS]
    assert shares == pytest.approx([0.6, 0.2, 0.2], abs=0.001)


def _days(shop):
    """The shop's log in two deliveries that are cut within a session."""
    header, *rows = (shop / "events.csv").read_text().splitlines()
    cut = len(rows) // 2 + 1
    folder = shop.parent / "days"
    for day, part in ((1, rows[:cut]), (2, rows[cut:])):
        (folder / f"day-{day}").mkdir(parents=True)
        (folder / f"day-{day}" / "events.csv").write_text("\n".join([header, *part]) + "\n")
    return folder


def test_a_window_of_deliveries_is_read_as_one_log(generate, shop):
    days = _days(shop)
    whole, window = generate(shop), generate(days / "day-2", earlier=("../day-1",))
    assert window.summary.sessions == whole.summary.sessions
    for split in SPLITS:
        found, wanted = (
            {_session_id(session)[0]: session for session in run.sessions(split)}
            for run in (window, whole)
        )
        assert found == wanted


def test_a_window_with_a_hole_is_refused_by_name(generate, shop):
    days = _days(shop)
    (days / "day-1" / "events.csv").unlink()
    with pytest.raises(DataError, match=r"no log file in .*day-1"):
        generate(days / "day-2", earlier=("../day-1",))


def test_a_snapshot_is_the_newest_deliverys_and_a_history_every_ones(generate, shop):
    days = _days(shop)
    for day, parent in ((1, 7), (2, 8)):
        folder = days / f"day-{day}"
        (folder / "category_tree.csv").write_text(f"categoryid,parentid\n5,{parent}\n")
        (folder / "item_properties_part1.csv").write_text(
            f"timestamp,itemid,property,value\n{VIEWS_START - day},{9 + day},categoryid,5\n"
        )
    generated = generate(days / "day-2", earlier=("../day-1",))
    [first, *_] = generated.sessions("train")
    assert first["item_id"] == [10, 11, 12]
    assert first["category_id"] == [b"5", b"5", b""]
    assert first["parent_category_id"] == [b"8", b"8", b""]
