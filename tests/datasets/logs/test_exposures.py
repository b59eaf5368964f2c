import pytest

from mtfx.datasets.logs.exposures import read_random_exposures
from mtfx.datasets.spec import Column, DatasetSpec, Feature, Task
from mtfx.errors import DataError

SPEC = DatasetSpec(
    name="small",
    title="Small",
    log_files=("log.csv",),
    random_log_files=("random.csv",),
    columns=(
        Column("user_id", "user", "user", dtype="string"),
        Column("item_id", "item", "item"),
        Column("timestamp_ms", "at", "timestamp", unit="s"),
        Column("click", "click", "label"),
    ),
    features=(Feature("item_id", "categorical"),),
    tasks=(Task("click"),),
)


@pytest.mark.parametrize("limit", [0.01, 1.0])
def test_rows_that_are_all_bad_are_refused_by_their_reason(tmp_path, limit):
    rows = ["user,item,at,click", *["u,1,noon,1"] * 9]
    (tmp_path / "random.csv").write_text("\n".join(rows))
    with pytest.raises(DataError, match=r"random\.csv: 9 of 9 rows are bad.*9 x at: not a time"):
        read_random_exposures(SPEC, str(tmp_path), max_bad_rows=limit)
