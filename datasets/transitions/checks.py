"""Value checks of every reader of transitions: what makes one unusable."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping

import numpy as np

from mtfx.datasets.transitions.spec import TransitionSpec
from mtfx.files import write_csv
from mtfx.serving.plausible_time import time_faults

#: Actions may exceed their bounds by the rounding of a float32, and are clipped to them.
ACTION_TOLERANCE = 1e-5


@dataclasses.dataclass(frozen=True)
class RecordFault:
    """A record that cannot be used.

    Attributes:
      path: Its file.
      record: Its number in the file, from 1.
      reason: Why, naming the column.
    """

    path: str
    record: int
    reason: str

    def __str__(self) -> str:
        return f"{self.path}, record {self.record}: {self.reason}"


def write_faults(faults: Iterable[RecordFault], path: str) -> None:
    """Lists bad records in a CSV file, by file and record."""
    rows = sorted((fault.path, fault.record, fault.reason) for fault in faults)
    write_csv(path, ("file", "record", "reason"), rows)


def value_faults(
    columns: Mapping[str, np.ndarray], prediction_values: np.ndarray, spec: TransitionSpec
) -> np.ndarray:
    """The first thing wrong with each row.

    Args:
      columns: As in :class:`mtfx.datasets.transitions.codec.TransitionBatch`, with ``predictions``
        the flat values of all rows; ``next_state``, ``reward`` and ``discount`` may be absent.
      prediction_values: int64 `[N]`, how many prediction values each row has.
      spec: Sizes.

    Returns:
      str `[N]`: the reason, empty for a good row.
    """
    count = columns["candidate_count"]
    size = len(count)
    reasons = np.zeros(size, dtype="U80")

    def fault(bad: np.ndarray, reason: str) -> None:
        reasons[bad & (reasons == "")] = reason

    fault(count < 1, "the candidate set is empty (candidate_count is below 1)")
    fault(
        prediction_values != count * spec.num_predictions,
        f"predictions are not {spec.num_predictions} values for each candidate",
    )
    chosen = columns["chosen"]
    fault((chosen < 0) | (chosen >= count), "chosen is no index of a candidate")
    # A comparison with NaN is false, so these refuse NaN too.
    flat = columns["predictions"]
    outside = np.append(0, np.cumsum(~((flat >= 0) & (flat <= 1))))
    ends = np.cumsum(prediction_values)
    fault(outside[ends] > outside[ends - prediction_values], "predictions are not all in [0, 1]")
    fault(_any(~np.isfinite(columns["state"])), "state is NaN or infinite")
    action = columns["action"]
    fault(_any(~np.isfinite(action)), "action is NaN or infinite")
    fault(_any(np.abs(action) > 1 + ACTION_TOLERANCE), "action is outside [-1, 1]")
    fault(np.isinf(columns["log_density"]), "log_density is infinite (NaN means unknown)")
    feedback = columns["feedback"]
    fault(_any((feedback != 0) & (feedback != 1)), "feedback is not 0 or 1")
    for name in ("watch_s", "duration_s"):
        value = columns[name]
        fault(~(np.isfinite(value) & (value >= 0)), f"{name} is negative, NaN or infinite")
    if "reward" in columns:
        fault(~np.isfinite(columns["reward"]), "reward is NaN or infinite")
        discount = columns["discount"]
        fault(~((discount >= 0) & (discount <= 1)), "discount is not in [0, 1]")
        unusable = _any(~np.isfinite(columns["next_state"])) & (discount > 0)
        fault(unusable, "next_state is NaN or infinite")
    for name in ("session_id", "user_id"):
        fault(columns[name] == "", f"{name} is empty")
    fault(columns["step"] < 0, "step is negative")
    times = columns["timestamp_ms"]
    for low, high, reason in time_faults():
        fault((times >= low) & (times < high), f"timestamp_ms: {reason}")
    return reasons


def _any(bad: np.ndarray) -> np.ndarray:
    return bad.any(axis=tuple(range(1, bad.ndim)))
