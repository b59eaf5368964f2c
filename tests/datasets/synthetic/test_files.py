"""Tables written a piece at a time, and truth read back from them."""

import polars as pl
import pytest
from sklearn.metrics import roc_auc_score

from mtfx.datasets.synthetic.files import TableFiles, WrittenFile
from mtfx.datasets.synthetic.truth import auc_ceiling
from mtfx.errors import DataError

FRAME = pl.DataFrame({"item": [1, 2, 3], "name": ["a", "b,c", None]})


def write(directory, file_format, pieces):
    directory.mkdir()
    with TableFiles(str(directory), file_format) as files:
        for piece in pieces:
            files.append("table", piece)
    return files.written()


@pytest.mark.parametrize("file_format", ["csv", "csv.gz", "parquet"])
def test_pieces_make_the_table(tmp_path, file_format):
    (written,) = write(tmp_path / "a", file_format, [FRAME[:1], FRAME.clear(), FRAME[1:]])
    path = tmp_path / "a" / f"table.{file_format}"
    assert written == WrittenFile(path.name, 3, path.stat().st_size)
    found = pl.read_parquet(path) if file_format == "parquet" else pl.read_csv(path)
    assert found.equals(FRAME)
    write(tmp_path / "b", file_format, [FRAME[:1], FRAME.clear(), FRAME[1:]])
    assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_a_table_without_rows_has_its_columns(tmp_path):
    (written,) = write(tmp_path / "a", "csv", [FRAME.clear()])
    assert written.rows == 0
    assert pl.read_csv(tmp_path / "a" / "table.csv").columns == FRAME.columns


def test_the_best_auc_counts_ties_half_and_lacks_a_task_of_one_class(tmp_path):
    labels, chances = [1, 0, 1, 0, 1], [0.9, 0.5, 0.5, 0.1, 0.1]
    truth = pl.DataFrame(
        {"click": labels, "p_click": chances, "buy": [0] * 5, "p_buy": chances},
        schema_overrides={"click": pl.Int8, "p_click": pl.Float32, "p_buy": pl.Float32},
    )
    with TableFiles(str(tmp_path), "csv") as files:
        files.append("truth_standard_1", truth[:2])
        files.append("truth_standard_2", truth[2:])
    found = auc_ceiling(tmp_path)
    assert found["click"] == pytest.approx(roc_auc_score(labels, chances))
    assert found["buy"] != found["buy"]
    with pytest.raises(DataError, match="no truth of the random log"):
        auc_ceiling(tmp_path, "random")
