"""The results of trials on disk: written whole or not at all, and read back only for the same data.

A trial's directory holds whatever its function keeps there (weights, checkpoints), its log
``trial.log`` and, once it is finished, ``result.json``. The directories lie below one named by the
data's fingerprint, so that trials of other data are neither mixed up nor overwritten.
"""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np

from mtfx.experiments.engine.data import TrialData
from mtfx.files import read_json, write_json

RESULT_FILE = "result.json"
LOG_FILE = "trial.log"


def trials_root(output_dir: str, data: TrialData) -> Path:
    """The directory of all trials of this data."""
    return Path(output_dir, "trials", data.fingerprint[:8] or "unnamed")


@dataclasses.dataclass(frozen=True)
class TrialRecord:
    """A finished trial.

    Attributes:
      key: The trial's.
      trial: Its fields, as JSON types.
      fingerprint: Of the data.
      code_version: Of the code that ran it.
      result: What the trial function returned.
    """

    key: str
    trial: dict[str, Any]
    fingerprint: str
    code_version: str
    result: dict[str, Any]

    def write(self, directory: Path) -> None:
        """Writes ``result.json`` so that it is there in full or not at all, also after a crash.

        Raises:
          ValueError: if the result is not ``{"metrics": {task: figures}, ...}``.
          TypeError: if it holds something that JSON has no word for.
        """
        metrics = self.result.get("metrics")
        if not isinstance(metrics, dict) or not all(isinstance(m, dict) for m in metrics.values()):
            raise ValueError(f"a trial's result has metrics {{task: figures}}, got {metrics!r}")
        write_json(directory / RESULT_FILE, plain(dataclasses.asdict(self)), indent=None)

    @classmethod
    def read(cls, directory: Path, fingerprint: str) -> TrialRecord | None:
        """The finished trial of a directory; None if there is none, or it is of other data."""
        try:
            values = read_json(directory / RESULT_FILE)
            record = cls(**values)
        except (FileNotFoundError, NotADirectoryError, ValueError, TypeError):
            return None
        return record if record.fingerprint == fingerprint else None


def plain(value: Any) -> Any:
    """JSON types of a value: NumPy's become Python's, and what is not finite becomes None."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
