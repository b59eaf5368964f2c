"""Trial functions for tests; worker processes import them by name, so they are in a module."""

import os
import signal
import sys
import time
from pathlib import Path

import numpy as np


def train(data, trial, directories):
    """Leaves a note of the call, and finds those of the trials it requires."""
    own = Path(directories[trial.key])
    for key in trial.requires:
        assert (Path(directories[key]) / "calls").exists(), key
    with (own / "calls").open("a") as file:
        file.write(f"{os.getpid()}\n")
    print("a line for the log")
    threads = {name: os.environ[name] for name in ("TF_NUM_INTRAOP_THREADS", "OMP_NUM_THREADS")}
    figures = {"auc": None, "logloss": np.float32(0.5), "s_logloss": float("nan")}
    return {
        "metrics": {task: dict(figures) for task in data.tasks},
        "seconds": 2.0,
        "curves": {"q": [np.arange(3.0)]},
        "notes": {"threads": threads, "tensorflow": "tensorflow" in sys.modules},
    }


def fail_critics(data, trial, directories):
    if trial.method == "critics":
        raise RuntimeError("the critics\ndiverged")
    return train(data, trial, directories)


def die_in_critics(data, trial, directories):
    if trial.method == "critics":
        os.kill(os.getpid(), signal.SIGKILL)
    return train(data, trial, directories)


def return_nonsense(data, trial, directories):
    return {"metrics": 3}


def wait_for_ever(data, trial, directories):
    Path(directories[trial.key], "pid").write_text(str(os.getpid()))
    time.sleep(600)
