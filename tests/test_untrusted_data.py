"""Data is never a program: no source unpickles what it reads, and tampered files are refused.

SavedModels are programs; where they are loaded is listed here, so that a new place is a decision.
"""

import ast
import pickle
from pathlib import Path

import numpy as np
import pytest

from mtfx.environments.simulator.world import TABLES_FILE, load_world, save_world
from mtfx.errors import DataError
from tests.simulator_worlds import random_world
from tests.test_scaffold import LAYERS

ROOT = Path(__file__).resolve().parents[1]
SOURCES = [path for layer in LAYERS for path in sorted((ROOT / layer).rglob("*.py"))]

#: Calls that run what is in a file or text. ``yaml.safe_load`` and ``np.load`` do not.
FORBIDDEN = {
    *(f"{module}.{name}" for module in ("pickle", "cPickle", "dill", "cloudpickle", "marshal")
      for name in ("load", "loads", "Unpickler")),
    "joblib.load", "shelve.open", "torch.load", "pd.read_pickle", "pandas.read_pickle",
    "yaml.load", "yaml.load_all", "yaml.full_load", "yaml.unsafe_load",
    "eval", "exec", "compile", "os.system", "os.popen",
}  # fmt: skip
#: A worker of an experiment unpickles the task that its own parent sends through a pipe. A user's
#: description is compiled to be compared with its compiled file; importing it, which the command
#: line asked for, is what runs it.
ALLOWED = {
    ("experiments/engine/workers.py", "pickle.loads"),
    ("datasets/user_modules.py", "compile"),
}
#: Where a SavedModel is loaded, each time one that a stage of this project wrote or the command
#: line named.
MODEL_LOADERS = {
    "benchmarks/serving.py",
    "components/ranker_exporter/checking.py",
    "components/ranker_exporter/component.py",
    "environments/simulator/ranker_policy.py",
    "evaluation/reports/fusion_curves.py",
    "models/export/policy.py",
    "pipelines/judging.py",
    "pipelines/streaming.py",
    "serving/loaded_versions.py",
    "trainers/ranking/warm_start.py",
    "environments/simulator/fitting/predictions.py",
    "environments/simulator/fitting/raw_requests.py",
}


def dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Name):
        return node.id
    return f"{dotted(node.value)}.{node.attr}" if isinstance(node, ast.Attribute) else ""


def unsafe_calls(source: str) -> list[str]:
    """What of ``FORBIDDEN`` a source calls, also by names it has imported or renamed."""
    tree = ast.parse(source)
    names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.asname: alias.name for alias in node.names if alias.asname}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {a.asname or a.name: f"{node.module}.{a.name}" for a in node.names}
    found = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        first, dot, rest = dotted(node.func).partition(".")
        called = names.get(first, first) + dot + rest
        named = {keyword.arg: keyword.value for keyword in node.keywords}
        if called in FORBIDDEN:
            found.append(called)
        for keyword, wanted in (("allow_pickle", False), ("shell", False), ("safe_mode", True)):
            value = named.get(keyword)
            if value is not None and getattr(value, "value", None) is not wanted:
                found.append(f"{called}({keyword})")
    return found


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_source_runs_what_it_reads(path):
    name = str(path.relative_to(ROOT))
    found = [call for call in unsafe_calls(path.read_text()) if (name, call) not in ALLOWED]
    assert not found


@pytest.mark.parametrize(
    "source",
    [
        "import pickle\npickle.load(file)",
        "from pickle import loads\nloads(text)",
        "import pickle as p\np.Unpickler(file).load()",
        "import yaml\nyaml.load(text, Loader=yaml.Loader)",
        "np.load(path, allow_pickle=True)",
        "np.load(path, allow_pickle=trusted)",
        "subprocess.run(text, shell=True)",
        "tf.keras.models.load_model(path, safe_mode=False)",
        "eval(text)",
        "import os\nos.system(text)",
        "from os import system as run\nrun(text)",
    ],
)
def test_the_scan_finds(source):
    assert len(unsafe_calls(source)) == 1


def test_the_scan_lets_safe_calls_pass():
    safe = "yaml.safe_load(text)\nnp.load(path)\nast.literal_eval(text)\nre.compile(text)\n"
    assert unsafe_calls(safe + "np.load(path, allow_pickle=False)\njson.loads(text)") == []


def test_saved_models_are_loaded_where_it_was_decided():
    found = set()
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            is_name = isinstance(node, ast.Attribute)
            if is_name and dotted(node).endswith(("saved_model.load", "models.load_model")):
                found.add(str(path.relative_to(ROOT)))
    assert found == MODEL_LOADERS


class Opened:
    """Unpickled, it makes a file: what an attacker's array would do."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


def test_a_simulator_with_a_pickled_array_is_refused_and_nothing_runs(tmp_path):
    save_world(random_world(users=3, pool=4), tmp_path / "world")
    tables = tmp_path / "world" / TABLES_FILE
    with np.load(tables) as stored:
        arrays = {name: stored[name] for name in stored.files}
    opened = tmp_path / "opened"
    arrays["user_ids"] = np.asarray([Opened(opened)] * 3, object)
    with open(tables, "wb") as file:
        np.savez(file, **arrays)
    with pytest.raises(DataError, match="world"):
        load_world(tmp_path / "world")
    assert not opened.exists()
    # The array would have: the test can fail.
    pickle.loads(pickle.dumps(Opened(opened)))
    assert opened.exists()
