"""Values that make a transition unusable: the first fault of a row is named, others' rows stay."""

import numpy as np
import pytest

from mtfx.datasets.transitions.checks import RecordFault, value_faults, write_faults
from tests.transition_batches import SPEC, random_batch


def columns():
    batch = {name: np.array(values) for name, values in vars(random_batch(4)).items()}
    batch["predictions"] = batch["predictions"].ravel()
    return batch, batch["candidate_count"] * SPEC.num_predictions


def test_good_rows_have_no_fault_and_an_unknown_density_is_none():
    batch, sizes = columns()
    batch["log_density"][:] = np.nan
    assert set(value_faults(batch, sizes, SPEC)) == {""}


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("state", np.nan, "state is NaN or infinite"),
        ("action", 1.001, "action is outside [-1, 1]"),
        ("log_density", np.inf, "log_density is infinite (NaN means unknown)"),
        ("feedback", 0.5, "feedback is not 0 or 1"),
        ("watch_s", -1.0, "watch_s is negative, NaN or infinite"),
        ("discount", np.nan, "discount is not in [0, 1]"),
        ("user_id", "", "user_id is empty"),
        ("step", -1, "step is negative"),
        ("candidate_count", 0, "the candidate set is empty (candidate_count is below 1)"),
    ],
)
def test_a_fault_is_of_its_own_row_alone(name, value, reason):
    batch, sizes = columns()
    batch[name][2] = value
    found = value_faults(batch, sizes, SPEC)
    assert found[2] == reason
    assert set(np.delete(found, 2)) == {""}


def test_a_prediction_out_of_range_is_put_down_to_the_row_that_holds_it():
    batch, sizes = columns()
    first_of_row_2 = int(np.cumsum(sizes)[1])
    batch["predictions"][first_of_row_2] = np.nan
    assert np.flatnonzero(value_faults(batch, sizes, SPEC)).tolist() == [2]


def test_a_state_after_the_end_means_nothing():
    batch, sizes = columns()
    ends, goes_on = batch["discount"] == 0, batch["discount"] == 1
    batch["next_state"][ends] = np.nan
    assert set(value_faults(batch, sizes, SPEC)) == {""}
    batch["next_state"][goes_on] = np.nan
    assert set(value_faults(batch, sizes, SPEC)[goes_on]) == {"next_state is NaN or infinite"}


def test_faults_are_listed_by_file_and_record(tmp_path):
    path = str(tmp_path / "faults.csv")
    write_faults(
        [RecordFault("b", 1, "x"), RecordFault("a", 10, "y"), RecordFault("a", 9, "z")], path
    )
    with open(path) as file:
        assert file.read().split() == ["file,record,reason", "a,9,z", "a,10,y", "b,1,x"]
