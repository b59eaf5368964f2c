"""What sessions look back on: beside a plain reference on real rows, and whether anything leaks."""

import collections
import os
from pathlib import Path

import polars as pl
import pytest
import tensorflow_data_validation as tfdv

from mtfx.components.session_example_gen.statistics import exchanged_keys
from mtfx.components.session_example_gen.writing import ANSWERS
from mtfx.components.session_schema import build_schema, column_types
from mtfx.datasets import history
from mtfx.datasets.history import PREFIX, history_columns, source_of, statistic_columns
from mtfx.datasets.logs.sessions import SPLITS
from mtfx.datasets.registry import load_dataset
from mtfx.errors import DataError
from tests.components.session_example_gen.conftest import HOUR, VIEWS_START

DAY = 24 * HOUR
LENGTH = 5
LABELS = ("is_click", "long_view", "is_like", "is_follow", "is_comment", "is_forward", "is_hate")


@pytest.fixture
def videos(tmp_path, shared_data):
    """Every fortieth user of the real log, with the real tables."""
    source = shared_data / "kuairand_pure"
    if not source.is_dir():
        pytest.skip("no kuairand_pure in ../shared/data beside the checkout")
    target = tmp_path / "videos"
    target.mkdir()
    for path in source.iterdir():
        if path.name.startswith("log_standard"):
            rows = pl.read_parquet(path).filter(pl.col("user_id") % 40 == 3)
            rows.write_parquet(target / path.name)
        elif path.name.endswith(".csv"):
            os.symlink(path, target / path.name)
    return target


def edit(directory: Path, *changes: pl.Expr, extra: pl.DataFrame | None = None) -> None:
    """Changes columns of the log, and appends rows."""
    [path] = directory.glob("log_standard*")
    rows = pl.read_parquet(path).with_columns(*changes)
    (rows if extra is None else pl.concat([rows, extra])).write_parquet(path)


def sessions_of(generated):
    return [session for split in SPLITS for session in generated.sessions(split)]


def by_id(sessions):
    return {session["session_id"][0]: session for session in sessions}


def impressions_of(sessions, spec):
    """One dict per impression; session-level columns repeated."""
    lists = set(history_columns(spec))
    return [
        {
            name: values[step if len(values) == len(session["timestamp_ms"]) else 0]
            for name, values in session.items()
            if name not in lists
        }
        for session in sessions
        for step in range(len(session["timestamp_ms"]))
    ]


def check_history(sessions, spec, length):
    """Every list equals that of a walk through the user's rows."""
    rows = collections.defaultdict(list)
    for row in impressions_of(sessions, spec):
        rows[row["user_id"]].append(row)
    seen = 0
    for session in sessions:
        first = session["timestamp_ms"][0]
        own = [row for row in rows[session["user_id"][0]] if row["timestamp_ms"] < first]
        own = sorted(own, key=lambda row: (row["timestamp_ms"], row["item_id"]))[-length:]
        for name in history_columns(spec):
            assert session[name] == [row[source_of(name)] for row in own], name
        seen += len(own)
    return seen


