"""A log whose clicks follow from tags alone: several of an item, several that a user likes.

An item with a tag that the user is interested in is clicked with probability 0.9, any other with
0.1. The same rows are written as Parquet with lists and as CSV with delimiters.
"""

from pathlib import Path

import numpy as np
import polars as pl

from mtfx.datasets.spec import Column, DatasetSpec, Feature, SideTable, Task

SPEC = DatasetSpec(
    name="tagged",
    title="",
    log_files=("log_*.parquet", "log_*.csv"),
    columns=(
        Column("user_id", "user", "user"),
        Column("item_id", "item", "item"),
        Column("timestamp_ms", "at", "timestamp", unit="s"),
        Column("click", "click", "label"),
        Column("tags", "tags", "context", dtype="string", delimiter="|"),
    ),
    side_tables=(
        SideTable(
            files=("users_*.parquet", "users_*.csv"),
            key="user",
            on="user_id",
            columns=(Column("interests", "interests", "context", dtype="string", delimiter=";"),),
        ),
    ),
    features=(
        Feature("user_id", "categorical", level="session"),
        Feature("interests", "multivalued", "session", "string", max_values=2),
        Feature("item_id", "categorical"),
        Feature("tags", "multivalued", dtype="string", max_values=3),
    ),
    tasks=(Task("click"),),
    slices=(),
)
TAGS = np.array(["music", "comedy", "news", "sport", "food", "games"])


def write_log(directory: Path, form: str, rows: int = 4000) -> Path:
    """Writes log and user table as ``parquet`` or ``csv``."""
    rng = np.random.default_rng(1)
    users = {user: list(rng.choice(TAGS, user % 3, replace=False)) for user in range(150)}
    records = []
    for row in range(rows):
        user = int(rng.integers(150))
        tags = list(rng.choice(TAGS, rng.integers(0, 5), replace=False))
        liked = bool({*tags} & {*users[user]})
        records.append(
            {
                "user": user,
                "item": int(rng.integers(1000)),
                "at": 1_700_000_000 + 40 * row,
                "click": int(rng.random() < (0.9 if liked else 0.1)),
                "tags": tags,
            }
        )
    interests = [{"user": user, "interests": own} for user, own in users.items()]
    directory.mkdir()
    for name, table, column, delimiter in (
        ("log_1", records, "tags", "|"),
        ("users_1", interests, "interests", ";"),
    ):
        frame = pl.DataFrame(table, schema_overrides={column: pl.List(pl.String)})
        if form == "parquet":
            frame.write_parquet(directory / f"{name}.parquet")
        else:
            text = frame.with_columns(pl.col(column).list.join(delimiter))
            text.write_csv(directory / f"{name}.csv")
    return directory
