"""What people bring: each is refused with a message, or quarantined and counted."""

import csv
import gzip
import operator
import os
import resource
from pathlib import Path

import polars as pl
import pytest

from mtfx.errors import DataError


def append(directory, *lines):
    with open(directory / "events.csv", "a") as file:
        file.writelines(line + "\n" for line in lines)


def rejected(generated):
    with open(generated.quarantine) as file:
        return list(csv.DictReader(file))


BAD_ROWS = {
    b"-5,1,view,10,": "timestamp: negative",
    b"17,1,view,10,": "before 2000",
    b"1430600000000,1,steal,10,": "not one of view, addtocart, transaction",
    b"1430600000000,,view,10,": "visitorid: missing",
    b"1430600000000,NaN,view,10,": "visitorid: not an integer",
    b"1430600000000,1,view": "3 fields where the header has 5",
    b"1430600000000,1,vi\xffew,10,": "UTF-8",
}


def test_bad_rows_are_quarantined_with_file_row_and_reason_and_duplicates_counted(generate, shop):
    before = len((shop / "events.csv").read_text().splitlines())
    append(shop, *(shop / "events.csv").read_text().splitlines()[1:11])
    with open(shop / "events.csv", "ab") as file:
        file.writelines(line + b"\n" for line in BAD_ROWS)
    generated = generate(shop, max_bad_rows=0.1)
    rejects = sorted(rejected(generated), key=lambda reject: int(reject["row"]))
    first = before + 10 + 1
    assert [int(reject["row"]) for reject in rejects] == list(range(first, first + len(BAD_ROWS)))
    for reject, reason in zip(rejects, BAD_ROWS.values(), strict=True):
        assert reject["file"].endswith("events.csv")
        assert reason in reject["reason"]
    summary = generated.summary
    assert sum(summary.quarantined.values()) == len(BAD_ROWS)
    assert summary.duplicates == 10
    assert sum(summary.impressions.values()) == 120


def test_a_label_of_two_is_quarantined(generate, tmp_path):
    header = "user_id,video_id,time_ms,is_click,long_view,is_like,is_follow,is_comment,"
    header += "is_forward,is_hate,play_time_ms,duration_ms"
    rows = [f"{i % 3},7,{1650000000000 + i * 3600000},1,0,0,0,0,0,0,100,200" for i in range(200)]
    rows[50] = rows[50].replace(",1,0,0", ",2,0,0", 1)
    (tmp_path / "log_standard_x_pure.csv").write_text("\n".join([header, *rows]) + "\n")
    generated = generate(tmp_path, "kuairand")
    assert generated.summary.quarantined == {"is_click: label is not 0 or 1": 1}
    assert rejected(generated)[0]["row"] == "52"


def parquet_shop(shop, unit="us", **changes):
    """The shop's events as Parquet, with a real timestamp."""
    events = pl.read_csv(shop / "events.csv", glob=False)
    times = pl.col("timestamp").cast(pl.Datetime("ms")).cast(pl.Datetime(unit))
    (shop / "events.csv").unlink()
    events.with_columns(times, **changes).write_parquet(shop / "events.parquet")


def test_a_log_with_real_timestamps_gives_the_sessions_of_the_plain_one(generate, shop):
    plain = generate(shop)
    parquet_shop(shop)
    typed = generate(shop)
    for split in ("train", "eval", "test"):
        key = operator.itemgetter("session_id")
        assert sorted(typed.sessions(split), key=key) == sorted(plain.sessions(split), key=key)


def test_a_list_in_a_log_or_a_table_is_refused_by_file_and_column(generate, shop):
    table = {"categoryid": ["1"], "parentid": [["2", "3"]]}
    pl.DataFrame(table).write_parquet(shop / "category_tree.parquet")
    with pytest.raises(DataError, match=r"category_tree\.parquet: column 'parentid' is of type"):
        generate(shop)
    (shop / "category_tree.parquet").unlink()
    parquet_shop(shop, itemid=pl.concat_list("itemid", "itemid"))
    with pytest.raises(DataError, match=r"events\.parquet: column 'itemid' is of type large_list"):
        generate(shop)


def test_too_many_bad_rows_stop_the_run_and_are_kept(generate, shop, tmp_path):
    append(shop, *["x,1,view,10,"] * 5)
    with pytest.raises(DataError, match=r"5 of 135 rows \(3\.7%\) are bad.*max-bad-rows") as caught:
        generate(shop)
    quarantine = Path(str(caught.value).rpartition(" in ")[2])
    assert len(quarantine.read_text().splitlines()) == 6
    assert generate(shop, max_bad_rows=0.05).summary.files


