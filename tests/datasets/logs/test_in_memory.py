"""A whole log in memory, from the same files and with the same refusals as the pipeline's."""

import pytest

from mtfx.datasets.logs.in_memory import read_impressions
from mtfx.datasets.registry import load_dataset
from mtfx.datasets.spec import Column, DatasetSpec, Feature, Task
from mtfx.errors import DataError

SPEC = DatasetSpec(
    name="small",
    title="Small",
    log_files=("log*.csv",),
    columns=(
        Column("user_id", "user", "user", dtype="string"),
        Column("item_id", "item", "item"),
        Column("timestamp_ms", "at", "timestamp"),
        Column("click", "click", "label"),
        Column("place", "place", "context", dtype="string"),
    ),
    features=(Feature("item_id", "categorical"),),
    tasks=(Task("click"),),
)
HEADER = "user,item,at,click,place"


def test_rows_of_all_files_are_read_once(tmp_path):
    row = "u,1,1600000000000,1,x"
    (tmp_path / "log_1.csv").write_text("\n".join([HEADER, row, row]))
    (tmp_path / "log_2.csv").write_text("\n".join([HEADER, "v,2,1600000000001,0,y"]))
    blocks = []
    log = read_impressions(SPEC, str(tmp_path), blocks.append)
    assert log["click"].to_list() == [1, 0]
    assert sum(blocks) == 3
    assert "place" not in log.columns


def test_events_become_impressions(tmp_path):
    (tmp_path / "events.csv").write_text(
        "timestamp,visitorid,event,itemid,transactionid\n"
        "1433221332117,1,view,7,\n1433221392117,1,addtocart,7,\n1433221432117,1,view,8,\n"
    )
    log = read_impressions(load_dataset("retailrocket"), str(tmp_path))
    assert sorted(log["click"].to_list()) == [0, 1]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (None, "has no log of data set small"),
        ([], "there is no row"),
        (["u,1,noon,1,x"], "1 of 1 rows are bad.*at: not a time"),
    ],
)
def test_a_log_that_cannot_be_used_is_refused(rows, said, tmp_path):
    if rows is not None:
        (tmp_path / "log.csv").write_text("\n".join([HEADER, *rows]) + "\n")
    with pytest.raises(DataError, match=said):
        read_impressions(SPEC, str(tmp_path))