def check_statistics(sessions, spec):
    """Every count equals a count of the rows of the days before."""
    offset = round(spec.utc_offset_hours * HOUR)
    rows = impressions_of(sessions, spec)
    not_zero = 0
    for key in spec.history.statistics:
        shown, clicked = collections.defaultdict(list), collections.defaultdict(list)
        for row in rows:
            shown[row[key]].append((row["timestamp_ms"] + offset) // DAY)
            later = row.get("feedback_ms", row["timestamp_ms"])
            clicked[row[key]].append(((later + offset) // DAY, row))
        for row in rows:
            day = (row["session_start_ms"] + offset) // DAY
            before = sum(other < day for other in shown[row[key]])
            assert row[f"{key}_impressions"] == before
            not_zero += before > 0
            known = [other for when, other in clicked[row[key]] if when < day]
            for task in history.binary_tasks(spec):
                positive = sum(other[task.name] == 1 for other in known)
                assert row[f"{key}_{task.name}_count"] == positive
    return not_zero


def test_real_impressions_equal_a_plain_reference(generate, videos):
    spec = load_dataset("kuairand")
    generated = generate(videos, "kuairand", history_length=LENGTH)
    sessions = sessions_of(generated)
    assert check_history(sessions, spec, LENGTH) > 2_000
    assert check_statistics(sessions, spec) > 2_000
    found = generated.summary.history
    assert found["sessions"] == len(sessions) == found["with_history"] + found["without_history"]
    lengths = [len(s["history_timestamp_ms"]) for s in sessions]
    assert found["with_history"] == sum(length > 0 for length in lengths)
    assert found["mean_length"] == pytest.approx(sum(lengths) / found["with_history"], abs=0.01)
    assert any("sessions (" in note and "look back on" in note for note in generated.summary.notes)


def test_real_events_equal_a_plain_reference_and_the_schema_accepts_them(
    generate, shared_data, tmp_path
):
    source, target = shared_data / "retailrocket", tmp_path / "shop"
    target.mkdir()
    events = pl.read_csv(source / "events.csv").filter(pl.col("visitorid") % 9 == 1)
    events.write_csv(target / "events.csv")
    os.symlink(source / "category_tree.csv", target / "category_tree.csv")
    spec = load_dataset("retailrocket")
    generated = generate(target, history_length=LENGTH, shards=3)
    sessions = sessions_of(generated)
    assert check_history(sessions, spec, LENGTH) > 500
    assert check_statistics(sessions, spec) > 500
    rows = impressions_of(sessions, spec)
    assert any(row["feedback_ms"] > row["timestamp_ms"] for row in rows)
    # Users who appear once have empty lists.
    assert any(not session["history_item_id"] for session in sessions)
    assert all(set(session) == set(column_types(spec, LENGTH)) for session in sessions)
    schema = build_schema(spec, LENGTH)
    statistics = tfdv.generate_statistics_from_tfrecord(
        f"{generated.uri}/Split-train/*", stats_options=tfdv.StatsOptions(schema=schema)
    )
    assert not tfdv.validate_statistics(statistics, schema).anomaly_info


@pytest.mark.parametrize("share", [0.3, 0.9])
def test_what_happens_later_moves_no_column_and_no_row_sees_its_own_feedback(
    generate, videos, share
):
    """Every label from a session's start on is turned round, and rows are added behind it."""
    spec = load_dataset("kuairand")
    before = by_id(sessions_of(generate(videos, "kuairand", history_length=LENGTH)))
    starts = sorted(session["session_start_ms"][0] for session in before.values())
    cut = starts[int(share * len(starts))]
    [path] = videos.glob("log_standard*")
    later = pl.col("time_ms") >= cut
    extra = pl.read_parquet(path).filter(later).with_columns(pl.col("time_ms") + 3 * HOUR)
    flipped = [pl.when(later).then(1 - pl.col(name)).otherwise(name).alias(name) for name in LABELS]
    watched = pl.when(later).then(pl.col("play_time_ms") + 777).otherwise("play_time_ms")
    edit(videos, *flipped, watched.alias("play_time_ms"), extra=extra)
    after = by_id(sessions_of(generate(videos, "kuairand", history_length=LENGTH)))
    features = [*history_columns(spec), *statistic_columns(spec)]
    own = 0
    for name, session in before.items():
        start = session["session_start_ms"][0]
        if start > cut:
            continue
        assert name in after
        steps = len(session["timestamp_ms"])
        for column in features:
            # A session may have become longer.
            assert after[name][column][: len(session[column])] == session[column], column
        if start == cut:
            assert after[name]["click"][:steps] == [1 - click for click in session["click"]]
            own += 1
    assert own


def test_a_session_does_not_know_of_feedback_of_its_own_day(generate, tmp_path):
    """A view of the evening is put into the cart after midnight."""
    midnight = VIEWS_START // DAY * DAY + DAY
    lines = ["timestamp,visitorid,event,itemid,transactionid"]
    lines += [f"{midnight - 5 * 60_000},1,view,7,", f"{midnight + 5 * 60_000},1,addtocart,7,"]
    # Of others: between, after, and on the day after that.
    for visitor, minutes in ((2, 1), (3, 30), (4, 24 * 60 + 1)):
        lines.append(f"{midnight + minutes * 60_000},{visitor},view,7,")
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / "events.csv").write_text("\n".join(lines) + "\n")
    sessions = sessions_of(generate(tmp_path / "log"))
    found = {
        session["user_id"][0]: (
            session["item_id_impressions"][0],
            session["item_id_click_count"][0],
            session["feedback_ms"][0] - midnight,
        )
        for session in sessions
    }
    minute = 60_000
    assert found == {
        1: (0, 0, 5 * minute),
        2: (1, 0, minute),
        3: (1, 0, 30 * minute),
        4: (3, 1, (24 * 60 + 1) * minute),
    }


def test_a_log_out_of_order_gives_the_same(generate, shop):
    in_order = by_id(sessions_of(generate(shop)))
    header, *rows = (shop / "events.csv").read_text().splitlines()
    (shop / "events.csv").write_text("\n".join([header, *rows[::-1]]) + "\n")
    assert by_id(sessions_of(generate(shop))) == in_order
    assert any(session["history_item_id"] for session in in_order.values())


def test_a_part_of_a_long_session_knows_the_parts_before_it(generate, tmp_path):
    (tmp_path / "log").mkdir()
    lines = ["timestamp,visitorid,event,itemid,transactionid"]
    lines += [f"{VIEWS_START + step},1,view,{step}," for step in range(9)]
    lines += [f"{VIEWS_START + day * DAY},2,view,1," for day in range(3)]
    (tmp_path / "log" / "events.csv").write_text("\n".join(lines) + "\n")
    sessions = sessions_of(generate(tmp_path / "log", max_session_length=3, history_length=4))
    found = {s["item_id"][0]: s["history_item_id"] for s in sessions if s["user_id"] == [1]}
    assert found == {0: [], 3: [0, 1, 2], 6: [2, 3, 4, 5]}


@pytest.mark.timeout(120)
def test_a_user_with_100_000_impressions_is_one_of_many(generate, tmp_path):
    (tmp_path / "log").mkdir()
    lines = ["timestamp,visitorid,event,itemid,transactionid"]
    lines += [
        f"{VIEWS_START + HOUR * hour + second},1,view,{second},"
        for hour in range(20_000)
        for second in range(5)
    ]
    (tmp_path / "log" / "events.csv").write_text("\n".join(lines) + "\n")
    summary = generate(tmp_path / "log").summary
    assert summary.impressions["train"] > 59_000
    assert summary.history["with_history"] == 19_999
    assert summary.history["mean_length"] == pytest.approx(50, abs=0.1)


def test_without_a_length_there_are_no_lists_but_statistics(generate, shop):
    spec = load_dataset("retailrocket")
    generated = generate(shop, history_length=0)
    for session in sessions_of(generated):
        assert set(session) == set(column_types(spec, 0))
    assert not generated.summary.history
    assert any(session["item_id_impressions"][0] for session in sessions_of(generated))


@pytest.fixture
def days(shop):
    """The shop's log in a folder for each of its two halves, the second with a row of the first."""
    header, *rows = (shop / "events.csv").read_text().splitlines()
    rows.sort()
    half = len(rows) // 2
    folder = shop.parent / "days"
    for day, part in ((1, rows[:half]), (2, [rows[half - 1], *rows[half:]])):
        (folder / f"day-{day}").mkdir(parents=True)
        (folder / f"day-{day}" / "events.csv").write_text("\n".join([header, *part]) + "\n")
    return folder


def test_earlier_deliveries_are_looked_back_on_and_not_written(generate, shop, days):
    whole = by_id(sessions_of(generate(shop)))
    generated = generate(days / "day-2", history_deliveries=("../day-1",))
    alone = by_id(sessions_of(generate(days / "day-2")))
    found = by_id(sessions_of(generated))
    assert set(found) == set(alone)
    cut = min(session["session_start_ms"][0] for session in found.values())
    looked = 0
    for name, session in found.items():
        if session["session_start_ms"][0] > cut + HOUR:
            # Of the session that is cut, a click belongs to a view of the other half.
            for column in ("history_item_id", "history_timestamp_ms", "item_id_impressions"):
                assert session[column] == whole[name][column], column
            looked += min(session["history_timestamp_ms"], default=cut) < cut
    assert looked
    assert list(generated.summary.past_files) == [str(days / "day-2" / "../day-1/events.csv")]
    assert sum(generated.summary.sessions.values()) == len(found)
    assert any("in 1 earlier deliveries too" in note for note in generated.summary.notes)


def test_a_row_that_two_deliveries_have_counts_once(generate, days):
    first = (days / "day-1" / "events.csv").read_text().splitlines()
    assert first[-1] in (days / "day-2" / "events.csv").read_text()
    generated = generate(days / "day-2", history_deliveries=("../day-1",))
    rows = len(first) - 1 + len((days / "day-2" / "events.csv").read_text().splitlines()) - 2
    carts = sum("addtocart" in line for line in first)
    carts += (days / "day-2" / "events.csv").read_text().count("addtocart")
    last = max(sessions_of(generated), key=lambda session: session["session_start_ms"])
    count = last["item_id_impressions"][last["item_id"].index(10)]
    assert 0 < count <= (rows - carts) // 3


def test_a_delivery_without_a_log_is_refused_by_name(generate, days):
    (days / "day-1" / "events.csv").unlink()
    with pytest.raises(DataError, match=r"no log file in .*day-1"):
        generate(days / "day-2", history_deliveries=("../day-1",))


def _video_days(tmp_path, without):
    """Two days in KuaiRand's layout, the first without some columns."""
    names = ["user_id", "video_id", "time_ms", *LABELS, "play_time_ms", "duration_ms"]
    for day in (1, 2):
        rows = [
            [user, item, VIEWS_START + day * DAY + item * HOUR, 1, 1, 0, 0, 0, 0, 0, 900, 1000]
            for user in (1, 2)
            for item in (1, 2, 3)
        ]
        frame = pl.DataFrame(rows, schema=names, orient="row")
        (tmp_path / f"day-{day}").mkdir()
        frame = frame.drop(without) if day == 1 else frame
        frame.write_csv(tmp_path / f"day-{day}" / "log_standard_a.csv")
    return tmp_path / "day-2"


def test_feedback_that_an_old_delivery_lacks_is_named_with_its_file(generate, tmp_path):
    folder = _video_days(tmp_path, ["is_like"])
    with pytest.raises(DataError, match=r"day-1.*log_standard_a\.csv: missing column 'is_like'"):
        generate(folder, "kuairand", history_deliveries=("../day-1",))


def test_feedback_that_may_be_unknown_is_unknown_where_an_old_delivery_lacks_it(
    generate, tmp_path, monkeypatch
):
    (tmp_path / "own_videos_of_a_test.py").write_text(
        "import dataclasses\n"
        "from mtfx.datasets.history import History\n"
        "from mtfx.datasets.kuairand import SPEC as KUAIRAND\n"
        "unsure = ('like', 'watch_time_ms')\n"
        "columns = tuple(dataclasses.replace(c, required=c.required and c.name not in unsure)\n"
        "                for c in KUAIRAND.columns)\n"
        "SPEC = dataclasses.replace(KUAIRAND, columns=columns, history=History())\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    folder = _video_days(tmp_path, ["is_like", "play_time_ms"])
    generated = generate(folder, "own_videos_of_a_test:SPEC", history_deliveries=("../day-1",))
    for session in sessions_of(generated):
        old = sum(time < VIEWS_START + 2 * DAY for time in session["history_timestamp_ms"])
        assert old == 3
        assert session["history_like"][:3] == [-1] * 3
        assert session["history_watch_time_ms"][:3] == [-1.0] * 3
        assert session["history_watch_share"][:3] == [-1.0] * 3
        assert session["history_click"][:3] == [1] * 3
        assert (-1 in session["history_like"][3:]) is False
        assert session["user_id_impressions"] == [3]
        assert session["user_id_like_known"] == [0]
        assert session["user_id_click_count"] == [3]
    spec = load_dataset("own_videos_of_a_test:SPEC")
    assert PREFIX + "like" in history_columns(spec)
    assert any("lacks the labels is_like" in note for note in generated.summary.notes)


def test_a_user_bucket_asks_of_all_but_users():
    assert exchanged_keys(load_dataset("kuairand")) == ("item_id", "author_id", "tag")
    assert ANSWERS == "answers"