@pytest.mark.parametrize("limit", [0.01, 1.0])
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("2014-04-07T10:51:09.277Z,1,view,10,", "timestamp: not a time"),
        ("1430600000,1,view,10,", "is it in s"),
        ("1430600000000,1.5,view,10,", "visitorid: not an integer"),
        ("1430600000000,1,view,10,,", "6 fields where the header has 5"),
        ('1430600000000,1,"view" x,10,', "a quote opens a field"),
    ],
)
def test_a_log_whose_rows_are_all_bad_is_refused_by_its_reason(
    generate, tmp_path, change, reason, limit
):
    header = "timestamp,visitorid,event,itemid,transactionid"
    (tmp_path / "events.csv").write_text("\n".join([header, *[change] * 500]) + "\n")
    with pytest.raises(DataError) as caught:
        generate(tmp_path, max_bad_rows=limit)
    message = str(caught.value)
    assert "events.csv" in message
    assert "500 x " in message
    assert reason in message
    quarantine = message.rpartition(" in ")[2]
    assert len(Path(quarantine).read_text().splitlines()) == 501


def test_a_side_tables_reasons_are_not_put_down_to_the_log(generate, shop):
    (shop / "category_tree.csv").write_text("categoryid,parentid\n" + "1,2\n2,3,4\n" * 5)
    with pytest.raises(DataError, match=r"category_tree\.csv: .*3 fields") as caught:
        generate(shop)
    assert "events.csv" not in str(caught.value)


def test_a_log_that_repeats_one_row_is_told_so(generate, tmp_path):
    header = "timestamp,visitorid,event,itemid,transactionid"
    row = "1430600000000,1,view,10,"
    (tmp_path / "events.csv").write_text("\n".join([header, *[row] * 50]) + "\n")
    with pytest.raises(DataError, match=r"50 rows were read.*49 of them repeat"):
        generate(tmp_path)


def test_a_long_text_in_the_quarantine_can_be_read_again(generate, shop):
    append(shop, "x,1,view,10," + "y" * 200_000, *["1430600000000,1,view,10,z"] * 200)
    [reject] = rejected(generate(shop))
    assert reject["reason"] == "timestamp: not a time"


@pytest.mark.slow
def test_one_user_with_100_000_impressions(generate, shop):
    append(shop, *[f"{1430600000000 + i * 100},77,view,{i % 91}," for i in range(100_000)])
    generated = generate(shop)
    assert sum(generated.summary.impressions.values()) == 100_120
    assert generated.summary.split_sessions == 1
    longest = max(len(s["step"]) for s in generated.sessions("train"))
    assert longest == 200


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"timestamp,visitorid,event\n", "missing column 'itemid'"),
        (b"timestamp;visitorid;event;itemid\n1;2;view;3\n", "semicolons"),
        (b"timestamp,visitorid,event,itemid\n", r"more data\. 0 rows were read from .*events\.csv"),
        (b"\xff\xfe,visitorid\n", "not UTF-8"),
    ],
)
def test_a_useless_file_is_refused_by_name(generate, tmp_path, content, words):
    (tmp_path / "events.csv").write_bytes(content)
    with pytest.raises(DataError, match=words) as caught:
        generate(tmp_path)
    # An error that is its own cause hangs whoever follows the chain to explain it.
    assert caught.value.__cause__ is not caught.value


def test_a_truncated_gzip_is_refused(generate, shop):
    data = gzip.compress((shop / "events.csv").read_bytes())
    (shop / "events.csv").unlink()
    (shop / "events.csv.gz").write_bytes(data[: len(data) - 40])
    with pytest.raises(DataError, match=r"events\.csv\.gz is a damaged or truncated gzip"):
        generate(shop)


def test_no_log_at_all_names_the_patterns(generate, tmp_path):
    (tmp_path / "other.txt").write_text("x")
    with pytest.raises(DataError, match=r"no log file.*events\.csv"):
        generate(tmp_path)


def test_a_full_disk_leaves_no_file_that_looks_whole(generate, shop):
    append(shop, *[f"{1430600000000 + i * 60_000},{i},view,{i * 7}," for i in range(20_000)])
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, before[1]))
    try:
        with pytest.raises(Exception, match=r"(?i)file too large|resource ?exhausted|FSIZE"):
            generate(shop)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    parts = [
        os.path.join(folder, name)
        for folder, _, names in os.walk(shop.parent / "run-0")
        for name in names
    ]
    assert not [path for path in parts if "Split-" in path]
    assert not [path for path in parts if path.endswith("ingestion.json")]
    assert sum(generate(shop).summary.impressions.values()) == 20_120
