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


def learn(data, trial, directories):
    """A result of the shape that a real trial's has, with figures made of the trial's key."""
    random = np.random.default_rng(list(trial.key.encode()))
    tasks = data.tasks
    if trial.method == "critics":
        returns = {task: -random.random(50) for task in tasks}
        q = {task: values + 0.1 * random.random(50) for task, values in returns.items()}
        curves = {
            "steps": [10, 20, 30],
            "td_error": random.random(3) - 0.5,
            "td_loss": random.random(3),
            "q": q,
            "realised_return": returns,
        }
        return {"metrics": {}, "curves": curves, "notes": {}}
    curves = {"weights": {task: 1 + random.random(4) for task in tasks}}
    metrics = {
        task: {"auc": 0.7 + 0.1 * random.random(), "logloss": random.random(), "s_logloss": 0.5}
        for task in tasks
    }
    return {
        "metrics": metrics,
        "curves": curves if trial.method == "rmtl" else {},
        "notes": {},
    }
